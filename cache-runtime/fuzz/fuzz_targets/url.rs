#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| cache_runtime::hostile::url(text));
