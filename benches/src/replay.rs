//! `oopsd replay` of two million packets, as a whole process, beside others that read the same file.

use crate::figure::{Figure, in_turn};
use crate::{Outcome, frames, process, table, trace};
use pcap::Capture;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

const PACKETS: u32 = 2_000_000;
const ZONES: u64 = 1_000;

/// Of how many packets tshark gets one.
const SCALE: u32 = 20;

/// The word that makes this program a peer of itself.
pub(crate) const READ: &str = "read";

/// The peer: reads a file by libpcap, as tersely as libpcap lets one, and does nothing else.
pub(crate) fn read(file: &str) -> Outcome<()> {
    let mut capture = Capture::from_file(file)?;
    let mut bytes = 0;
    loop {
        match capture.next_packet() {
            Ok(packet) => bytes += packet.data.len(),
            Err(pcap::Error::NoMorePackets) => break,
            Err(error) => return Err(error.into()),
        }
    }
    black_box(bytes);
    Ok(())
}

/// Measures processes in turn.
pub(crate) fn measure() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let [whole, part, one] = ["whole.pcap", "part.pcap", "one.pcap"].map(|name| folder.path().join(name));
    trace::write(&whole, PACKETS, ZONES)?;
    trace::write(&part, PACKETS / SCALE, ZONES)?;
    trace::write(&one, 2, ZONES)?;
    let configuration = folder.path().join("oopsd.toml");
    fs::write(&configuration, judged())?;
    let reader = env::current_exe()?;

    let [ours, observed, libpcap, tcpdump, busy] = in_turn(
        7,
        [
            &mut || took(oopsd(&whole).arg("-c").arg(&configuration)),
            &mut || took(&mut oopsd(&whole)),
            &mut || took(Command::new(&reader).arg(READ).arg(&whole)),
            &mut || took(Command::new("tcpdump").args(["-w", "/dev/null", "-r"]).arg(&whole)),
            &mut || spent(oopsd(&whole).arg("-c").arg(&configuration)).nanoseconds / f64::from(PACKETS),
        ],
    );
    let size = fs::metadata(&whole)?.len() / 1_000_000;
    let what = format!("replay, 2 M packets ({size} MB), 1 K zones, 10 conditions: elapsed");
    table::ours(&what, "ns/packet", &ours, None);
    table::peer("libpcap's own read: elapsed", "ns/packet", &libpcap, &ours, Some(1.5));
    table::ours("    its processor time, in two threads", "ns/packet", &busy, None);
    table::peer("tcpdump -r -w /dev/null: elapsed", "ns/packet", &tcpdump, &ours, None);
    if process::is_here("dnstop") {
        let [dnstop] = in_turn(1, [&mut || took(Command::new("dnstop").args(["-4", "-6", "-Q", "-R"]).arg(&whole))]);
        table::peer("dnstop -4 -6 -Q -R: elapsed", "ns/packet", &dnstop, &ours, Some(0.05));
    }
    if process::is_here("tshark") {
        let statistics = |file: &Path| took(Command::new("tshark").args(["-q", "-z", "dns,tree", "-r"]).arg(file));
        let scaled = (statistics(&part) - statistics(&one)) * f64::from(SCALE);
        let what = format!("tshark -q -z dns,tree (1/{SCALE} of the file, without its start): elapsed");
        table::peer(&what, "ns/packet", &Figure::once(scaled), &ours, None);
    }
    table::ours("replay of it, no configuration, names are learned: elapsed", "ns/packet", &observed, None);
    table::peer("libpcap's own read: elapsed", "ns/packet", &libpcap, &observed, None);
    Ok(())
}

/// The configuration: all zones of the trace, and conditions over some of them.
fn judged() -> String {
    let names: Vec<String> = (0..ZONES).map(|number| format!("\"{}\"", frames::zone(number))).collect();
    let mut text = format!("[zones]\nnames = [{}]\n", names.join(", "));
    for number in 0..10 {
        let name = frames::zone(number);
        let zone = format!(
            "\n[[condition]]\nname = \"c{number}\"\nkind = \"query-rate\"\nscope = {{ zone = \"{name}\" }}\nrising = 1000000\n"
        );
        write!(text, "{zone}").expect("a string can be written to");
    }
    text
}

fn oopsd(file: &Path) -> Command {
    let mut command = process::oopsd().expect("it was built before");
    command.arg("replay").arg(file);
    command
}

/// Nanoseconds a packet that a process took for the whole file.
fn took(command: &mut Command) -> f64 {
    spent(command).elapsed / f64::from(PACKETS)
}

fn spent(command: &mut Command) -> process::Spent {
    process::run(command).expect("it reads the file")
}
