//! Signals to programs and files: one at a time and in order, whatever the program does, and whoever moves the file.

use super::receivers::{Account, Arrival};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use tests::channels::Home;
use tests::lab::{SOON, run, until};

/// Says no every now and then, and says so much that it cannot all be logged. Two at a time would find each other's folder.
const SCRIPT: &str = r#"#!/bin/sh
mkdir "$1/alone" || echo overlap >> "$1/overlaps"
cat >> "$1/got"
seq=$OOPSD_SEQ
head -c 10000 /dev/zero | tr '\0' x
printf 'said\033[31m %s\n' "$seq" >&2
rmdir "$1/alone"
[ -e "$1/no-$seq" ] || [ $((seq % 10)) -ne 7 ] || { touch "$1/no-$seq"; exit 1; }
"#;

#[test]
fn a_program_is_started_for_one_signal_after_the_other_and_what_it_says_is_logged_in_part() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("script");
    fs::write(&script, SCRIPT)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700))?;
    let (script, here) = (script.display(), folder.path().display());
    let home = Home::new(&format!("[[channel]]\ntype = \"exec\"\ncommand = [\"{script}\", \"{here}\"]\n"), &[])?;
    let mut channels = home.start()?;
    channels.send(1, 30)?;
    ensure!(channels.kept() == Some(30), "{}", home.stderr());
    until("all are sent", SOON, || (channels.status("exec").ok()?["waiting"] == 0).then_some(()))
        .with_context(|| home.stderr())?;
    let got = fs::read_to_string(folder.path().join("got"))?;
    let got: Vec<Arrival> = got.lines().filter_map(Arrival::of).collect();
    let sent: Vec<u64> = (1..=30).collect();
    let account = Account::of(&sent, &got);
    println!(
        "exec: sent 30, received {}, repeated {}, lost {}",
        account.received,
        account.repeated,
        account.lost.len()
    );
    ensure!(account.is_clean() && account.repeated == 3, "{account:?}");
    ensure!(!folder.path().join("overlaps").exists(), "two ran at a time");
    let said = home.stderr();
    let printed = said.matches('x').count() / 33;
    ensure!((4_000..4_200).contains(&printed), "{printed} of 10000 bytes are logged each time");
    ensure!(said.contains("\\u{1b}[31m 30") && !said.contains("\u{1b}[31m 30"), "{said}");
    Ok(())
}

#[test]
fn a_log_is_rotated_by_moving_it_and_by_copying_it_and_no_line_is_lost() -> Result<()> {
    let home = Home::new("[[channel]]\ntype = \"log\"\nfile = \"signals.jsonl\"\n", &[])?;
    let mut channels = home.start()?;
    let log = home.path("signals.jsonl");
    let mut got = Vec::new();
    for round in 0..20 {
        channels.send(round * 50 + 1, (round + 1) * 50)?;
        // In the middle of it, as logrotate does: moved away, and made anew by us or by it.
        let moved = home.path(&format!("signals.jsonl.{round}"));
        until("a file", SOON, || fs::rename(&log, &moved).ok())?;
        if round % 2 == 0 {
            // Not where ours is already.
            let _ = fs::File::create_new(&log);
        }
        channels.kept().context("it ended")?;
        until("all are written", SOON, || (channels.status("log").ok()?["waiting"] == 0).then_some(()))
            .with_context(|| home.stderr())?;
        for file in [&moved, &log] {
            let text = fs::read_to_string(file).unwrap_or_default();
            got.extend(text.lines().filter_map(Arrival::of));
        }
        // And copied and cut: what is appended then begins at its beginning.
        run(std::process::Command::new("truncate").args(["-s", "0"]).arg(&log))?;
    }
    let sent: Vec<u64> = (1..=1_000).collect();
    let account = Account::of(&sent, &got);
    println!(
        "log: 20 rotations, sent 1000, received {}, repeated {}, lost {}",
        account.received,
        account.repeated,
        account.lost.len()
    );
    ensure!(account.is_clean() && account.repeated == 0, "{account:?}\n{}", home.stderr());
    Ok(())
}
