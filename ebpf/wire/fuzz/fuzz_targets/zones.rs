//! libFuzzer around the check of the same name; `tests/wire/corpus.rs` replays its corpus without libFuzzer.
#![no_main]

#[path = "../src/zones.rs"]
mod zones;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zones::check(bytes));
