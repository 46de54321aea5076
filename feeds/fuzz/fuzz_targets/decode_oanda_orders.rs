//! Any bytes as payloads of decoder `oanda_orders`.
#![no_main]

use tickline_config::model::DecoderKind;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tickline_fuzz::decode(DecoderKind::OandaOrders, data));
