//! Where the kernel calls: XDP and TC, both ways. Whatever they find, the frame goes on as if they were not there.

use crate::frame::Direct;
use crate::maps::{self, Shard, Zones};
use aya_ebpf::bindings::{TC_ACT_UNSPEC, xdp_action};
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use layout::Half;
use wire::{Frame as _, Counters as _, Direction, Key, Link, Message, Node, Packet, Ports, count, zones};

#[xdp]
fn ingress_xdp(context: XdpContext) -> u32 {
    let _ = frame(context.data(), context.data_end(), Direction::Received);
    xdp_action::XDP_PASS
}

#[classifier]
fn ingress_tc(context: TcContext) -> i32 {
    let _ = frame(context.data(), context.data_end(), Direction::Received);
    TC_ACT_UNSPEC
}

#[classifier]
fn egress_tc(context: TcContext) -> i32 {
    let _ = frame(context.data(), context.data_end(), Direction::Sent);
    TC_ACT_UNSPEC
}

#[inline(always)]
fn frame(start: usize, end: usize, direction: Direction) -> Option<()> {
    let half = maps::half()?;
    let mut shard = Shard::of(half)?;
    shard.frame();
    let frame = Direct::new(start, end, half.key[0]);
    let ports = Ports::from_all(half.ports);
    let packet = match Packet::read(&frame, Link::Ethernet, ports) {
        Ok(packet) if packet.transport == wire::Transport::Tcp => return None,
        Ok(packet) => Packet { transport: wire::Transport::Udp, ..packet },
        Err(skip) => {
            shard.node(Node::Skipped(skip));
            return None;
        }
    };
    if cfg!(stage1) { shard.totals_add(packet.payload + packet.length + packet.fragment as usize + packet.source_port as usize + packet.transport as usize); return None; }
    let mut message = Message::BLANK;
    match wire::read::one(&frame, &packet, ports, packet.payload, &mut message) {
        Ok(_) => message_counts(&frame, half, &packet, &message, direction, &mut shard),
        Err(skip) => shard.node(Node::Skipped(skip)),
    }
    Some(())
}

#[inline(always)]
fn message_counts(
    frame: &Direct,
    half: &Half,
    packet: &Packet,
    message: &Message,
    direction: Direction,
    shard: &mut Shard,
) {
    if cfg!(stage2) { shard.totals_add(message.qname.length + message.qname.labels + message.rcode as usize); return; }
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
    if cfg!(stage3) { shard.totals_add(zone as usize + prefix.unwrap_or(0) as usize); return; }
    let zone = frame.opaque_u32(zone);
    let prefix = if frame.opaque_flag(prefix.is_some()) { Some(frame.opaque_u32(prefix.unwrap_or(0))) } else { None };
    count::count(packet, message, direction, zone, prefix, shard);
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
