#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| storefront_properties::webhook(bytes));
