//! The kernel programs on frames of every shape, by `BPF_PROG_TEST_RUN`: they count what `wire` makes of the same bytes.
//!
//! The kernel runs no program on less than the 14 bytes of an Ethernet header; at TC it wants the IP header too, and at most
//! a page. Such frames are left out there.
#![expect(clippy::unwrap_used, reason = "what is built here is whole, or the test fails")]

#[path = "../../../ebpf/wire/tests/wire/build.rs"]
#[expect(dead_code, reason = "it serves the tests of wire too")]
mod build;
mod decision;
mod ledger;
mod list;
#[path = "../../../ebpf/wire/tests/wire/shapes.rs"]
mod shapes;
mod verifier;
