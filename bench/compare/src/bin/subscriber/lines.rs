//! Payloads to lines: rmp-serde into structs that borrow, and the official builder, which takes floats as numbers.
//! Series, fields and time are those that tickline writes for the same message.

use anyhow::{Context, Result, bail};
use influxdb_line_protocol::LineProtocolBuilder;
use serde::Deserialize;
use tickline_feeds::time::parse_rfc3339;

/// Which message.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Kraken's WebSocket v2 ticker.
    KrakenTick,
    /// OANDA's v20 PRICE.
    OandaTick,
}

#[derive(Debug, Deserialize)]
struct Tickers<'a> {
    #[serde(rename = "_recv")]
    recv_ns: i64,
    #[serde(borrow)]
    data: Vec<Ticker<'a>>,
}

#[derive(Debug, Deserialize)]
struct Ticker<'a> {
    symbol: &'a str,
    bid: &'a str,
    bid_qty: &'a str,
    ask: &'a str,
    ask_qty: &'a str,
    last: &'a str,
    volume: &'a str,
    vwap: &'a str,
    timestamp: &'a str,
}

#[derive(Debug, Deserialize)]
struct Price<'a> {
    #[serde(rename = "_recv")]
    recv_ns: i64,
    instrument: &'a str,
    time: &'a str,
    #[serde(borrow)]
    bids: Vec<Bucket<'a>>,
    #[serde(borrow)]
    asks: Vec<Bucket<'a>>,
    tradeable: bool,
}

#[derive(Debug, Deserialize)]
struct Bucket<'a> {
    price: &'a str,
    liquidity: i64,
}

impl Kind {
    /// The kind of message that a topic carries.
    pub fn named(topic: &str) -> Result<Self> {
        Ok(match topic {
            "kraken_tick" => Kind::KrakenTick,
            "oanda_tick" => Kind::OandaTick,
            _ => bail!("TOPIC: must be kraken_tick or oanda_tick, found {topic:?}"),
        })
    }

    /// Appends the lines of one payload; how many they are.
    pub fn append(self, payload: &[u8], out: &mut Vec<u8>) -> Result<u64> {
        match self {
            Kind::KrakenTick => {
                let tickers: Tickers<'_> = rmp_serde::from_slice(payload)?;
                for ticker in &tickers.data {
                    ticker.append(tickers.recv_ns, out)?;
                }
                Ok(tickers.data.len() as u64)
            }
            Kind::OandaTick => {
                let price: Price<'_> = rmp_serde::from_slice(payload)?;
                price.append(out)?;
                Ok(1)
            }
        }
    }
}

fn time(text: &str) -> Result<i64> {
    parse_rfc3339(text.as_bytes()).with_context(|| format!("must be a time, found {text:?}"))
}

impl Ticker<'_> {
    fn append(&self, recv_ns: i64, out: &mut Vec<u8>) -> Result<()> {
        let (base, quote) = self.symbol.split_once('/').context("symbol: must be BASE/QUOTE")?;
        let time = time(self.timestamp)?;
        let line = LineProtocolBuilder::new_with(std::mem::take(out))
            .measurement("kraken_tick")
            .tag("base", base)
            .tag("exchange", "kraken")
            .tag("pair", self.symbol)
            .tag("quote", quote)
            .field("bid", self.bid.parse::<f64>()?)
            .field("bid_qty", self.bid_qty.parse::<f64>()?)
            .field("ask", self.ask.parse::<f64>()?)
            .field("ask_qty", self.ask_qty.parse::<f64>()?)
            .field("last_trade_price", self.last.parse::<f64>()?)
            .field("volume", self.volume.parse::<f64>()?)
            .field("vwap", self.vwap.parse::<f64>()?)
            .field("recv_ns", recv_ns);
        *out = line.timestamp(time).close_line().build();
        Ok(())
    }
}

impl Price<'_> {
    fn append(&self, out: &mut Vec<u8>) -> Result<()> {
        let (base, quote) = self.instrument.split_once('_').context("instrument: must be BASE_QUOTE")?;
        let time = time(self.time)?;
        let bid = self.bids.first().context("bids: must have a bucket")?;
        let ask = self.asks.first().context("asks: must have a bucket")?;
        let line = LineProtocolBuilder::new_with(std::mem::take(out))
            .measurement("oanda_tick")
            .tag("base", base)
            .tag("exchange", "oanda")
            .tag("instrument", self.instrument)
            .tag("quote", quote)
            .field("bid", bid.price.parse::<f64>()?)
            .field("ask", ask.price.parse::<f64>()?)
            .field("bid_liquidity", bid.liquidity)
            .field("ask_liquidity", ask.liquidity)
            .field("tradeable", self.tradeable)
            .field("recv_ns", self.recv_ns);
        *out = line.timestamp(time).close_line().build();
        Ok(())
    }
}
