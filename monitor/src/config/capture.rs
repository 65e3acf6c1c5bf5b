//! `[capture]`: where to count, and the service prefixes.

use super::document::{Document, Table};
use super::{Capture, defaults, prefixes};
use ipnet::IpNet;
use std::path::PathBuf;
use wire::Ports;

impl Default for Capture {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            ports: Ports::DNS,
            buffer: defaults::BUFFER,
            threads: defaults::THREADS,
            pin: false,
            pin_path: defaults::PIN_PATH.into(),
            kernel_memory: defaults::KERNEL_MEMORY,
        }
    }
}

/// Reads `[capture]`: where to count, and the prefixes that it lists.
pub(super) fn read<'i>(document: &mut Document<'i>, mut table: Table<'i>) -> (Capture, Vec<IpNet>) {
    let mut capture = Capture::default();
    let interfaces = table.take("interfaces");
    for interface in interfaces.map_or_else(Vec::new, |list| list.list(document, "a list, such as [\"eth0\"]")) {
        let Some(interface) = interface.parse(document, "an interface, such as \"eth0\"", interface_name) else {
            continue;
        };
        if capture.interfaces.contains(&interface.it) {
            document.error(&interface.at, format!("`interfaces`: {} is there twice; remove one", interface.it));
        }
        capture.interfaces.push(interface.it);
    }
    if let Some(ports) = table.take("ports") {
        let at = ports.at.clone();
        let mut numbers = Vec::new();
        for port in ports.list(document, "a list of 1 to 4 ports, such as [53]") {
            let Some(port) = port.whole(document, 1..=u64::from(u16::MAX)) else { continue };
            let number = u16::try_from(port.it).expect("within the limits above");
            if numbers.contains(&number) {
                document.error(&port.at, format!("`ports`: {number} is there twice; remove one"));
            }
            numbers.push(number);
        }
        match Ports::new(&numbers) {
            Some(ports) => capture.ports = ports,
            None => document.error(&at, format!("`ports` has {}; write 1 to {} of them", numbers.len(), Ports::MAX)),
        }
    }
    if let Some(buffer) = table.take("buffer").and_then(|buffer| buffer.size(document, &defaults::BUFFERS)) {
        capture.buffer = usize::try_from(buffer.it).expect("at most 1 GiB");
    }
    if let Some(threads) = table.take("threads").and_then(|threads| threads.whole(document, 1..=defaults::MOST_THREADS))
    {
        capture.threads = usize::try_from(threads.it).expect("at most 64");
    }
    if let Some(pin) = table.take("pin").and_then(|pin| pin.truth(document)) {
        capture.pin = pin.it;
    }
    if let Some(path) = table.take("pin-path").and_then(|path| path.parse(document, PIN_PATH, pin_path)) {
        capture.pin_path = path.it;
    }
    if let Some(most) = table.take("kernel-memory").and_then(|most| most.size(document, &defaults::KERNEL_MEMORIES)) {
        capture.kernel_memory = most.it;
    }
    let mut listed = Vec::new();
    let prefixes = table.take("prefixes");
    for prefix in prefixes.map_or_else(Vec::new, |list| list.list(document, "a list, such as [\"192.0.2.0/24\"]")) {
        let Some(prefix) = prefix.parse(document, "a prefix, such as \"192.0.2.0/24\"", prefixes::parse) else {
            continue;
        };
        if listed.contains(&prefix.it) {
            document.error(&prefix.at, format!("`prefixes`: {} is there twice; remove one", prefix.it));
        }
        listed.push(prefix.it);
    }
    table.close(document);
    (capture, listed)
}

const PIN_PATH: &str = "a folder on a BPF file system, such as \"/sys/fs/bpf/oopsd\"";

/// Such file systems have no dots in names.
fn pin_path(text: &str) -> Result<PathBuf, String> {
    if text.starts_with('/') {
        Ok(PathBuf::from(text))
    } else {
        Err(format!("\"{text}\" is no absolute path; write {PIN_PATH}"))
    }
}

/// What Linux takes for the name of an interface (`dev_valid_name`).
fn interface_name(text: &str) -> Result<String, String> {
    let fine = |byte: u8| byte.is_ascii_graphic() && !b"/:".contains(&byte);
    if !text.is_empty() && text.len() <= 15 && text != "." && text != ".." && text.bytes().all(fine) {
        Ok(text.to_owned())
    } else {
        Err(format!("\"{text}\" cannot be an interface; write one that `ip link` shows"))
    }
}
