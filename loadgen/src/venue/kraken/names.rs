//! Kraken's several names of a pair: `BTC/USD` on WebSocket v2 is `XXBTZUSD`, `XBTUSD` and `XBT/USD` in REST
//! (<https://docs.kraken.com/api/docs/rest-api/get-tradable-asset-pairs>).

/// Assets of old, whose REST names have a letter in front.
const CRYPTO: [&str; 10] = ["XBT", "ETH", "XRP", "LTC", "XLM", "ETC", "ZEC", "XMR", "REP", "MLN"];
const FIAT: [&str; 6] = ["USD", "EUR", "GBP", "CAD", "JPY", "AUD"];

/// Names of one pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// `XXBTZUSD`
    pub(super) key: String,
    /// `XBTUSD`
    pub(super) altname: String,
    /// `XBT/USD`
    pub(super) wsname: String,
    /// `XXBT`
    pub(super) base: String,
    /// `ZUSD`
    pub(super) quote: String,
}

impl Names {
    /// Of a WebSocket v2 symbol.
    pub(super) fn of(symbol: &str) -> Self {
        let (base, quote) = symbol.split_once('/').unwrap_or((symbol, ""));
        let (base, quote) = (old(base), old(quote));
        let (long_base, long_quote) = (long(base), long(quote));
        // Dogecoin's pairs are the exception: its asset has the letter, they do not.
        let has_letters = base != "XDG" && (long_base != base || FIAT.contains(&base)) && long_quote != quote;
        let key = if has_letters { format!("{long_base}{long_quote}") } else { format!("{base}{quote}") };
        Self {
            key,
            altname: format!("{base}{quote}"),
            wsname: format!("{base}/{quote}"),
            base: long_base,
            quote: long_quote,
        }
    }

    /// Any of its names.
    pub(super) fn is(&self, name: &str) -> bool {
        [&self.key, &self.altname, &self.wsname].into_iter().any(|known| known == name)
    }
}

fn old(asset: &str) -> &str {
    match asset {
        "BTC" => "XBT",
        "DOGE" => "XDG",
        other => other,
    }
}

fn long(asset: &str) -> String {
    if CRYPTO.contains(&asset) || asset == "XDG" {
        format!("X{asset}")
    } else if FIAT.contains(&asset) {
        format!("Z{asset}")
    } else {
        asset.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_the_names_that_the_venue_gives_it() {
        for (symbol, key, altname, wsname, base, quote) in [
            ("BTC/USD", "XXBTZUSD", "XBTUSD", "XBT/USD", "XXBT", "ZUSD"),
            ("ETH/BTC", "XETHXXBT", "ETHXBT", "ETH/XBT", "XETH", "XXBT"),
            ("DOGE/USD", "XDGUSD", "XDGUSD", "XDG/USD", "XXDG", "ZUSD"),
            ("BTC/USDT", "XBTUSDT", "XBTUSDT", "XBT/USDT", "XXBT", "USDT"),
            ("EUR/USD", "ZEURZUSD", "EURUSD", "EUR/USD", "ZEUR", "ZUSD"),
        ] {
            let names = Names::of(symbol);
            let found = (&*names.key, &*names.altname, &*names.wsname, &*names.base, &*names.quote);
            assert_eq!(found, (key, altname, wsname, base, quote));
        }
    }
}
