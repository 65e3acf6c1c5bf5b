//! Queries counted for their zones by maps of the kernel's own: one look into a hash for each suffix, the longest first, or
//! one into a trie of names that are turned round. Names are lower-cased, of 64 bytes at most; the counters are not exact
//! on several CPUs, nor is anything else counted. All of that is in their favour.

use crate::frame::Direct;
use aya_ebpf::bindings::xdp_action;
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::lpm_trie::Key;
use aya_ebpf::maps::{HashMap, LpmTrie, PerCpuArray};
use aya_ebpf::programs::XdpContext;
use core::arch::asm;
use wire::{Packet, Ports};

/// The longest name.
const LENGTH: usize = 64;
/// Before the reversed name in its key.
const BITS: usize = 4;
/// As many suffixes as are looked for.
const SUFFIXES: usize = 8;
/// Where the name begins in a message.
const HEADER: usize = 12;

type Name = [u8; LENGTH];

#[map]
static NAMES: HashMap<Name, u64> = HashMap::with_max_entries(1, 0);
#[map]
static TRIE: LpmTrie<Name, u64> = LpmTrie::with_max_entries(1, 0);
/// A name, and room behind it for a key that begins within it.
#[map]
static ROOM: PerCpuArray<[u8; 2 * LENGTH + 2 * BITS]> = PerCpuArray::with_max_entries(1, 0);

#[xdp(frags)]
fn hash_xdp(context: XdpContext) -> u32 {
    let _ = hash(&context);
    xdp_action::XDP_PASS
}

#[xdp(frags)]
fn trie_xdp(context: XdpContext) -> u32 {
    let _ = trie(&context);
    xdp_action::XDP_PASS
}

#[inline(always)]
fn hash(context: &XdpContext) -> Option<()> {
    let room: *mut u8 = ROOM.get_ptr_mut(0)?.cast();
    for word in 0..LENGTH / 8 {
        // SAFETY: within the room.
        unsafe { room.cast::<u64>().add(word).write(0) };
    }
    let length = name(context, |at, byte| {
        // SAFETY: a name is no longer than the room.
        unsafe { room.add(at).write(byte) };
    })?;
    let mut at = 0;
    for _ in 0..SUFFIXES {
        // SAFETY: as much room as a key has lies behind each byte of a name.
        let suffix = unsafe { room.add(within(at)) };
        // SAFETY: as above.
        if let Some(count) = NAMES.get_ptr_mut(unsafe { &*suffix.cast::<Name>() }) {
            // SAFETY: a map's value.
            unsafe { *count += 1 };
            return Some(());
        }
        // SAFETY: as above.
        at = at.wrapping_add(1).wrapping_add(usize::from(unsafe { suffix.read() }));
        if at >= length {
            break;
        }
    }
    None
}

#[inline(always)]
fn trie(context: &XdpContext) -> Option<()> {
    let room: *mut u8 = ROOM.get_ptr_mut(0)?.cast();
    let length = name(context, |at, byte| {
        // SAFETY: a name is no longer than the room.
        unsafe { room.add(BITS + LENGTH - 1 - at).write(byte) };
    })?;
    // SAFETY: as much room as a key has lies behind each byte of a name.
    let key = unsafe { room.add(within(LENGTH - length)) };
    // SAFETY: as above.
    unsafe { key.cast::<u32>().write_unaligned(8 * length as u32) };
    // SAFETY: as above; the key is packed.
    let count = TRIE.get(unsafe { &*key.cast::<Key<Name>>() })?;
    let mut count = core::ptr::from_ref(count).cast_mut();
    // SAFETY: it moves a register to itself. What comes from a map is no reference of ours that nobody may write.
    unsafe { asm!("{0} = {0}", inout(reg) count, options(nomem, nostack)) };
    // SAFETY: a map's value.
    unsafe { count.write(count.read() + 1) };
    Some(())
}

/// Gives each byte of the name in a query, lower-cased; and the length of it.
#[inline(always)]
fn name(context: &XdpContext, mut byte: impl FnMut(usize, u8)) -> Option<usize> {
    let (start, end) = (context.data(), context.data_end());
    let packet = Packet::plain(&Direct::new(start, end, 0), Ports::DNS)?;
    let from = start.wrapping_add(packet.payload).wrapping_add(HEADER);
    if from.wrapping_add(LENGTH) > end {
        return None;
    }
    let mut left = 0;
    for at in 0..LENGTH {
        // SAFETY: that many bytes of the frame lie there, as just compared.
        let this = unsafe { (from as *const u8).add(at).read_volatile() };
        if left == 0 {
            byte(at, this);
            if this == 0 {
                return Some(at + 1);
            }
            left = this;
        } else {
            byte(at, this.to_ascii_lowercase());
            left -= 1;
        }
    }
    None
}

/// A place in a name, which the verifier sees to be one.
#[inline(always)]
fn within(at: usize) -> usize {
    let mut at = at;
    // SAFETY: it calculates.
    unsafe { asm!("{0} &= 63", inout(reg) at, options(pure, nomem, nostack)) };
    at
}
