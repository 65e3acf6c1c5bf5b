//! Where the kernel calls: XDP and TC, both ways. Whatever they find, the frame goes on as if they were not there.
//!
//! A datagram is read in one go. A TCP segment may hold many messages: each is read by a program of its own, which calls
//! the next by a tail call, so that each program stays small enough for the verifier. There may be 33 such calls.

use crate::frame::Direct;
use crate::maps::{self, SCRATCH, Shard, TC, XDP, Zones};
use aya_ebpf::bindings::{TC_ACT_UNSPEC, xdp_action};
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use layout::{Half, RECEIVED_SEGMENT, SENT_SEGMENT, Scratch};
use wire::{Counters as _, Direction, Frame as _, Key, Link, Message, Node, Packet, Ports, Skip, Transport};
use wire::{count, zones};

#[xdp]
fn ingress_xdp(context: XdpContext) -> u32 {
    let _ = frame(&context, Direction::Received);
    xdp_action::XDP_PASS
}

#[xdp]
fn segment_xdp(context: XdpContext) -> u32 {
    let _ = segment(&context, Direction::Received);
    xdp_action::XDP_PASS
}

#[classifier]
fn ingress_tc(context: TcContext) -> i32 {
    let _ = frame(&context, Direction::Received);
    TC_ACT_UNSPEC
}

#[classifier]
fn received_tc(context: TcContext) -> i32 {
    let _ = segment(&context, Direction::Received);
    TC_ACT_UNSPEC
}

#[classifier]
fn egress_tc(context: TcContext) -> i32 {
    let _ = frame(&context, Direction::Sent);
    TC_ACT_UNSPEC
}

#[classifier]
fn sent_tc(context: TcContext) -> i32 {
    let _ = segment(&context, Direction::Sent);
    TC_ACT_UNSPEC
}

/// A place where the kernel calls.
trait Hook {
    /// Where the frame's bytes begin and end that can be read.
    fn bytes(&self) -> (usize, usize);
    /// Makes all bytes readable that are not yet; then those of before must not be read any more. `None` if all are.
    fn pull(&self) -> Option<()>;
    /// Goes on with another program; returns if that is not possible.
    fn goes_on(&self, program: u32);
}

impl Hook for XdpContext {
    #[inline(always)]
    fn bytes(&self) -> (usize, usize) {
        (self.data(), self.data_end())
    }

    #[inline(always)]
    fn pull(&self) -> Option<()> {
        None
    }

    #[inline(always)]
    fn goes_on(&self, program: u32) {
        // SAFETY: what is in the map is a program for this hook.
        unsafe { XDP.tail_call(self, program) };
    }
}

impl Hook for TcContext {
    #[inline(always)]
    fn bytes(&self) -> (usize, usize) {
        (self.data(), self.data_end())
    }

    #[inline(always)]
    fn pull(&self) -> Option<()> {
        if self.data_end().wrapping_sub(self.data()) >= self.len() as usize {
            return None;
        }
        // What fails shows by there being no more bytes than before.
        let _ = self.pull_data(self.len());
        Some(())
    }

    #[inline(always)]
    fn goes_on(&self, program: u32) {
        // SAFETY: what is in the map is a program for this hook.
        unsafe { TC.tail_call(self, program) };
    }
}

#[inline(always)]
fn frame(hook: &impl Hook, direction: Direction) -> Option<()> {
    let half = maps::half()?;
    let mut shard = Shard::of(half)?;
    shard.frame();
    let (start, end) = hook.bytes();
    let frame = Direct::new(start, end, half.key[0]);
    let packet = match Packet::read(&frame, Link::Ethernet, Ports::from_all(half.ports)) {
        Ok(packet) => packet,
        Err(skip) => {
            shard.node(Node::Skipped(skip));
            return None;
        }
    };
    if packet.transport == Transport::Tcp {
        if packet.length == 0 {
            shard.node(Node::Skipped(Skip::NotDns));
            return None;
        }
        // SAFETY: this CPU's own, until the frame is done with.
        unsafe { SCRATCH.get_ptr_mut(0)?.write(Scratch { at: packet.payload as u64, nth: 0 }) };
        let _ = hook.pull();
        go_on(hook, direction, &mut shard);
        return None;
    }
    let packet = Packet { transport: Transport::Udp, ..packet };
    match wire::read::datagram(&frame, &packet) {
        Ok(message) => counts(&frame, half, &packet, &message, direction, &mut shard),
        Err(skip) => shard.node(Node::Skipped(skip)),
    }
    Some(())
}

/// Reads one message of a segment: where the scratch says.
#[inline(always)]
fn segment(hook: &impl Hook, direction: Direction) -> Option<()> {
    let half = maps::half()?;
    let mut shard = Shard::of(half)?;
    let scratch = SCRATCH.get_ptr_mut(0)?;
    // SAFETY: this CPU's own, until the frame is done with.
    let Scratch { at, nth } = unsafe { scratch.read() };
    let (start, end) = hook.bytes();
    let frame = Direct::new(start, end, half.key[0]);
    let packet = match Packet::read(&frame, Link::Ethernet, Ports::from_all(half.ports)) {
        Ok(packet) if packet.transport == Transport::Tcp => Packet { transport: Transport::Tcp, ..packet },
        Ok(_) => return None,
        Err(skip) => {
            shard.node(Node::Skipped(skip));
            return None;
        }
    };
    let end = packet.payload.wrapping_add(packet.length);
    let (message, next) = match wire::read::prefixed(&frame, &packet, Ports::from_all(half.ports), at as usize, end) {
        Ok(read) => read,
        Err(skip) => {
            if nth == 0 || skip == Skip::Truncated {
                shard.node(Node::Skipped(skip));
            }
            return None;
        }
    };
    let next = if next < end { frame.opaque(next) } else { 0 };
    counts(&frame, half, &packet, &message, direction, &mut shard);
    if next != 0 && nth + 1 < wire::read::SEGMENT as u64 {
        // SAFETY: as above.
        unsafe { scratch.write(Scratch { at: next as u64, nth: nth + 1 }) };
        go_on(hook, direction, &mut shard);
    }
    Some(())
}

/// Goes on with the next message of a segment.
#[inline(always)]
fn go_on(hook: &impl Hook, direction: Direction, shard: &mut Shard) {
    hook.goes_on(match direction {
        Direction::Received => RECEIVED_SEGMENT,
        Direction::Sent => SENT_SEGMENT,
    });
    // As many calls as there may be were made.
    shard.node(Node::Skipped(Skip::Truncated));
}

#[inline(always)]
fn counts(frame: &Direct, half: &Half, packet: &Packet, message: &Message, direction: Direction, shard: &mut Shard) {
    let served = matches!((direction, message.response), (Direction::Received, false) | (Direction::Sent, true));
    let mut zone = count::OTHER;
    let mut prefix = None;
    if served && message.is_query_opcode() {
        zone = zones::find(frame, &message.qname, &Key(half.key), maps::shape(half), &Zones(half.bucket));
        if half.prefixes > 0 {
            let ours = if message.response { packet.source(frame) } else { packet.destination(frame) };
            prefix = ours.and_then(|ours| maps::prefix(half, ours));
        }
    }
    let zone = frame.opaque_u32(zone);
    let prefix = if frame.opaque_flag(prefix.is_some()) { Some(frame.opaque_u32(prefix.unwrap_or(0))) } else { None };
    count::count(packet, message, direction, zone, prefix, shard);
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
