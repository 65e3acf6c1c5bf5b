//! What a ladder would have done with a capture, as `oopsd replay` prints it.

use anyhow::{Result, ensure};
use serde_json::Value;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use tests::daemon::DEMOTED;
use tests::lab::oopsd;
use tests::message::query;

const CONFIG: &str = r#"
[zones]
names = ["nl."]
[[condition]]
name = "busy"
kind = "query-rate"
rising = 500
keep-for = "1s"
"#;

const LADDER: &str = r#"
ladder = [{ prepend = 1 }, { prepend = 3 }]
step-every = "2s"
hold = "3s"
"#;

#[test]
fn the_intents_of_a_capture_are_printed_in_packet_time_and_the_same_each_time() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (config, capture) = (folder.path().join("oopsd.toml"), folder.path().join("load.pcap"));
    fs::write(&config, [CONFIG, DEMOTED, LADDER].concat())?;
    fs::write(&capture, pcap(|second| if second < 4 { 1000 } else { 20 }, 20))?;
    let printed = replayed(&config, &capture)?;
    let intents: Vec<Value> = printed
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Value>, _>>()?
        .into_iter()
        .filter(|object| object["type"] == "intent")
        .collect();
    let actions: Vec<&str> = intents.iter().filter_map(|intent| intent["action"].as_str()).collect();
    ensure!(actions == ["prepend 1", "prepend 3", "prepend 1", "plain"], "{printed}");
    ensure!(intents[0]["prefix"] == "192.0.2.0/24" && intents[0]["router"] == "bird", "{}", intents[0]);
    let because = intents[1]["because"].as_str().unwrap_or_default();
    ensure!(because.starts_with("busy met: ") && because.ends_with("; step 2 of 2"), "{because}");
    ensure!(intents[0]["at"].as_str().is_some_and(|at| at.starts_with("2026-01-01T00:00:0")), "{}", intents[0]);
    ensure!(replayed(&config, &capture)? == printed, "it is not the same twice");
    Ok(())
}

fn replayed(config: &Path, capture: &Path) -> Result<String> {
    let output = Command::new(oopsd()?).args(["replay", "--json", "-c"]).arg(config).arg(capture).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// A capture of queries to 192.0.2.53: so many in each second.
fn pcap(rate: fn(u32) -> u32, seconds: u32) -> Vec<u8> {
    const BEGIN: u32 = 1_767_225_600;
    let mut file = Vec::new();
    for word in [0xA1B2_C3D4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    let frame = frame();
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    for second in 0..seconds {
        for nth in 0..rate(second) {
            for word in [BEGIN + second, nth * (1_000_000 / rate(second)), length, length] {
                file.extend(word.to_le_bytes());
            }
            file.extend(&frame);
        }
    }
    file
}

/// One query over UDP.
fn frame() -> Vec<u8> {
    let message = query("www.nl.");
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX) + 8;
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    frame.extend((length + 20).to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
    frame.extend(Ipv4Addr::new(198, 51, 100, 1).octets());
    frame.extend(Ipv4Addr::new(192, 0, 2, 53).octets());
    for word in [40_000, 53, length, 0] {
        frame.extend(u16::to_be_bytes(word));
    }
    frame.extend(message);
    frame
}
