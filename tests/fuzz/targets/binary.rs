//! Bodies announced as `application/msbin1`.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| fuzz::decode(body, "application/msbin1"));
