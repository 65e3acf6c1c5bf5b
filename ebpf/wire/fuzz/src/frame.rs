//! Any bytes as a frame: the first chooses the link. Reading it ends, says at least one thing, and says the same of a
//! shorter capture or that it was cut.

use wire::name::DEPTH;
use wire::{Direction, Field, Key, Link, Message, Name, Node, Packet, Plain, Ports, Skip, Slice};

const LINKS: [Link; 5] = [Link::Ethernet, Link::Cooked, Link::Cooked2, Link::Raw, Link::Loopback];

/// Any numbers, all of whose bits vary.
const KEY: Key = Key([0x9D3A_71C4_5BE2_88F1, 0x417C_E90A_2B6D_F3A5]);

pub(crate) fn check(bytes: &[u8]) {
    let Some((&first, frame)) = bytes.split_first() else { return };
    let link = LINKS[usize::from(first) % LINKS.len()];
    let whole = read(link, frame);
    assert!(!whole.is_empty());
    let slowly = Packet::read(&Slice(frame), Link::Ethernet, Ports::DNS);
    match Packet::plain(&Slice(frame), Ports::DNS) {
        Plain::Dns(packet) => {
            assert_eq!(slowly, Ok(packet));
            at_once(frame, &packet, link, &whole);
        }
        Plain::NotDns => assert_eq!(slowly, Err(Skip::NotDns)),
        Plain::Other => {}
    }
    let messages = whole.iter().filter(|it| it.is_ok()).count();
    assert!(whole.len() <= messages + 1, "more than one reason");
    for (packet, message) in whole.iter().flatten() {
        inside(frame, packet, message);
    }
    for length in [frame.len() / 2, frame.len() * 3 / 4, frame.len().saturating_sub(1)] {
        shorter(&whole, &read(link, &frame[..length]));
    }
}

/// What is read of a common message in short is what is read of it at length; and so are the records of a response.
fn at_once(frame: &[u8], packet: &Packet, link: Link, whole: &[Result<(Packet, Message), Skip>]) {
    let Some((response, name)) = wire::read::plain_question(&Slice(frame), packet) else { return };
    if link != Link::Ethernet {
        return;
    }
    let [Ok((_, read))] = whole else { panic!("a message that is read at once is none") };
    assert_eq!((read.response, read.opcode, read.qname), (response, 0, name));
    let hash = |name: &Name| name.ending(&Slice(frame), DEPTH, &KEY);
    assert_eq!(hash(&name), hash(&read.qname));
    let mut message = Message { qname: name, ..Message::BLANK };
    if response {
        let walk = wire::read::plain_records(&Slice(frame), packet, &name, &mut message);
        if walk.expect("its header was read before").is_short(&Slice(frame), &mut message) {
            assert_eq!(whole, [Ok((*packet, message))]);
        }
    }
}

/// What a message says of itself lies in the frame, and can be counted.
fn inside(frame: &[u8], packet: &Packet, message: &Message) {
    assert!(packet.payload <= frame.len());
    wire::count::count(packet, message, Direction::Received, 1, Some(2), &mut Bounds);
    wire::count::count(packet, message, Direction::Sent, 1, Some(2), &mut Bounds);
    if message.is_query_opcode() {
        let name = &frame[message.qname.at..][..message.qname.length];
        assert_eq!(wire::name::labels(name), message.qname.labels);
        assert!(message.rcode < 4096);
    }
}

/// A capture that holds less says the same, as far as it goes: the messages are the first of the whole, at most less well
/// walked, and what is missing is said once.
fn shorter(whole: &[Result<(Packet, Message), Skip>], cut: &[Result<(Packet, Message), Skip>]) {
    for (nth, (whole, cut)) in whole.iter().zip(cut).enumerate() {
        match (whole, cut) {
            (Ok((packet, message)), Ok((cut_packet, cut_message))) => {
                assert_eq!(packet, cut_packet);
                assert_eq!(message.extended_errors | cut_message.extended_errors, message.extended_errors);
                if !cut_message.unwalked {
                    assert_eq!(message.extended_errors, cut_message.extended_errors);
                    assert_eq!(message.rcode, cut_message.rcode);
                }
                let same = Message {
                    rcode: message.rcode,
                    extended_errors: message.extended_errors,
                    unwalked: message.unwalked,
                    ..*cut_message
                };
                assert_eq!(*message, same);
            }
            (Ok(_), Err(skip)) => assert_eq!(*skip, Skip::Truncated),
            (Err(whole), Err(skip)) => assert!(whole == skip || *skip == Skip::Truncated, "{nth} {whole:?} {skip:?}"),
            (Err(skip), Ok(_)) => panic!("{skip:?} became a message"),
        }
    }
    assert!(cut.len() <= whole.len() || cut.last() == Some(&Err(Skip::Truncated)));
}

fn read(link: Link, frame: &[u8]) -> Vec<Result<(Packet, Message), Skip>> {
    let mut all = Vec::new();
    let end = wire::read(&Slice(frame), link, Ports::DNS, &mut |packet: &Packet, message: &Message| {
        all.push(Ok((*packet, *message)))
    });
    all.extend(end.err().map(Err));
    all
}

/// Refuses counts that have no place.
struct Bounds;

impl wire::Counters for Bounds {
    fn node(&mut self, node: Node) {
        assert!(node.index() < wire::count::NODE);
    }

    fn slot(&mut self, slot: u32, field: Field) {
        assert!((1..=2).contains(&slot) && (field as usize) < wire::count::FIELDS);
    }

    fn extended_errors(&mut self, slot: u32, codes: u64) {
        assert!((1..=2).contains(&slot) && codes != 0);
    }
}
