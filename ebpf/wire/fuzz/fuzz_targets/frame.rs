//! libFuzzer around the check of the same name; `tests/wire/corpus.rs` replays its corpus without libFuzzer.
#![no_main]

#[path = "../src/frame.rs"]
mod frame;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| frame::check(bytes));
