//! The kernel programs: they count what passes by, and let everything pass.
//!
//! `ingress` is there twice, for XDP and for TC; `egress` is TC's. What a frame means is in `wire`, how the maps are laid
//! out in `layout`; here are the packet pointers (`frame`), the maps (`maps`), what is counted in them (`shard`)
//! and the hooks.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch, core_intrinsics))]
#![cfg_attr(
    target_arch = "bpf",
    expect(internal_features, reason = "whether a number is known tells how it must be checked")
)]

#[cfg(target_arch = "bpf")]
mod atomic;
#[cfg(target_arch = "bpf")]
mod chain;
#[cfg(target_arch = "bpf")]
mod frame;
#[cfg(target_arch = "bpf")]
mod hook;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod plain;
#[cfg(target_arch = "bpf")]
mod scratch;
#[cfg(target_arch = "bpf")]
mod shard;

#[cfg(not(target_arch = "bpf"))]
fn main() {}
