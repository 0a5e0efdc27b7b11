//! Bodies announced as `application/xml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| fuzz::decode(body, "application/xml"));
