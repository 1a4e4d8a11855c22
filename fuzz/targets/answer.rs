//! What an instance answers: it does not matter how the bytes arrive.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cutover_proxy::fuzzing::answer(bytes));
