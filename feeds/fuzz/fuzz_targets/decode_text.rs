//! Any bytes as payloads of the feeds whose payloads are text, in each of its formats.
#![no_main]

use tickline_config::model::{DecoderKind, Format};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for (_, kind) in DecoderKind::ALL {
        tickline_fuzz::decode_text(kind, Format::Json, data);
        if kind.reads_x01() {
            tickline_fuzz::decode_text(kind, Format::X01, data);
        }
    }
});
