//! Names of pairs: version 2 of the WebSocket says `BTC/USD`, REST says `XBTUSD` when asked and `XXBTZUSD` when it
//! answers. The table comes from AssetPairs (<https://docs.kraken.com/api/docs/rest-api/get-tradable-asset-pairs>); no
//! name is guessed from its letters.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::book::Amount;

/// What REST calls other than the WebSocket does.
const OTHER_NAMES: [(&str, &str); 2] = [("XBT", "BTC"), ("XDG", "DOGE")];

/// Most places of a step.
const PLACES_MAX: u8 = 18;

/// One pair of AssetPairs, or of the channel `instrument`, which does not know REST's names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// REST's name in answers.
    pub rest_name: String,
    /// REST's name in questions.
    pub altname: String,
    /// The name of version 1 of the WebSocket.
    pub wsname: String,
    /// Digits of a price behind the point.
    pub price_digits: u8,
    /// Digits of a quantity behind the point.
    pub qty_digits: u8,
    /// Smallest step of a price, where it is told.
    pub tick_size: Option<Amount>,
    /// `online`, or why not.
    pub status: String,
}

/// All pairs, by the WebSocket's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// By the WebSocket's name.
    pub by_name: BTreeMap<String, Pair>,
    /// Entries that cannot be read, and are left out.
    pub malformed: u64,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    error: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    result: BTreeMap<String, &'a RawValue>,
}

#[derive(Deserialize)]
struct Entry {
    altname: String,
    #[serde(default)]
    wsname: Option<String>,
    pair_decimals: u8,
    lot_decimals: u8,
    #[serde(default)]
    tick_size: Option<String>,
    #[serde(default)]
    status: Option<String>,
}

impl Pairs {
    /// Reads the answer of AssetPairs; an error says what Kraken says. An odd entry takes no other with it.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if !answer.error.is_empty() {
            return Err(answer.error.join(", "));
        }
        let mut pairs = Self::default();
        for (rest_name, entry) in answer.result {
            let Ok(entry) = serde_json::from_str::<Entry>(entry.get()) else {
                pairs.malformed += 1;
                continue;
            };
            // Dark pools have no such name, and no public data.
            let Some(wsname) = entry.wsname else { continue };
            let Some(symbol) = symbol(&wsname) else {
                pairs.malformed += 1;
                continue;
            };
            let status = entry.status.unwrap_or_else(|| "online".to_owned());
            let (price_digits, qty_digits) = (entry.pair_decimals, entry.lot_decimals);
            let altname = entry.altname;
            let tick_size = entry.tick_size.and_then(|step| increment(&step));
            let pair = Pair { rest_name, altname, wsname, price_digits, qty_digits, tick_size, status };
            pairs.by_name.insert(symbol, pair);
        }
        Ok(pairs)
    }

    /// REST's name of a pair in questions.
    pub fn altname(&self, symbol: &str) -> Option<&str> {
        self.by_name.get(symbol).map(|pair| pair.altname.as_str())
    }
}

/// A step as the venue writes it, also with an exponent; none: it is no step of at most 18 places.
pub(super) fn increment(text: &str) -> Option<Amount> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let amount = Amount::parse(mantissa)?;
    let scale = i32::from(amount.scale).checked_sub(exponent.parse().ok()?)?;
    let scale = u8::try_from(scale).ok().filter(|scale| *scale <= PLACES_MAX)?;
    Some(Amount { scale, ..amount })
}

/// The WebSocket's name of what REST calls `XBT/USD`.
fn symbol(wsname: &str) -> Option<String> {
    let (base, quote) = wsname.split_once('/')?;
    let [base, quote] = [base, quote]
        .map(|asset| OTHER_NAMES.iter().find(|(rest, _)| *rest == asset).map_or(asset, |(_, name)| *name));
    Some(format!("{base}/{quote}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_have_the_names_of_the_websocket_and_of_rest() {
        let body = br#"{"error":[],"result":{
            "XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT/USD","base":"XXBT","quote":"ZUSD","pair_decimals":1,"lot_decimals":8,"tick_size":"0.1","status":"online"},
            "XXDGXXBT":{"altname":"XDGXBT","wsname":"XDG/XBT","pair_decimals":8,"lot_decimals":8},
            "ODD":{"altname":"ODD","wsname":"ODD/USD","pair_decimals":"many"},
            "XETHXXBT.d":{"altname":"ETHXBT.d","pair_decimals":5,"lot_decimals":8}}}"#;
        let pairs = Pairs::read(body).unwrap();
        let names: Vec<(&str, &str)> =
            pairs.by_name.iter().map(|(name, pair)| (name.as_str(), pair.altname.as_str())).collect();
        assert_eq!(names, [("BTC/USD", "XBTUSD"), ("DOGE/BTC", "XDGXBT")], "a dark pool has no public name");
        assert_eq!((pairs.altname("ETH/USD"), pairs.malformed), (None, 1));
        assert_eq!(pairs.by_name["BTC/USD"].tick_size, Some(Amount { digits: 1, scale: 1 }));
    }

    #[test]
    fn an_increment_may_have_an_exponent() {
        let amount = |digits, scale| Some(Amount { digits, scale });
        for (text, read) in [
            ("0.1", amount(1, 1)),
            ("1e-08", amount(1, 8)),
            ("2.5E-3", amount(25, 4)),
            ("5e+0", amount(5, 0)),
            ("1e3", None),
            ("1e-99", None),
            ("x", None),
            ("-1", None),
        ] {
            assert_eq!(increment(text), read, "{text}");
        }
    }

    #[test]
    fn what_kraken_says_instead_is_told() {
        let refused = Pairs::read(br#"{"error":["EAPI:Rate limit exceeded"]}"#);
        assert_eq!(refused, Err("EAPI:Rate limit exceeded".to_owned()));
        assert!(Pairs::read(b"<html>").is_err());
    }
}
