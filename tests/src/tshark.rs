//! What tshark reads in a capture file: the other opinion on what `oopsd replay` counts.
//!
//! From its PDML, which has each message of a segment by itself. tshark reassembles TCP and oopsd does not: captures to
//! compare must not hold a message that goes on in another segment.

use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

/// A file, as tshark sees it.
#[derive(Clone, Debug, Default)]
pub struct Dissected {
    /// Frames, whatever is in them.
    pub frames: u64,
    /// Frames with at least one DNS message.
    pub dns_frames: u64,
    /// Frames with more than one.
    pub shared_frames: u64,
    /// Every DNS message, in order.
    pub messages: Vec<Seen>,
}

/// One DNS message.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// QR = 1.
    pub response: bool,
    /// 0 is QUERY.
    pub opcode: u8,
    /// The QNAME as it was sent, without a dot at its end.
    pub qname: String,
    /// The info-codes of its extended errors.
    pub codes: BTreeSet<u16>,
    /// Where it came from.
    pub source: Option<IpAddr>,
    /// Where it went.
    pub destination: Option<IpAddr>,
}

/// Messages with opcode QUERY, counted as `oopsd replay --json` counts them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Queries.
    pub queries: u64,
    /// Responses.
    pub responses: u64,
    /// Responses with each info-code; `other` for those above 62.
    pub ede: BTreeMap<String, u64>,
}

impl Counts {
    /// The sum of messages.
    pub fn of<'a>(messages: impl IntoIterator<Item = &'a Seen>) -> Self {
        let mut counts = Self::default();
        for message in messages.into_iter().filter(|message| message.opcode == 0) {
            if !message.response {
                counts.queries += 1;
                continue;
            }
            counts.responses += 1;
            let keys: BTreeSet<String> = message
                .codes
                .iter()
                .map(|code| if *code > 62 { "other".to_owned() } else { code.to_string() })
                .collect();
            for key in keys {
                *counts.ede.entry(key).or_default() += 1;
            }
        }
        counts
    }
}

impl Seen {
    /// The longest of `zones` (lower case, with a dot at the end) that its name ends with, or `other`.
    #[must_use]
    pub fn zone<'a>(&self, zones: &[&'a str]) -> &'a str {
        let name = format!(".{}.", self.qname.to_ascii_lowercase());
        let of = zones.iter().filter(|zone| name.ends_with(&format!(".{zone}")));
        of.max_by_key(|zone| zone.len()).unwrap_or(&"other")
    }
}

/// Reads a file with tshark. A file that is cut off is read as far as it goes.
///
/// # Errors
/// When tshark cannot be run, or printed nothing.
pub fn dissect(file: &Path) -> Result<Dissected> {
    let output = Command::new("tshark")
        .args(["-n", "-T", "pdml", "-J", "dns ip ipv6", "-r"])
        .arg(file)
        .output()
        .context("cannot run tshark")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() || said.contains("cut short"), "tshark: {}: {said}", output.status);
    let mut all = Dissected::default();
    let mut messages_before = 0;
    let (mut source, mut destination) = (None, None);
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("<packet>") {
            all.frames += 1;
            (source, destination) = (None, None);
            messages_before = all.messages.len();
        } else if line.starts_with("</packet>") {
            let messages = all.messages.len() - messages_before;
            all.dns_frames += u64::from(messages > 0);
            all.shared_frames += u64::from(messages > 1);
        } else if line.starts_with("<proto name=\"dns\"") {
            all.messages.push(Seen { source, destination, ..Seen::default() });
        } else if let Some((name, shown)) = field(line) {
            let message = all.messages.last_mut();
            match (name, message) {
                ("ip.src" | "ipv6.src", _) => source = Some(shown.parse()?),
                ("ip.dst" | "ipv6.dst", _) => destination = Some(shown.parse()?),
                ("dns.flags.response", Some(message)) => message.response = shown == "1",
                ("dns.flags.opcode", Some(message)) => message.opcode = shown.parse()?,
                ("dns.qry.name", Some(message)) => shown.clone_into(&mut message.qname),
                ("dns.opt.ext_error.info_code", Some(message)) => _ = message.codes.insert(shown.parse()?),
                _ => {}
            }
        }
    }
    ensure!(all.frames > 0, "tshark printed no frame: {said}");
    Ok(all)
}

/// The name of a field and what is shown of it.
fn field(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix("<field name=\"")?.split_once('"')?;
    let (_, shown) = rest.split_once(" show=\"")?;
    Some((name, shown.split_once('"')?.0))
}
