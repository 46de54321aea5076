//! JSON to msgpack and back, as the command `tickline codec` does it. `cargo run --example codec`

use tickline_feeds::json::append_json;
use tickline_feeds::payload::{Decimals, PayloadWriter};
use tickline_feeds::transcode::{KRAKEN_INTEGERS, transcode};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let json = r#"{"symbol":"BTC/USD","bid":63388.70,"bid_qty":0.25761908,"trade_id":100320028}"#;
    let mut payload = PayloadWriter::new(Decimals::Text);
    transcode(json, KRAKEN_INTEGERS, &mut payload)?;
    let mut back = String::new();
    append_json(payload.bytes(), &mut back).map_err(|why| why.name())?;
    println!("{} bytes of JSON, {} of msgpack", json.len(), payload.bytes().len());
    // A decimal is the text of its digits; a listed key is an integer.
    println!("{back}");
    Ok(())
}
