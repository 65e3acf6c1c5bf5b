//! A capture file as an authoritative server would see it: queries, and the responses to them.

use crate::frames::{self, Chance, Over};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Packets are this far apart, in microseconds.
const APART: u32 = 20;

/// Writes `packets` packets about names in `zones` zones. Of 100 queries 20 go over IPv6 and 3 over TCP, 5 are for other
/// zones and refused, 25 for names that do not exist, and 1 fails with an extended error.
pub(crate) fn write(file: &Path, packets: u32, zones: u64) -> io::Result<()> {
    let mut to = BufWriter::new(File::create(file)?);
    // Magic, version 2.4, zone and accuracy, snapshot length, Ethernet.
    for word in [0xA1B2_C3D4, 0x0004_0002, 0, 0, 65_535, 1] {
        to.write_all(&u32::to_le_bytes(word))?;
    }
    let mut chance = Chance(1);
    for pair in 0..packets / 2 {
        let zone = frames::zone(if chance.below(100) < 5 { zones + chance.below(1000) } else { chance.below(zones) });
        let (rcode, answers, code) = match chance.below(100) {
            _ if chance.below(100) < 5 => (5, 0, None),
            0..25 => (3, 0, None),
            25 => (2, 0, Some(22)),
            _ => (0, 2, None),
        };
        let over = match chance.below(100) {
            0..20 => Over::V6,
            20..23 => Over::Tcp,
            _ => Over::V4,
        };
        let client = (chance.below(20_000) & 0xFFFF) as u16;
        let response = frames::response(&format!("www.{zone}"), rcode, answers, code);
        record(&mut to, 2 * pair, &frames::frame(&frames::query(&zone), over, client))?;
        record(&mut to, 2 * pair + 1, &frames::frame(&response, over, client))?;
    }
    to.flush()
}

fn record(to: &mut impl Write, number: u32, frame: &[u8]) -> io::Result<()> {
    const SECOND: u32 = 1_000_000 / APART;
    let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
    for word in [1_700_000_000 + number / SECOND, number % SECOND * APART, length, length] {
        to.write_all(&word.to_le_bytes())?;
    }
    to.write_all(frame)
}
