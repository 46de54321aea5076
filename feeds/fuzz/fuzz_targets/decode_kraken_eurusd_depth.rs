//! Any bytes as payloads of decoder `kraken_eurusd_depth`.
#![no_main]

use tickline_config::model::DecoderKind;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tickline_fuzz::decode(DecoderKind::KrakenEurusdDepth, data));
