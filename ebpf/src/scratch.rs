//! What a program leaves to the one that it calls: how far it came in a frame. Each CPU has one such place.
//!
//! A frame has it from where it first leaves something there until the last program that is called for it ends. Mostly no
//! other frame comes between these on the same CPU: packets are worked on in softirqs, or with these held off. Where softirqs
//! can be preempted (PREEMPT_RT) another frame may; it then goes without, which is counted: a response as one whose records
//! were not walked, a segment as truncated.

use crate::maps::SCRATCH;
use crate::shard::Shard;
use wire::dns::Walk;
use wire::{Direction, Family, Message, Packet, Transport, count};

/// How far a frame is read.
#[repr(C)]
pub(crate) struct Scratch {
    /// Not 0: a frame has it.
    taken: u32,
    /// The half that counts the frame, also when another is put in force meanwhile.
    pub(crate) half: u32,
    /// The response whose records are being read.
    pub(crate) response: Response,
    /// The segment that is being read.
    pub(crate) segment: Segment,
}

/// Takes this CPU's place for a frame; `None` if another frame has it.
#[inline(always)]
pub(crate) fn take(shard: &Shard) -> Option<*mut Scratch> {
    let scratch = SCRATCH.get_ptr_mut(0)?;
    // SAFETY: an aligned word of a map's value.
    let was = unsafe { shard.exchange_zero(&raw mut (*scratch).taken, 1) };
    if was == 0 { Some(scratch) } else { None }
}

/// Gives it back: nothing more is called for the frame that had it.
#[inline(always)]
pub(crate) fn give_back(scratch: *mut Scratch) {
    // SAFETY: a map's value, and the frame's own until now.
    unsafe { (&raw mut (*scratch).taken).write_volatile(0) };
}

/// A segment, and how far it is read.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Segment {
    pub(crate) packet: Packet,
    /// Where the next message is in the frame; 0: there is none.
    pub(crate) at: usize,
    /// How many were read.
    pub(crate) nth: u64,
}

/// A response of which all is known but its records.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Response {
    pub(crate) walk: Walk,
    // It is not known to be zero: of zeroes in a row the compiler would make a call.
    zone: u32,
    /// The slot of its service prefix; 0: there is none.
    prefix: u32,
    extended_errors: u64,
    rcode: u16,
    truncated: bool,
    pub(crate) unwalked: bool,
    /// Numbers, of which a bit is looked at: the verifier knows nothing of the others.
    transport: u8,
    family: u8,
}

impl Response {
    #[inline(always)]
    pub(crate) fn new(packet: &Packet, message: &Message, walk: Walk, zone: u32, prefix: u32) -> Self {
        Self {
            walk,
            extended_errors: message.extended_errors,
            zone,
            prefix,
            rcode: message.rcode,
            truncated: message.truncated,
            unwalked: message.unwalked,
            transport: packet.transport as u8,
            family: packet.family as u8,
        }
    }

    /// What counting needs of the packet.
    #[inline(always)]
    const fn packet(&self) -> Packet {
        Packet {
            family: if self.family & 1 == Family::V6 as u8 { Family::V6 } else { Family::V4 },
            transport: if self.transport & 1 == Transport::Tcp as u8 { Transport::Tcp } else { Transport::Udp },
            addresses: 0,
            source_port: 0,
            destination_port: 0,
            payload: 0,
            length: 0,
            fragment: false,
        }
    }

    /// What counting needs of the message.
    #[inline(always)]
    pub(crate) const fn message(&self) -> Message {
        Message {
            response: true,
            rcode: self.rcode,
            truncated: self.truncated,
            unwalked: self.unwalked,
            extended_errors: self.extended_errors,
            ..Message::BLANK
        }
    }

    /// Counts it.
    #[inline(always)]
    pub(crate) fn count(&self, shard: &mut Shard) {
        count::count(&self.packet(), &self.message(), Direction::Sent, self.zone, some(self.prefix), shard);
    }

    /// Notes what was found in its records.
    #[inline(always)]
    pub(crate) const fn note(&mut self, walk: Walk, message: &Message) {
        self.walk = walk;
        self.rcode = message.rcode;
        self.unwalked = message.unwalked;
        self.extended_errors = message.extended_errors;
    }
}

/// The slot of a service prefix, if it is one.
#[inline(always)]
pub(crate) const fn some(prefix: u32) -> Option<u32> {
    if prefix == count::OTHER { None } else { Some(prefix) }
}
