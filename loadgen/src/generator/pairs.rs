//! Names, prices and digits of the made-up markets.

use crate::prng::Prng;

/// A market whose price walks on its grid around where it started.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    /// Name on the wire.
    pub(crate) name: String,
    /// Digits behind the point of a price.
    pub(crate) digits: u8,
    /// Price now, in units of the last digit.
    pub(crate) price: i64,
    /// Price at the start, in the same units.
    pub(crate) start: i64,
}

impl Walk {
    /// One step of at most two units, back towards the start once it is a tenth away.
    pub(crate) fn step(&mut self, prng: &mut Prng) {
        let away = self.price - self.start;
        let pull = if away.abs() > self.start / 10 { -away.signum() } else { 0 };
        self.price += prng.between(-2, 2) + pull;
    }
}

/// Kraken pairs in WebSocket v2 names: price in units of the last digit, digits.
const KRAKEN: [(&str, i64, u8); 25] = [
    ("BTC/USD", 633_887, 1),
    ("ETH/USD", 351_244, 2),
    ("SOL/USD", 15_237, 2),
    ("XRP/USD", 61_234, 5),
    ("DOGE/USD", 1_234_567, 7),
    ("ADA/USD", 412_345, 6),
    ("LTC/USD", 8_123, 2),
    ("DOT/USD", 61_234, 4),
    ("LINK/USD", 1_312_345, 5),
    ("AVAX/USD", 2_731, 2),
    ("BTC/EUR", 584_102, 1),
    ("ETH/EUR", 323_611, 2),
    ("SOL/EUR", 14_041, 2),
    ("XRP/EUR", 56_427, 5),
    ("ETH/BTC", 5_541, 5),
    ("BTC/USDT", 633_921, 1),
    ("ETH/USDT", 351_251, 2),
    ("USDT/USD", 100_012, 5),
    ("EUR/USD", 108_512, 5),
    ("GBP/USD", 127_123, 5),
    ("ATOM/USD", 71_234, 4),
    ("UNI/USD", 8_123, 3),
    ("TRX/USD", 123_456, 6),
    ("XLM/USD", 112_233, 6),
    ("MINA/GBP", 5_123, 4),
];

/// OANDA instruments: price in units of the last digit, digits.
const OANDA: [(&str, i64, u8); 20] = [
    ("EUR_USD", 108_512, 5),
    ("USD_JPY", 149_312, 3),
    ("GBP_USD", 127_123, 5),
    ("AUD_USD", 65_432, 5),
    ("USD_CAD", 136_543, 5),
    ("USD_CHF", 88_231, 5),
    ("NZD_USD", 60_112, 5),
    ("EUR_GBP", 85_361, 5),
    ("EUR_JPY", 162_013, 3),
    ("GBP_JPY", 189_812, 3),
    ("AUD_JPY", 97_698, 3),
    ("EUR_CHF", 95_741, 5),
    ("EUR_AUD", 165_821, 5),
    ("EUR_CAD", 148_172, 5),
    ("USD_MXN", 1_693_412, 5),
    ("USD_ZAR", 1_872_341, 5),
    ("XAU_USD", 2_031_455, 3),
    ("XAG_USD", 2_312_345, 5),
    ("SPX500_USD", 51_234, 1),
    ("BCO_USD", 82_311, 3),
];

/// The first `symbols` Kraken pairs, further ones with made-up names.
pub(crate) fn kraken(symbols: usize) -> Vec<Walk> {
    named(&KRAKEN, symbols, |n| format!("T{n:04}/USD"))
}

/// The first `symbols` OANDA instruments, further ones with made-up names.
pub(crate) fn oanda(symbols: usize) -> Vec<Walk> {
    named(&OANDA, symbols, |n| format!("T{n:04}_USD"))
}

/// Kraken pairs of these names; one that is not known starts like a made-up one.
#[cfg(feature = "drill")]
pub(crate) fn kraken_walks(names: &[String]) -> Vec<Walk> {
    of_names(&KRAKEN, names)
}

/// OANDA instruments of these names; one that is not known starts like a made-up one.
#[cfg(feature = "drill")]
pub(crate) fn oanda_walks(names: &[String]) -> Vec<Walk> {
    of_names(&OANDA, names)
}

#[cfg(feature = "drill")]
fn of_names(known: &[(&str, i64, u8)], names: &[String]) -> Vec<Walk> {
    let walk = |(place, name): (usize, &String)| {
        let found = known.iter().find(|(known, ..)| known == name);
        let (_, price, digits) = found.copied().unwrap_or(("", 100_000 + place as i64 * 37, 4));
        Walk { name: name.clone(), digits, price, start: price }
    };
    names.iter().enumerate().map(walk).collect()
}

fn named(known: &[(&str, i64, u8)], symbols: usize, made_up: impl Fn(usize) -> String) -> Vec<Walk> {
    let further = (known.len()..symbols).map(|n| (made_up(n), 100_000 + n as i64 * 37, 4));
    let known = known.iter().map(|(name, price, digits)| ((*name).to_owned(), *price, *digits));
    let all = known.chain(further).take(symbols);
    all.map(|(name, price, digits)| Walk { name, digits, price, start: price }).collect()
}
