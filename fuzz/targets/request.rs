//! What a client sends: nothing goes on to an instance that could be read in two ways.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cutover_proxy::fuzzing::request(bytes));
