//! What listens on this host, from /proc/net: setup leaves no more than it found.

use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The listening TCP and the unconnected UDP sockets of this network namespace.
pub(super) struct Listeners {
    here: BTreeSet<Listener>,
    /// When this process started, in the kernel's ticks since boot: who runs for longer was not installed by it.
    since: u64,
}

/// One of them: the protocol, and the local address and port as /proc/net writes them.
type Listener = (&'static str, String);

impl Listeners {
    /// Reads them.
    pub(super) fn now() -> Result<Self> {
        let since = started(Path::new("/proc/self")).context("/proc does not say when this process started")?;
        Ok(Self { here: inodes()?.into_keys().collect(), since })
    }

    /// Fails if one is here that was not, and is not of a program that ran before; for two seconds those that are going may go,
    /// such as a resolver's.
    pub(super) fn expect_no_more(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(2);
        loop {
            let more: Vec<String> = inodes()?
                .into_iter()
                .filter(|(listener, _)| !self.here.contains(listener))
                .map(|((protocol, local), inode)| (protocol, local, owner(&inode)))
                .filter(|(.., owner)| owner.as_ref().is_none_or(|(_, started)| *started >= self.since))
                .map(|(protocol, local, owner)| {
                    let owner = owner.map_or_else(|| "a process unknown".into(), |(program, _)| program);
                    format!("\n    {protocol} {local} of {owner}")
                })
                .collect();
            if more.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("after installing, something listens that did not before:{}", more.concat());
            }
            sleep(Duration::from_millis(100));
        }
    }
}

/// The listeners and the inodes of their sockets.
fn inodes() -> Result<BTreeMap<Listener, String>> {
    let mut all = BTreeMap::new();
    for (protocol, listening) in [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")] {
        let path = format!("/proc/net/{protocol}");
        if !Path::new(&path).exists() {
            continue; // a kernel without IPv6
        }
        let table = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        all.extend(listening_in(&table, listening).map(|(local, inode)| ((protocol, local), inode)));
    }
    Ok(all)
}

/// The local address and the inode of each line in the state `listening`.
fn listening_in(table: &str, listening: &str) -> impl Iterator<Item = (String, String)> {
    table.lines().skip(1).filter_map(move |line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, _remote, state) = (words.next()?, words.next()?, words.next()?);
        (state == listening).then_some(())?;
        Some((local.to_owned(), words.nth(5)?.to_owned()))
    })
}

/// The program that holds a socket, and when it was started, if this process may know.
fn owner(inode: &str) -> Option<(String, u64)> {
    let socket = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        process.file_name().to_str()?.parse::<u32>().ok()?; // not /proc/self
        let held = fs::read_dir(process.path().join("fd")).ok()?;
        held.flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == socket.as_str()))
            .then_some(())?;
        let program = fs::read_link(process.path().join("exe")).ok()?;
        let name = format!("{} ({})", program.display(), process.file_name().to_string_lossy());
        Some((name, started(&process.path())?))
    })
}

/// When a process was started, in ticks since boot.
fn started(process: &Path) -> Option<u64> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // Behind its name, which may hold anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn a_line_of_proc_net_gives_its_address_and_its_inode() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n\
            1: 0100007F:8AE2 0100007F:0035 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0\n";
        let found: Vec<_> = listening_in(table, "0A").collect();
        assert_eq!(found, [("0100007F:0035".to_owned(), "4711".to_owned())]);
    }

    #[test]
    fn a_new_listener_is_found_and_named() {
        let before = Listeners::now().unwrap();
        let _tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let _udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let said = before.expect_no_more().unwrap_err().to_string();
        let us = format!("({})", std::process::id());
        assert_eq!(said.lines().filter(|line| line.ends_with(&us)).count(), 2, "{said}");
    }
}
