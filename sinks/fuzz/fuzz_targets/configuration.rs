//! Any text as a configuration file: read, or refused with a place, and never a panic.
#![no_main]

use std::io::Write;

use tickline_config::model::Config;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    let loaded = Config::load(&[file.path().to_owned()], &[], &|_| None);
    if let Err(errors) = loaded {
        assert!(!errors.to_string().is_empty());
    }
});
