//! Mitigation asked for of libcoap's server, which keeps what is PUT until it is DELETEd.
//!
//! It knows CoAP and DTLS, and nothing of DOTS: what is asked for is compared byte by byte with what RFC 9132 says.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::process::Command;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use tests::channels::{Channels, Home};
use tests::lab::{Namespace, SOON, oopsd, program, ready, until};
use tests::servers::Program;

const KEY: &str = "the key of both sides";
const SERVERS: [&str; 2] = ["coap-server-openssl", "coap-server-gnutls"];
/// Of "ams1", as section 4.4.1 makes it.
const CUID: &str = "21_Xm4RSuq0ulhIGbOvwOg";
/// `{1: {2: [{6: ["192.0.2.0/24"], 14: 10}]}}`: target-prefix and lifetime in a scope of mitigation-scope.
const ASKED: &[u8] = b"\xa1\x01\xa1\x02\x81\xa2\x06\x81\x6c192.0.2.0/24\x0e\x0a";

#[test]
fn met_asks_for_mitigation_and_cleared_takes_it_back() -> Result<()> {
    for program in SERVERS {
        let Some(lab) = Lab::new()? else { return Ok(()) };
        let server = lab.server(program)?;
        let home = lab.home(KEY)?;
        let mut channels = lab.start(&home)?;
        channels.meet(1)?;
        let first = lab.asked(&server).with_context(|| home.stderr())?;
        println!("{program}: PUT mid={first} {:02x?}", lab.held(first)?.unwrap_or_default());
        // Half its lifetime later it is asked for again, under the same number.
        let puts = || server.said().matches("c:PUT").count();
        until("it is renewed", SOON, || (puts() >= 2).then_some(())).with_context(|| server.said())?;
        ensure!(lab.numbers(&server) == [first], "{}", server.said());
        channels.send(1, 1)?;
        until("it is gone", SOON, || lab.held(first).ok()?.is_none().then_some(())).with_context(|| home.stderr())?;
        println!("{program}: DELETE mid={first}, {} PUT", puts());
        // Met again is another number, and a higher one; what a killed process asked for is taken back by the next.
        channels.meet(1)?;
        let second = until("another", SOON, || lab.numbers(&server).into_iter().find(|number| *number > first))?;
        until("it is held", SOON, || lab.held(second).ok()?)?;
        channels.running.kill();
        lab.list(second)?;
        let mut channels = lab.start(&home)?;
        channels.send(1, 1)?;
        until("it is gone", SOON, || lab.held(second).ok()?.is_none().then_some(())).with_context(|| home.stderr())?;
        until("nothing waits", SOON, || (channels.status("dots").ok()?["waiting"] == 0).then_some(()))?;
        println!("{program}: mid={second} is taken back by a process that did not ask for it");
    }
    Ok(())
}

#[test]
fn it_is_asked_for_again_when_the_server_comes_back_and_a_black_hole_delays_nobody() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let home = lab.home(KEY)?;
    let mut server = lab.server(SERVERS[0])?;
    let mut channels = lab.start(&home)?;
    channels.meet(1)?;
    let number = lab.asked(&server)?;
    server.end(libc::SIGKILL)?;
    // What it held is lost with it.
    let mut server = lab.server(SERVERS[0])?;
    until("it is asked for again", SOON, || lab.held(number).ok()?).with_context(|| home.stderr())?;
    println!("mid={number} is there again after a kill of the server");
    // Stopped, it takes what comes and says nothing: as a black hole does.
    server.signal(libc::SIGSTOP);
    channels.send(1, 1)?;
    until("an attempt", SOON, || (channels.status("dots").ok()?["failed_attempts"] != 0).then_some(()))?;
    channels.send(2, 1_001)?;
    until("the log has all", SOON, || (channels.status("log").ok()?["sent"] == 1_002).then_some(()))?;
    println!("while it is stopped: log {}", channels.status("log")?);
    server.signal(libc::SIGCONT);
    until("it is gone", SOON, || lab.held(number).ok()?.is_none().then_some(())).with_context(|| home.stderr())?;
    until("nothing waits", SOON, || (channels.status("dots").ok()?["waiting"] == 0).then_some(()))?;
    server.end(libc::SIGTERM)
}

#[test]
fn after_two_hundred_kills_what_is_met_is_asked_for_and_what_is_cleared_is_not() -> Result<()> {
    const KILLS: u64 = 200;
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let server = lab.server(SERVERS[0])?;
    let home = lab.home(KEY)?;
    for life in 0..KILLS {
        let mut channels = lab.start(&home)?;
        if life % 2 == 0 {
            channels.meet(1)?
        } else {
            channels.send(1, 1)?
        }
        ensure!(channels.kept() == Some(1), "{}", home.stderr());
        // Longer than a handshake and a request take, now and then.
        thread::sleep(Duration::from_millis(life * 37 % 60));
        channels.running.kill();
        // A server of DOTS lists what it holds by itself, and of requests for the same the one with the highest number replaces the
        // others (RFC 9132 section 4.4.1).
        let held = lab.all_held(&server, 5)?;
        for number in held.iter().skip(1) {
            lab.client("delete", &lab.path(*number), &[])?;
        }
        lab.list(held.first().copied().unwrap_or(1))?;
    }
    let mut channels = lab.start(&home)?;
    let settled = |channels: &mut Channels| {
        until("nothing waits", SOON, || (channels.status("dots").ok()?["waiting"] == 0).then_some(()))
            .with_context(|| home.stderr())?;
        lab.all_held(&server, usize::MAX)
    };
    let after_cleared = settled(&mut channels)?;
    channels.meet(1)?;
    ensure!(channels.kept() == Some(1), "{}", home.stderr());
    let after_met = settled(&mut channels)?;
    let numbers = lab.numbers(&server);
    println!(
        "dots: {KILLS} kills, met and cleared 100 times each: {} numbers asked for; held after the last cleared \
         {after_cleared:?}, after one met more {after_met:?}",
        numbers.len()
    );
    ensure!(numbers.len() > 2, "{numbers:?}");
    ensure!(after_cleared.is_empty() && after_met.len() == 1, "{}", server.said());
    Ok(())
}

#[test]
fn a_channel_is_tried_by_hand_and_says_what_is_wrong() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let test = |key: &str| -> Result<(bool, String)> {
        let home = lab.home(key)?;
        let mut command = lab.host.command(oopsd()?.to_str().context("a path")?);
        let output = command.args(["channel", "test", "dots", "-c"]).arg(home.path("oopsd.toml")).output()?;
        let said = String::from_utf8([output.stdout, output.stderr].concat())?;
        ensure!(!said.contains(key), "{said}");
        Ok((output.status.success(), said))
    };
    let (well, said) = test(KEY)?;
    println!("nobody there: {}", said.trim());
    ensure!(!well && said.contains("refused"), "{said}");
    for program in SERVERS {
        let server = lab.server(program)?;
        let (_, said) = until("a yes", SOON, || test(KEY).ok().filter(|(well, _)| *well))?;
        println!("{program}: {}", said.trim());
        let (well, said) = test("the key of somebody else")?;
        println!("{program}, another key: {}", said.trim());
        ensure!(!well && said.contains("no DTLS session") && said.contains("has it this identity and key?"), "{said}");
        ensure!(!server.said().contains("c:PUT"), "{}", server.said());
    }
    Ok(())
}

struct Lab {
    host: Namespace,
    folder: TempDir,
}

impl Lab {
    fn new() -> Result<Option<Self>> {
        if !ready(&["ip", SERVERS[0], SERVERS[1], "coap-client-notls"]) {
            return Ok(None);
        }
        Ok(Some(Self { host: Namespace::new("dots")?, folder: tempfile::tempdir()? }))
    }

    /// CoAP on port 4645 and, in DTLS, on the next: that of DOTS.
    fn server(&self, program: &str) -> Result<Program> {
        let mut command = self.host.command("stdbuf");
        command.args(["-oL", program, "-A", "127.0.0.1", "-p", "4645", "-d", "20", "-v", "7", "-k", KEY]);
        let server = Program::start(&mut command, &self.folder.path().join("server.log"))?;
        until("a server", SOON, || self.client("get", "", &[]).ok().filter(|said| !said.is_empty()))
            .with_context(|| server.said())?;
        Ok(server)
    }

    fn home(&self, key: &str) -> Result<Home> {
        let config = "[[condition]]\nname = \"1\"\nkind = \"query-rate\"\nrising = 9\nscope = { prefix = \"192.0.2.0/24\" }\n\
            [[channel]]\ntype = \"log\"\nfile = \"signals.jsonl\"\n\
            [[channel]]\ntype = \"dots\"\nserver = \"127.0.0.1\"\nidentity = \"ams1\"\nkey-file = \"dots.key\"\n\
            condition = \"1\"\nlifetime = \"10s\"\ntimeout = \"2s\"\n";
        Home::new(config, &[("dots.key", key)])
    }

    fn start(&self, home: &Home) -> Result<Channels> {
        home.start_by(&mut self.host.command(program("channels")?.to_str().context("a path")?))
    }

    /// The number of what is asked for, once it is held.
    fn asked(&self, server: &Program) -> Result<u64> {
        let number =
            until("a request", SOON, || self.numbers(server).last().copied()).with_context(|| server.said())?;
        let held = until("it is held", SOON, || self.held(number).ok()?)?;
        ensure!(held == ASKED, "{held:02x?}");
        Ok(number)
    }

    /// The numbers of all that was asked for, each once, in order.
    fn numbers(&self, server: &Program) -> Vec<u64> {
        let said = server.said();
        let puts = said.lines().filter(|line| line.contains("c:PUT") && line.contains(&format!("cuid={CUID}")));
        let numbers: BTreeSet<u64> =
            puts.filter_map(|line| line.split_once("mid=")?.1.split([',', ' ']).next()?.parse().ok()).collect();
        numbers.into_iter().collect()
    }

    /// The numbers of what is held, of so many that were asked for last.
    fn all_held(&self, server: &Program, last: usize) -> Result<Vec<u64>> {
        // It answers in order: what came before this is written down.
        self.client("get", "", &[])?;
        let mut held = Vec::new();
        for number in self.numbers(server).into_iter().rev().take(last) {
            if self.held(number)?.is_some() {
                held.push(number);
            }
        }
        Ok(held)
    }

    /// What the server holds under this number, asked for without DTLS.
    fn held(&self, number: u64) -> Result<Option<Vec<u8>>> {
        Ok(Some(self.client("get", &self.path(number), &[])?).filter(|held| !held.is_empty()))
    }

    fn path(&self, number: u64) -> String {
        format!(".well-known/dots/mitigate/cuid={CUID}/mid={number}")
    }

    /// Has the server hold what a server of DOTS says of our requests: one with this number.
    fn list(&self, number: u64) -> Result<()> {
        let file = self.folder.path().join("list");
        let mut list = b"\xa1\x01\xa1\x02\x81\xa2\x05\x1a".to_vec();
        list.extend(u32::try_from(number)?.to_be_bytes());
        list.extend(b"\x06\x81\x6c192.0.2.0/24");
        std::fs::write(&file, list)?;
        let file = file.to_str().context("UTF-8")?;
        self.client("put", &format!(".well-known/dots/mitigate/cuid={CUID}"), &["-f", file]).map(|_| ())
    }

    fn client(&self, method: &str, path: &str, more: &[&str]) -> Result<Vec<u8>> {
        let mut command: Command = self.host.command("coap-client-notls");
        command.args(["-B", "2", "-m", method]).args(more).arg(format!("coap://127.0.0.1:4645/{path}"));
        let mut said = command.output()?.stdout;
        // It ends what it prints with a line feed.
        said.pop_if(|last| *last == b'\n');
        Ok(said)
    }
}
