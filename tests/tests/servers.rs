//! `oopsd replay --json` against tshark, over captures of real servers under load: every count the same.
//!
//! Nothing here holds a TCP message that goes on in another segment, which tshark would join and oopsd does not: all that
//! is under way at once, [`TCP`] says how much, fits into one segment, even if it waits in one send buffer.

#![expect(clippy::print_stdout, reason = "the counts are what one wants to read of a run")]

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use tests::lab::{Namespace, ready};
use tests::message::query;
use tests::replay::{Replayed, replay};
use tests::servers::{Dump, LAST, answers, ask, ask_in_one_segment, knotd, nsd, unbound};
use tests::tshark::{Counts, Dissected, Seen, dissect};

/// What oopsd counts apart; the servers know no zone below example.org.
const ZONES: [&str; 3] = ["example.org.", "sub.example.org.", "nl."];
/// Eight messages of at most 140 bytes under way: less than the 1,428 bytes of the smallest full segment.
const TCP: &str = "-m tcp -q 8";
const SERVED: [&str; 2] = ["example.org.", "nl."];
const V4: &str = "192.0.2.1";
const V6: &str = "2001:db8::1";

#[test]
fn knotd_over_udp_and_tcp_then_tagged_then_cut_off() -> Result<()> {
    let Some(lab) = Lab::new(&["knotd"])? else { return Ok(()) };
    let mut server = knotd(&lab.server, lab.folder(), &[V4, V6], &SERVED)?;
    answers(&lab.client, &mut server, V4, "example.org.")?;
    let dump = Dump::tcpdump(&lab.server, lab.folder(), "eth0", "")?;
    lab.load(V4, V6)?;
    ask_in_one_segment(&lab.client, (V4.parse::<std::net::IpAddr>()?, 53).into(), &vec![query("www.nl."); 20])?;
    let file = dump.end(&lab.client, lab.folder(), V4, "example.org")?;

    let (seen, replayed) = the_same("knotd", &file)?;
    ensure!(seen.shared_frames > 0, "no segment has several messages");
    ensure!(replayed.total()?.queries >= 4000 + 20, "{:?}", replayed.total());
    ensure!(replayed.total()?.ede.keys().eq(["20"]), "{:?}", replayed.total());
    ensure!(!replayed.said.contains("within a record"), "{}", replayed.said);

    let bytes = fs::read(&file)?;
    let tagged = lab.folder().join("tagged");
    fs::write(&tagged, with_tags(&bytes)?)?;
    let (_, replayed_tagged) = the_same("knotd, tagged", &tagged)?;
    ensure!(replayed_tagged.summary == replayed.summary, "tags make a difference: {}", replayed_tagged.summary);

    // Within the record of the last answer.
    let end = bytes.windows(LAST.len()).rposition(|it| it == LAST.as_bytes()).unwrap_or_default();
    let cut = lab.folder().join("cut");
    fs::write(&cut, &bytes[..end])?;
    let (seen_cut, replayed_cut) = the_same("knotd, cut off", &cut)?;
    ensure!(seen_cut.frames < seen.frames, "{} of {} frames", seen_cut.frames, seen.frames);
    ensure!(replayed_cut.total()?.responses + 1 == replayed.total()?.responses, "{:?}", replayed_cut.total());
    ensure!(replayed_cut.said.contains("the file ends within a record"), "{}", replayed_cut.said);
    Ok(())
}

#[test]
fn nsd_in_pcapng_over_a_tagged_link_where_there_are_such() -> Result<()> {
    let Some(lab) = Lab::new(&["nsd", "dumpcap"])? else { return Ok(()) };
    let tagged = lab.tag_link()?;
    let (v4, v6) = if tagged { ("10.1.0.1", "2001:db8:1::1") } else { (V4, V6) };
    let mut server = nsd(&lab.server, lab.folder(), &[v4, v6], &SERVED)?;
    answers(&lab.client, &mut server, v4, "example.org.")?;
    let dump = Dump::dumpcap(&lab.server, lab.folder(), "eth0")?;
    lab.load(v4, v6)?;
    let file = dump.end(&lab.client, lab.folder(), v4, "example.org")?;

    let bytes = fs::read(&file)?;
    ensure!(bytes.starts_with(&[0x0A, 0x0D, 0x0D, 0x0A]), "not pcapng: {:02x?}", &bytes[..4]);
    let tags = bytes.windows(6).filter(|it| *it == [0x81, 0, 0, 100, 8, 0]).count();
    ensure!(!tagged || tags >= 4000, "{tags} IPv4 frames with a tag");
    let (_, replayed) = the_same("nsd, pcapng", &file)?;
    ensure!(replayed.total()?.queries >= 4000, "{:?}", replayed.total());
    ensure!(replayed.total()?.ede.keys().eq(["20"]), "{:?}", replayed.total());
    Ok(())
}

#[test]
fn unbound_refusing_some_clients_with_nanoseconds() -> Result<()> {
    let Some(lab) = Lab::new(&["unbound"])? else { return Ok(()) };
    lab.client.ip("address add 192.0.2.66/24 dev eth0")?;
    let clause = format!(
        "  interface: {V4}\n  interface: {V6}\n  access-control: 0.0.0.0/0 allow\n  access-control: ::/0 allow\n  \
         access-control: 192.0.2.66/32 refuse\n  local-zone: \".\" static\n  local-zone: \"example.org.\" redirect\n  \
         local-data: \"example.org. 60 SOA ns.example.org. hostmaster.example.org. 1 3600 600 86400 60\"\n  \
         local-data: \"example.org. 60 A 192.0.2.80\""
    );
    let mut server = unbound(&lab.server, lab.folder(), &clause, "")?;
    answers(&lab.client, &mut server, V4, "example.org.")?;
    let dump = Dump::tcpdump(&lab.server, lab.folder(), "eth0", "--time-stamp-precision=nano")?;
    lab.load(V4, V6)?;
    ask(&lab.client, lab.folder(), V4, "-a 192.0.2.66", &questions(500))?;
    let file = dump.end(&lab.client, lab.folder(), V4, "example.org")?;

    ensure!(fs::read(&file)?.starts_with(&0xA1B2_3C4D_u32.to_ne_bytes()), "not in nanoseconds");
    let (_, replayed) = the_same("unbound, nanoseconds", &file)?;
    ensure!(replayed.total()?.queries >= 4500, "{:?}", replayed.total());
    ensure!(replayed.total()?.ede.get("18").is_some_and(|count| *count >= 500), "{:?}", replayed.total());
    Ok(())
}

#[test]
fn a_resolvers_upstream_side_is_counted_apart() -> Result<()> {
    let Some(lab) = Lab::new(&["unbound", "knotd"])? else { return Ok(()) };
    let (service, service6) = ("203.0.113.53", "2001:db8:53::1");
    let authority = Namespace::new("authority")?;
    lab.server.cable("eth1", &authority, "eth0")?;
    lab.server.ip("address add 198.51.100.1/24 dev eth1")?;
    authority.ip("address add 198.51.100.2/24 dev eth0")?;
    lab.server.ip(&format!("address add {service}/32 dev lo"))?;
    lab.server.ip(&format!("address add {service6}/128 dev lo nodad"))?;
    lab.client.ip(&format!("route add 203.0.113.0/24 via {V4}"))?;
    lab.client.ip(&format!("route add 2001:db8:53::/48 via {V6}"))?;

    let mut authoritative = knotd(&authority, lab.folder(), &["198.51.100.2"], &SERVED)?;
    answers(&lab.server, &mut authoritative, "198.51.100.2", "example.org.")?;
    let clause = format!(
        "  interface: {service}\n  interface: {service6}\n  access-control: 0.0.0.0/0 allow\n  access-control: ::/0 allow\n  \
         outgoing-interface: 198.51.100.1\n  do-not-query-localhost: no\n  target-fetch-policy: \"0 0 0 0 0\"\n  \
         local-zone: \".\" static"
    );
    // The last is one that the authority does not serve: EDE 20 upstream, and whatever unbound makes of it.
    let stubs: String = ["example.org.", "nl.", "example.com."]
        .map(|zone| format!("stub-zone:\n  name: {zone}\n  stub-addr: 198.51.100.2\n"))
        .concat();
    let transparent = "\n  local-zone: \"example.org.\" transparent\n  local-zone: \"nl.\" transparent\n  local-zone: \"example.com.\" transparent";
    let mut resolver = unbound(&lab.server, lab.folder(), &(clause + transparent), &stubs)?;
    answers(&lab.client, &mut resolver, service, "example.org.")?;
    let dump = Dump::tcpdump(&lab.server, lab.folder(), "any", "port 53")?;
    for (address, arguments) in [(service, ""), (service, TCP), (service6, ""), (service6, TCP)] {
        ask(&lab.client, lab.folder(), address, arguments, &questions(300))?;
    }
    let file = dump.end(&lab.client, lab.folder(), service, "example.org")?;

    ensure!(fs::read(&file)?[20..24] == 276_u32.to_ne_bytes(), "not a cooked capture");
    let prefixes = [("203.0.113.0/24", service), ("2001:db8:53::/48", service6)];
    let config = lab.folder().join("oopsd.toml");
    let listed = prefixes.map(|(prefix, _)| prefix);
    fs::write(
        &config,
        format!("[capture]\ninterfaces = [\"eth0\"]\nprefixes = {listed:?}\n[zones]\nnames = {ZONES:?}\n"),
    )?;
    let seen = dissect(&file)?;
    let replayed = replay(&["-c", &config.to_string_lossy()], &file)?;
    let at = |message: &Seen, address: &str| {
        let ours = if message.response { message.source } else { message.destination };
        ours.is_some_and(|ours| ours.to_string() == address)
    };
    let (served, upstream): (Vec<&Seen>, Vec<&Seen>) =
        seen.messages.iter().partition(|message| prefixes.iter().any(|(_, address)| at(message, address)));
    same_counts("unbound resolving", &seen, &served, &replayed)?;
    for (prefix, address) in prefixes {
        let want = Counts::of(served.iter().copied().filter(|message| at(message, address)));
        ensure!(replayed.prefix(prefix)? == want, "{prefix}: {:?}, by tshark {want:?}", replayed.prefix(prefix)?);
    }
    let upstream = Counts::of(upstream);
    println!("upstream: {} queries, {} responses", upstream.queries, upstream.responses);
    let counted = &replayed.summary["upstream"];
    ensure!(
        counted["queries"] == upstream.queries && counted["responses"] == upstream.responses,
        "{counted}, by tshark {upstream:?}"
    );
    ensure!(upstream.queries > 100 && upstream.ede.contains_key("20"), "{upstream:?}");
    ensure!(!replayed.total()?.ede.contains_key("20"), "{:?}", replayed.total());
    Ok(())
}

/// A client and a server, each at an end of one cable.
struct Lab {
    client: Namespace,
    server: Namespace,
    folder: tempfile::TempDir,
}

impl Lab {
    /// `None` if it cannot be here.
    fn new(servers: &[&str]) -> Result<Option<Self>> {
        if !ready(&[&["ip", "dnsperf", "kdig", "tcpdump", "tshark"], servers].concat()) {
            return Ok(None);
        }
        let lab =
            Self { client: Namespace::new("client")?, server: Namespace::new("server")?, folder: tempfile::tempdir()? };
        lab.server.cable("eth0", &lab.client, "eth0")?;
        for (host, v4, v6) in [(&lab.server, V4, V6), (&lab.client, "192.0.2.2", "2001:db8::2")] {
            host.ip(&format!("address add {v4}/24 dev eth0"))?;
            host.ip(&format!("address add {v6}/64 dev eth0 nodad"))?;
        }
        Ok(Some(lab))
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes the cable carry VLAN 100 with addresses of its own; `false` if this kernel has no VLAN interfaces.
    fn tag_link(&self) -> Result<bool> {
        for (host, v4, v6) in [(&self.server, "10.1.0.1", "2001:db8:1::1"), (&self.client, "10.1.0.2", "2001:db8:1::2")]
        {
            match host.ip("link add link eth0 name eth0.100 type vlan id 100") {
                Err(error) if error.to_string().contains("Unknown device type") => {
                    println!("no VLAN interface: this kernel has none");
                    return Ok(false);
                }
                made => made?,
            };
            host.ip("link set dev eth0.100 up")?;
            host.ip(&format!("address add {v4}/24 dev eth0.100"))?;
            host.ip(&format!("address add {v6}/64 dev eth0.100 nodad"))?;
        }
        Ok(true)
    }

    /// A thousand questions over each of UDP and TCP, IPv4 and IPv6.
    fn load(&self, v4: &str, v6: &str) -> Result<()> {
        for (address, arguments) in [(v4, ""), (v4, TCP), (v6, ""), (v6, TCP)] {
            ask(&self.client, self.folder(), address, arguments, &questions(1000))?;
        }
        Ok(())
    }
}

/// Questions in zones that are served, in one that is only counted, in capitals, and elsewhere.
fn questions(count: usize) -> Vec<String> {
    let question = |nth: usize| match nth % 10 {
        0..3 => format!("w{nth}.example.org A"),
        3 | 4 => format!("W{nth}.Sub.EXAMPLE.org AAAA"),
        5 | 6 => format!("w{nth}.a.b.nl TXT"),
        7 => "nl SOA".to_owned(),
        8 => format!("w{nth}.example.com A"),
        _ => format!("w{nth}.notexample.org A"),
    };
    (0..count).map(question).collect()
}

/// The frames of a pcap file with a VLAN tag each, every other with two.
fn with_tags(file: &[u8]) -> Result<Vec<u8>> {
    let (header, mut rest) = file.split_at_checked(24).context("no header")?;
    let mut tagged = header.to_vec();
    let mut tags = [[0x81, 0, 0, 100].as_slice(), &[0x88, 0xA8, 0, 7, 0x81, 0, 0, 100]].into_iter().cycle();
    while let Some((record, after)) = rest.split_first_chunk::<16>() {
        let [seconds, fraction, kept, length] = [0, 4, 8, 12].map(|at| record[at..][..4].first_chunk::<4>());
        let (kept, length) =
            kept.zip(length).map(|(a, b)| (u32::from_ne_bytes(*a), u32::from_ne_bytes(*b))).context("no length")?;
        let (frame, next) = after.split_at_checked(kept as usize).context("cut off")?;
        let tag = tags.next().unwrap_or_default();
        let more = u32::try_from(tag.len())?;
        tagged.extend([seconds, fraction].into_iter().flatten().flatten());
        tagged.extend([kept + more, length + more].into_iter().flat_map(u32::to_ne_bytes));
        tagged.extend([&frame[..12], tag, &frame[12..]].concat());
        rest = next;
    }
    Ok(tagged)
}

/// Reads a file with both, and fails unless they agree.
fn the_same(label: &str, file: &Path) -> Result<(Dissected, Replayed)> {
    let zones: Vec<&str> = ZONES.iter().flat_map(|zone| ["--zone", zone]).collect();
    let (seen, replayed) = (dissect(file)?, replay(&zones, file)?);
    same_counts(label, &seen, &seen.messages.iter().collect::<Vec<_>>(), &replayed)?;
    Ok((seen, replayed))
}

/// `served` are the messages that count for zones.
fn same_counts(label: &str, seen: &Dissected, served: &[&Seen], replayed: &Replayed) -> Result<()> {
    ensure!(replayed.summary["frames"] == seen.frames, "{}, by tshark {} frames", replayed.summary, seen.frames);
    let want = Counts::of(served.iter().copied());
    let total = replayed.total()?;
    ensure!(total == want, "{label}: {total:?}, by tshark {want:?}");
    println!("{label}: {} frames, {} of them with several messages", seen.frames, seen.shared_frames);
    println!("  all: {total:?}");
    for zone in ZONES.into_iter().chain(["other"]) {
        let want = Counts::of(served.iter().copied().filter(|message| message.zone(&ZONES) == zone));
        let counts = replayed.zone(zone)?;
        ensure!(counts == want, "{label}: {zone} {counts:?}, by tshark {want:?}");
        println!("  {zone}: {counts:?}");
    }
    let not_dns = seen.frames - seen.dns_frames;
    ensure!(replayed.skipped("not-dns") == not_dns, "{}, by tshark {not_dns}", replayed.summary["skipped"]);
    for reason in ["malformed", "fragment", "truncated", "segment"] {
        ensure!(replayed.skipped(reason) == 0, "{reason}: {}", replayed.summary);
    }
    println!("  not DNS: {not_dns}");
    Ok(())
}
