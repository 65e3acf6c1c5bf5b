//! Capabilities: which ones counting needs, which ones this process has, and giving them up once it has begun. And what
//! others may see of its memory.

use caps::{CapSet, Capability};

/// For programs and maps of BPF, for hooks on interfaces, for packet sockets; and the one that stands for most of these.
const ALL: [Capability; 5] = [
    Capability::CAP_BPF,
    Capability::CAP_PERFMON,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_NET_RAW,
    Capability::CAP_SYS_ADMIN,
];

/// Gives a program all that counting may need, where it is not root.
pub const SETCAP: &str = "setcap cap_bpf,cap_perfmon,cap_net_admin,cap_net_raw+ep";

/// Which of these the calling thread has not, by their names.
#[must_use]
pub fn missing(wanted: &[Capability]) -> Vec<String> {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    let stood_for = |capability| {
        matches!(capability, Capability::CAP_BPF | Capability::CAP_PERFMON) && has(Capability::CAP_SYS_ADMIN)
    };
    let missing = wanted.iter().filter(|&&capability| !has(capability) && !stood_for(capability));
    missing.map(ToString::to_string).collect()
}

/// Which of those that counting in the kernel needs the calling thread has not.
#[must_use]
pub fn missing_for_the_kernel() -> Vec<String> {
    missing(&[Capability::CAP_BPF, Capability::CAP_PERFMON, Capability::CAP_NET_ADMIN])
}

/// Gives up, in the calling thread and those that it starts from here on, all that counting needs but `kept`.
pub fn keep(kept: &[Capability]) {
    for capability in ALL.iter().filter(|capability| !kept.contains(capability)) {
        // The ambient set follows. What was not there cannot be dropped.
        for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
            let _ = caps::drop(None, set, *capability);
        }
    }
}

/// From here on no core of this process is dumped, and nobody but root looks into its memory: there are secrets in it.
pub(crate) fn leave_no_core() {
    // SAFETY: PR_SET_DUMPABLE takes one number and touches no memory of this process.
    let done = unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
    debug_assert_eq!(done, 0, "0 is always taken");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_given_up_by_this_thread_only() {
        let before = missing_for_the_kernel();
        let after = std::thread::spawn(|| {
            keep(&[]);
            missing_for_the_kernel()
        });
        assert_eq!(after.join().unwrap(), ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"]);
        assert_eq!(missing_for_the_kernel(), before);
    }
}
