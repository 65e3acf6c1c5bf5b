//! What the demo sees: oopsd's lines, the receiver's lines, and the AS path at the upstream, each from a thread, all into one queue.

use super::lab::Process;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, SystemTime};

/// Something seen, and when.
pub(super) struct Seen {
    pub(super) at: SystemTime,
    pub(super) what: What,
}

/// What was seen.
pub(super) enum What {
    /// A line of oopsd: a signal or an interval.
    Oopsd(Value),
    /// A line of the receiver.
    Webhook(Value),
    /// The upstream's AS path to the service prefix is now this; empty if there is none.
    Path(String),
}

/// Sends each line that `process` prints, for as long as somebody takes it.
pub(super) fn lines(process: &mut Process, to: &Sender<Seen>, what: fn(Value) -> What) -> Result<()> {
    let stdout = BufReader::new(process.child.stdout.take().context("standard output is piped")?);
    let to = to.clone();
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let Ok(value) = serde_json::from_str(&line) else { continue };
            if to.send(Seen { at: SystemTime::now(), what: what(value) }).is_err() {
                break;
            }
        }
    });
    Ok(())
}

/// Asks the BIRD behind `socket` for its route to `prefix`, every 2 ms, and sends each change of the path.
pub(super) fn path(socket: PathBuf, prefix: &'static str, to: Sender<Seen>) {
    thread::spawn(move || {
        let mut last = None;
        while let Ok(mut bird) = Bird::connect(&socket) {
            while let Ok(reply) = bird.ask(&format!("show route for {prefix} all")) {
                let path = as_path(&reply);
                if last.as_ref() != Some(&path) {
                    last = Some(path.clone());
                    if to.send(Seen { at: SystemTime::now(), what: What::Path(path) }).is_err() {
                        return;
                    }
                }
                // BIRD tells nobody of a change: it has to be asked, again and again.
                thread::sleep(Duration::from_millis(2));
            }
        }
    });
}

/// BIRD's control socket.
pub(super) struct Bird(BufReader<UnixStream>);

impl Bird {
    /// Connects, and reads the greeting.
    pub(super) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let mut bird = Self(BufReader::new(stream));
        bird.reply()?;
        Ok(bird)
    }

    fn ask(&mut self, question: &str) -> Result<String> {
        writeln!(self.0.get_mut(), "{question}")?;
        self.reply()
    }

    /// Lines to the one whose code is followed by a space, which is the last.
    fn reply(&mut self) -> Result<String> {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            ensure!(self.0.read_line(&mut reply)? > 0, "BIRD closed its control socket");
            let line = &reply.as_bytes()[start..];
            if line.len() > 4 && line[..4].iter().all(u8::is_ascii_digit) && line[4] == b' ' {
                return Ok(reply);
            }
        }
    }
}

/// The AS path of the first route of a reply, as BIRD 2 and 3 write it.
fn as_path(reply: &str) -> String {
    let path =
        reply.lines().find_map(|line| line.split_once("BGP.as_path: ").or_else(|| line.split_once("bgp_path: ")));
    path.map_or_else(String::new, |(_, path)| path.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_read_from_either_bird() {
        assert_eq!(as_path("1012-\tBGP.origin: IGP\n \tBGP.as_path: 64999 64999\n0000 \n"), "64999 64999");
        assert_eq!(as_path("1012-\tbgp_path: 64999\n"), "64999");
        assert_eq!(as_path("8001 Network not found\n"), "");
    }
}
