//! Where the kernel calls: XDP and TC, both ways. Whatever they find, the frame goes on as if they were not there.

use crate::chain::{any, segment, walk};
use crate::maps::{TC, XDP};
use crate::plain::plain;
use aya_ebpf::bindings::{TC_ACT_UNSPEC, xdp_action};
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use wire::Direction;

#[xdp(frags)]
fn ingress_xdp(context: XdpContext) -> u32 {
    let _ = plain(&context, Direction::Received);
    xdp_action::XDP_PASS
}

#[xdp(frags)]
fn any_xdp(context: XdpContext) -> u32 {
    let _ = any(&context, Direction::Received);
    xdp_action::XDP_PASS
}

#[xdp(frags)]
fn segment_xdp(context: XdpContext) -> u32 {
    let _ = segment(&context, Direction::Received);
    xdp_action::XDP_PASS
}

#[classifier]
fn ingress_tc(context: TcContext) -> i32 {
    let _ = plain(&context, Direction::Received);
    TC_ACT_UNSPEC
}

#[classifier]
fn any_received_tc(context: TcContext) -> i32 {
    let _ = any(&context, Direction::Received);
    TC_ACT_UNSPEC
}

#[classifier]
fn received_tc(context: TcContext) -> i32 {
    let _ = segment(&context, Direction::Received);
    TC_ACT_UNSPEC
}

#[classifier]
fn egress_tc(context: TcContext) -> i32 {
    let _ = plain(&context, Direction::Sent);
    TC_ACT_UNSPEC
}

#[classifier]
fn any_sent_tc(context: TcContext) -> i32 {
    let _ = any(&context, Direction::Sent);
    TC_ACT_UNSPEC
}

#[classifier]
fn sent_tc(context: TcContext) -> i32 {
    let _ = segment(&context, Direction::Sent);
    TC_ACT_UNSPEC
}

#[classifier]
fn walk_tc(context: TcContext) -> i32 {
    let _ = walk(&context);
    TC_ACT_UNSPEC
}

/// A place where the kernel calls.
pub(crate) trait Hook {
    /// Where the frame's bytes begin and end that can be read. The verifier knows of none yet that there are: what was
    /// known of a pointer before makes it follow each way to it apart.
    fn bytes(&self) -> (usize, usize);
    /// Makes `more` bytes readable than are, or as many as there are, or no more: then the ones of before must not be
    /// read. `None` if there are no more.
    fn pull(&self, more: u32) -> Option<()>;
    /// Goes on with another program; returns if that is not possible.
    fn goes_on(&self, program: u32);
}

impl Hook for XdpContext {
    #[inline(always)]
    fn bytes(&self) -> (usize, usize) {
        // SAFETY: the kernel's context, which it lets read.
        let (data, end) = unsafe {
            ((&raw const (*self.ctx).data).read_volatile(), (&raw const (*self.ctx).data_end).read_volatile())
        };
        (data as usize, end as usize)
    }

    /// What lies beyond the first buffer of several is as good as cut off.
    #[inline(always)]
    fn pull(&self, _: u32) -> Option<()> {
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
        let context = self.skb.skb;
        // SAFETY: the kernel's context, which it lets read.
        let (data, end) =
            unsafe { ((&raw const (*context).data).read_volatile(), (&raw const (*context).data_end).read_volatile()) };
        (data as usize, end as usize)
    }

    #[inline(always)]
    fn pull(&self, more: u32) -> Option<()> {
        let readable = self.data_end().wrapping_sub(self.data()) as u32;
        if readable >= self.len() {
            return None;
        }
        // What fails shows by there being no more bytes than before.
        let _ = self.pull_data(readable.wrapping_add(more).min(self.len()));
        Some(())
    }

    #[inline(always)]
    fn goes_on(&self, program: u32) {
        // SAFETY: what is in the map is a program for this hook.
        unsafe { TC.tail_call(self, program) };
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
