//! Programs for the benches: nothing at all, what varies the name in a frame before another program is called, and the
//! same job as ours by the maps that others use. The daemon does not carry them.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch, core_intrinsics))]
#![cfg_attr(
    target_arch = "bpf",
    expect(internal_features, reason = "whether a number is known tells how it must be checked")
)]

#[cfg(target_arch = "bpf")]
mod frame;
#[cfg(target_arch = "bpf")]
mod lookup;

#[cfg(target_arch = "bpf")]
mod programs {
    use aya_ebpf::bindings::{BPF_F_MMAPABLE, TC_ACT_UNSPEC, xdp_action};
    use aya_ebpf::macros::{classifier, map, xdp};
    use aya_ebpf::maps::{Array, ProgramArray};
    use aya_ebpf::programs::{TcContext, XdpContext};

    /// What is written into the frame: behind Ethernet, IPv4, UDP and the header of the message.
    type Bytes = [u64; 8];

    const AT: usize = 54;

    /// Bytes to write, in turn; as many as a power of two.
    #[map]
    static BYTES: Array<Bytes> = Array::with_max_entries(1, BPF_F_MMAPABLE);
    /// How many were written, and how many there are less one.
    #[map]
    static TURN: Array<[u64; 2]> = Array::with_max_entries(1, BPF_F_MMAPABLE);
    #[map]
    static XDP: ProgramArray = ProgramArray::with_max_entries(1, 0);
    #[map]
    static TC: ProgramArray = ProgramArray::with_max_entries(1, 0);

    #[xdp(frags)]
    fn empty_xdp(_: XdpContext) -> u32 {
        xdp_action::XDP_PASS
    }

    #[classifier]
    fn empty_tc(_: TcContext) -> i32 {
        TC_ACT_UNSPEC
    }

    /// One line of this map, for each name another one.
    #[map]
    static LINES: Array<Bytes> = Array::with_max_entries(1, BPF_F_MMAPABLE);

    /// As many entries as it has.
    const LINES_ENTRIES: u64 = 333_334;

    /// The least that a look into a table can cost: one line of memory that nobody could have asked for before.
    #[xdp(frags)]
    fn line_xdp(context: XdpContext) -> u32 {
        // Of the zone's label, behind `www`.
        let from = context.data().wrapping_add(AT + 5);
        if from.wrapping_add(size_of::<u64>()) > context.data_end() {
            return xdp_action::XDP_ABORTED;
        }
        // SAFETY: that many bytes of the frame lie there, as just compared.
        let label = unsafe { (from as *const u64).read_unaligned() };
        let index = (label.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32).wrapping_mul(LINES_ENTRIES) >> 32;
        let Some(line) = LINES.get_ptr_mut(index as u32) else { return xdp_action::XDP_ABORTED };
        // SAFETY: a map's value.
        unsafe { (*line)[0] = (*line)[0].wrapping_add(1) };
        xdp_action::XDP_PASS
    }

    #[xdp(frags)]
    fn vary_xdp(context: XdpContext) -> u32 {
        vary(context.data(), context.data_end());
        // SAFETY: what is in the map is a program for this hook.
        unsafe { XDP.tail_call(&context, 0) };
        xdp_action::XDP_ABORTED
    }

    #[classifier]
    fn vary_tc(context: TcContext) -> i32 {
        vary(context.data(), context.data_end());
        // SAFETY: as above.
        unsafe { TC.tail_call(&context, 0) };
        0
    }

    #[inline(always)]
    fn vary(start: usize, end: usize) {
        let Some(turn) = TURN.get_ptr_mut(0) else { return };
        // SAFETY: a map's value.
        let [nth, mask] = unsafe { turn.read() };
        // SAFETY: as above.
        unsafe { (*turn)[0] = nth.wrapping_add(1) };
        let Some(bytes) = BYTES.get((nth & mask) as u32) else { return };
        let from = start.wrapping_add(AT);
        if from.wrapping_add(size_of::<Bytes>()) > end {
            return;
        }
        // Word by word: all at once is a call of `memmove`, byte by byte.
        for (nth, word) in bytes.iter().enumerate() {
            // SAFETY: that many bytes of the frame lie there, as just compared.
            unsafe { (from as *mut u64).add(nth).write_unaligned(*word) };
        }
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        loop {}
    }
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}
