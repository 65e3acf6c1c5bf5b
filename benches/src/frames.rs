//! Names, messages and frames, made by number: the same number makes the same thing in every run.

/// The `number`th zone: eight letters under one of four top-level domains. Numbers below 2^40 have zones of their own.
pub(crate) fn zone(number: u64) -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let scrambled = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let label = (0..8).map(|place| char::from(DIGITS[(scrambled >> (5 * place) & 31) as usize]));
    label.chain(".".chars()).chain(["com.", "net.", "org.", "xyz."][(number % 4) as usize].chars()).collect()
}

/// A query for www in a zone, with an empty OPT record: 45 bytes.
pub(crate) fn query(zone: &str) -> Vec<u8> {
    [&header(0, 0, 0)[..], &question(&format!("www.{zone}")), &opt(&[])].concat()
}

/// A response with as many A records as `answers`, and an OPT record that holds `extended_error` if there is one.
pub(crate) fn response(name: &str, rcode: u8, answers: u8, extended_error: Option<u16>) -> Vec<u8> {
    let answer = [0xC0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1];
    let option = extended_error.map_or_else(Vec::new, |code| {
        let text = b"no server could be reached";
        [&[0, 15][..], &length(2 + text.len()), &code.to_be_bytes(), text].concat()
    });
    [&header(0x84, rcode, answers)[..], &question(name), &answer.repeat(answers.into()), &opt(&option)].concat()
}

/// How a frame gets from one side to the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// IPv4 and UDP.
    V4,
    /// IPv6 and UDP.
    V6,
    /// IPv4 and TCP, the message in one segment.
    Tcp,
}

/// An Ethernet frame with a message between the `client`th client and a server. Nobody looks at the checksums, which are 0.
pub(crate) fn frame(message: &[u8], over: Over, client: u16) -> Vec<u8> {
    let port = (0xC000 | client & 0x3FFF).to_be_bytes();
    let [high, low] = client.to_be_bytes();
    let from_server = message[2] & 0x80 != 0;
    let ends = |client: &[u8], server: &[u8]| if from_server { [server, client] } else { [client, server] }.concat();
    let ports = ends(&port, &[0, 53]);
    let segment = match over {
        Over::V4 | Over::V6 => [&ports[..], &length(8 + message.len()), &[0, 0], message].concat(),
        Over::Tcp => {
            let rest = [0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0];
            [&ports[..], &rest, &length(message.len()), message].concat()
        }
    };
    let packet = match over {
        Over::V6 => {
            let addresses = ends(
                &[0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, high, low],
                &[0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 53],
            );
            [&[0x60, 0, 0, 0][..], &length(segment.len()), &[17, 64], &addresses, &segment].concat()
        }
        Over::V4 | Over::Tcp => {
            let protocol = if over == Over::Tcp { 6 } else { 17 };
            let addresses = ends(&[10, 0, high, low], &[192, 0, 2, 53]);
            let fixed = [0, 0, 0x40, 0, 64, protocol, 0, 0];
            [&[0x45, 0][..], &length(20 + segment.len()), &fixed, &addresses, &segment].concat()
        }
    };
    let ethertype = if over == Over::V6 { [0x86, 0xDD] } else { [8, 0] };
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &ethertype, &packet].concat()
}

/// Numbers that look like chance and are the same in every run (splitmix64).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ mixed >> 31) % limit
    }
}

/// One question, `answers`, and an OPT record.
fn header(flags: u8, rcode: u8, answers: u8) -> [u8; 12] {
    [0x12, 0x34, flags, rcode, 0, 1, 0, answers, 0, 0, 0, 1]
}

fn question(name: &str) -> Vec<u8> {
    [oopsd::name::to_wire(name), vec![0, 1, 0, 1]].concat()
}

fn opt(options: &[u8]) -> Vec<u8> {
    [&[0, 0, 41, 4, 208, 0, 0, 0, 0][..], &length(options.len()), options].concat()
}

fn length(of: usize) -> [u8; 2] {
    u16::try_from(of).expect("messages are short").to_be_bytes()
}
