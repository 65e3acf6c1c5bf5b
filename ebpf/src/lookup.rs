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
use wire::{Frame as _, Packet, Plain, Ports};

/// The longest name.
const LENGTH: usize = 64;
/// Before the reversed name in its key.
const BITS: usize = 4;
/// As many labels as a name has, the root with them.
const LABELS: usize = 8;
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
    hash(&context).map_or(xdp_action::XDP_ABORTED, |()| xdp_action::XDP_PASS)
}

#[xdp(frags)]
fn trie_xdp(context: XdpContext) -> u32 {
    trie(&context).map_or(xdp_action::XDP_ABORTED, |()| xdp_action::XDP_PASS)
}

#[inline(always)]
fn hash(context: &XdpContext) -> Option<()> {
    let room: *mut u8 = ROOM.get_ptr_mut(0)?.cast();
    let length = name(context, |nth, word| {
        // SAFETY: a name is no longer than the room.
        unsafe { room.cast::<u64>().add(nth).write(word) };
    })?;
    let mut at = 0;
    for _ in 0..LABELS {
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
    let length = name(context, |nth, word| {
        // SAFETY: a name is no longer than the room.
        unsafe { room.add(BITS + LENGTH - 8 - 8 * nth).cast::<u64>().write_unaligned(word.swap_bytes()) };
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

/// Gives the name in a query in words, lower-cased and with zeros behind it; and the length of it.
#[inline(always)]
fn name(context: &XdpContext, mut each: impl FnMut(usize, u64)) -> Option<usize> {
    let (start, end) = (context.data(), context.data_end());
    let frame = Direct::<false>::new(start, end, core::ptr::null());
    let Plain::Dns(packet) = Packet::plain(&frame, Ports::DNS) else { return None };
    let name = packet.payload + HEADER;
    let mut length = 0;
    for _ in 0..LABELS {
        let [label] = frame.read(name.wrapping_add(length))?;
        length = length.wrapping_add(1).wrapping_add(usize::from(label));
        if label == 0 {
            break;
        }
    }
    let from = start.wrapping_add(name);
    if from.wrapping_add(LENGTH) > end {
        return None;
    }
    if length > LENGTH {
        return None;
    }
    for nth in 0..LENGTH / 8 {
        // SAFETY: that many bytes of the frame lie there, as just compared.
        let word = unsafe { (from as *const u64).add(nth).read_unaligned() };
        let there = length.wrapping_sub(8 * nth) as i64;
        let keep = if there >= 8 {
            u64::MAX
        } else if there <= 0 {
            0
        } else {
            (1 << (8 * there as u64)) - 1
        };
        each(nth, lower(word) & keep);
    }
    Some(length)
}

/// Lower-cases eight bytes at once.
#[inline(always)]
const fn lower(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let seven = word & 0x7F * ONES;
    let letter = seven.wrapping_add((0x80 - b'A' as u64) * ONES) & !seven.wrapping_add((0x7F - b'Z' as u64) * ONES);
    word | (letter & !word & 0x80 * ONES) >> 2
}

/// A place in a name, which the verifier sees to be one.
#[inline(always)]
fn within(at: usize) -> usize {
    let mut at = at;
    // SAFETY: it calculates.
    unsafe { asm!("{0} &= 63", inout(reg) at, options(pure, nomem, nostack)) };
    at
}
