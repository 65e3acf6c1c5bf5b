//! What IP does to a datagram before it comes: fragments, options, extension headers; counted live as in a file of the same.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use tests::daemon::Orders;
use tests::frames::{send_frames, tagged};
use tests::lab;
use tests::message::query;
use tests::replay::replay;
use tests::servers::{Dump, LAST};
use tests::site::Site;

const UDP: u8 = 17;
const FRAGMENT: u8 = 44;
/// Hop-by-hop options, a routing header, destination options.
const EXTENSIONS: [u8; 3] = [0, 43, 60];
/// "More fragments", and an offset of 185 times 8 bytes, as IPv4 has them.
const MORE: u16 = 0x2000;
const LATER: u16 = 185;

#[test]
fn fragments_options_and_extension_headers_count_live_as_from_a_file() -> Result<()> {
    if !lab::ready(&["tcpdump"]) {
        return Ok(());
    }
    let orders = Orders { arguments: &["--capture", "socket"], ..Orders::default() };
    let Some((site, oopsd)) = Site::watched_by(&orders)? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let dump = Dump::tcpdump(&site.host, folder.path(), "eth0", "-Q in")?;
    let mut expected = BTreeMap::<&str, u64>::new();
    for (name, frame, counted) in frames() {
        for tags in 0..=2 {
            send_frames(&site.client, 7, &tagged(tags, &frame)).context(name)?;
            *expected.entry(counted).or_default() += 7;
        }
    }
    send_frames(&site.client, 1, &v4(&[], 0, UDP, &datagram(&query(&format!("{LAST}.nl.")))))?;
    *expected.entry(QUERY).or_default() += 1;
    let file = dump.closed(1)?;

    oopsd.sums(&["oopsd_queries_total"], expected[QUERY])?;
    let replayed = replay(&["-c", oopsd.path("oopsd.toml").to_str().context("UTF-8")?], &file)?;
    ensure!(replayed.total()?.queries == expected[QUERY], "{}", replayed.summary);
    for reason in ["fragment", "truncated", "segment", "malformed", "question-count", "name-pointer", "name-length"] {
        let expected = expected.get(reason).copied().unwrap_or_default();
        oopsd.shows(&format!("oopsd_skipped_total{{reason=\"{reason}\"}}"), expected)?;
        ensure!(replayed.skipped(reason) == expected, "{reason}: {expected} sent; {}", replayed.summary);
    }
    println!("{expected:?}");
    Ok(())
}

const QUERY: &str = "query";

/// Each frame and what it counts as: a query, or the reason why it is skipped.
fn frames() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let whole = datagram(&query("www.example.nl."));
    let cut = &whole[..8 + 20];
    let options = |count| [1].repeat(count);
    let first = (FRAGMENT, fragment(0, true));
    let later = (FRAGMENT, fragment(LATER, false));
    let [hop, routing, destination] = EXTENSIONS.map(|number| (number, padding()));
    let mut frames = vec![
        ("IPv4", v4(&[], 0, UDP, &whole), QUERY),
        ("IPv4 with an option", v4(&options(4), 0, UDP, &whole), QUERY),
        ("IPv4 with as many options as there can be", v4(&options(40), 0, UDP, &whole), QUERY),
        ("a first fragment with the whole question", v4(&[], MORE, UDP, &whole), QUERY),
        ("a first fragment with options", v4(&options(8), MORE, UDP, &whole), QUERY),
        ("a first fragment with half a question", v4(&[], MORE, UDP, cut), "truncated"),
        ("a first fragment with half a UDP header", v4(&[], MORE, UDP, &whole[..4]), "truncated"),
        ("a later fragment", v4(&[], LATER, UDP, &whole), "fragment"),
        ("a later fragment, not the last", v4(&[], LATER | MORE, UDP, &whole), "fragment"),
        ("a later fragment with options", v4(&options(12), LATER, UDP, &whole), "fragment"),
        ("a later fragment of TCP", v4(&[], LATER, 6, &whole), "fragment"),
        ("half a question, and no fragment", v4(&[], 0, UDP, cut), "malformed"),
    ];
    let chains: [(&str, &[Extension], &[u8], &str); 12] = [
        ("IPv6", &[], &whole, QUERY),
        ("hop-by-hop options", &[hop], &whole, QUERY),
        ("a routing header", &[routing], &whole, QUERY),
        ("destination options", &[destination], &whole, QUERY),
        ("all three", &[hop, routing, destination], &whole, QUERY),
        ("eight extension headers", &[destination; 8], &whole, QUERY),
        ("nine extension headers", &[destination; 9], &whole, "malformed"),
        ("a first IPv6 fragment with the whole question", &[first], &whole, QUERY),
        ("a first fragment behind options", &[hop, first, destination], &whole, QUERY),
        ("a fragment that is all there is", &[(FRAGMENT, fragment(0, false))], &whole, QUERY),
        ("a first IPv6 fragment with half a question", &[first], cut, "truncated"),
        ("a later IPv6 fragment", &[later], &whole, "fragment"),
    ];
    frames.extend(chains.map(|(name, chain, payload, counted)| (name, v6(chain, payload), counted)));
    for before in [&[hop][..], &[routing], &[hop, routing]] {
        frames.push(("a later fragment behind options", v6(&[before, &[later]].concat(), &whole), "fragment"));
    }
    let longer = |number: u8| v6(&[(number, [200, 1, 4, 0, 0, 0, 0])], &whole);
    frames.extend(EXTENSIONS.map(|number| ("an extension header longer than the packet", longer(number), "malformed")));
    frames
}

/// A UDP datagram to port 53 without a checksum.
fn datagram(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + message.len()).expect("short");
    let fields = [5353, 53, length, 0].map(u16::to_be_bytes);
    [fields.as_flattened(), message].concat()
}

/// An IPv4 packet in an Ethernet frame from the client to the service; its checksum is wrong, so that nothing answers.
fn v4(options: &[u8], fragment: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let header = u8::try_from(20 + options.len()).expect("at most 60");
    let [high, low] = (u16::from(header) + u16::try_from(payload.len()).expect("short")).to_be_bytes();
    let [f0, f1] = fragment.to_be_bytes();
    let fixed = [0x40 | (header / 4), 0, high, low, 0x53, 0x53, f0, f1, 64, protocol, 0, 0];
    ethernet(0x0800, &[&fixed, &[203, 0, 113, 2, 192, 0, 2, 1][..], options, payload].concat())
}

/// The number of an extension header, and what follows its own next header.
type Extension = (u8, [u8; 7]);

/// An IPv6 packet likewise, with extension headers.
fn v6(chain: &[Extension], payload: &[u8]) -> Vec<u8> {
    let next = chain.iter().map(|(number, _)| *number).chain([UDP]).collect::<Vec<_>>();
    let [high, low] = u16::try_from(8 * chain.len() + payload.len()).expect("short").to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, high, low, next[0], 64];
    for address in ["fd53::2", "2001:db8::1"] {
        packet.extend(address.parse::<std::net::Ipv6Addr>().expect("an address").octets());
    }
    for ((_, rest), next) in chain.iter().zip(&next[1..]) {
        packet.push(*next);
        packet.extend(rest);
    }
    ethernet(0x86DD, &[&packet, payload].concat())
}

/// Eight bytes of options, or of a routing header with no segments left, but for the first.
const fn padding() -> [u8; 7] {
    [0, 1, 4, 0, 0, 0, 0]
}

/// A fragment header but for its first byte; the offset counts 8 bytes.
const fn fragment(offset: u16, more: bool) -> [u8; 7] {
    let [high, low] = ((offset << 3) | more as u16).to_be_bytes();
    [0, high, low, 0, 0, 0x53, 0x53]
}

fn ethernet(kind: u16, packet: &[u8]) -> Vec<u8> {
    let addresses = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    [&addresses, &kind.to_be_bytes()[..], packet].concat()
}
