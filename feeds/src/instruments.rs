//! Instruments: which name is which pair. `XXBTZUSD`, `XBT/USD` and `BTC/USD` are one pair, `BTC/USD`. Names
//! with a slash are split there; others are looked up. What is not found keeps its name, and nothing is guessed.

use std::borrow::Cow;

use hashbrown::HashMap;

/// The names known at start.
#[derive(Debug, Default)]
pub struct Instruments {
    pairs: HashMap<Box<str>, (Box<str>, Box<str>)>,
}

/// A pair as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// Tag `pair`.
    pub pair: Cow<'a, str>,
    /// Tag `base`; empty if the name is unknown.
    pub base: Cow<'a, str>,
    /// Tag `quote`; empty if the name is unknown.
    pub quote: Cow<'a, str>,
}

/// Why an instrument table cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: must be {rule}, found {found:?}")]
pub struct InstrumentsError {
    line: u64,
    rule: &'static str,
    found: String,
}

impl Instruments {
    /// Reads a table with the columns `rest_name,altname,wsname,base,quote`; lines that begin with `#` are
    /// comments. Each of the three names leads to the pair.
    pub fn from_csv(text: &str) -> Result<Self, InstrumentsError> {
        let mut instruments = Self::default();
        instruments.add_csv(text)?;
        Ok(instruments)
    }

    /// Reads a further table, whose rows are believed before those that are known.
    pub fn add_csv(&mut self, text: &str) -> Result<(), InstrumentsError> {
        let mut reader =
            csv::ReaderBuilder::new().comment(Some(b'#')).flexible(true).from_reader(text.as_bytes());
        for row in reader.records() {
            let row = row.map_err(|error| InstrumentsError {
                line: error.position().map_or(0, csv::Position::line),
                rule: "a row of a CSV table",
                found: error.to_string(),
            })?;
            let [rest, alt, ws, base, quote] =
                [0, 1, 2, 3, 4].map(|column| row.get(column).unwrap_or("").trim());
            if base.is_empty() || quote.is_empty() {
                return Err(InstrumentsError {
                    line: row.position().map_or(0, csv::Position::line),
                    rule: "rest_name,altname,wsname,base,quote with base and quote",
                    found: row.iter().collect::<Vec<_>>().join(","),
                });
            }
            for name in [rest, alt, ws].into_iter().filter(|name| !name.is_empty()) {
                self.pairs.insert(Box::from(name), (Box::from(base), Box::from(quote)));
            }
        }
        Ok(())
    }

    /// The pair behind a Kraken name, and whether it is known.
    pub fn kraken<'a>(&'a self, name: &'a str) -> (Pair<'a>, bool) {
        if let Some((base, quote)) = name.split_once('/') {
            return (joined(Cow::Borrowed(modern(base)), Cow::Borrowed(modern(quote))), true);
        }
        match self.pairs.get(name) {
            Some((base, quote)) => (joined(Cow::Borrowed(base), Cow::Borrowed(quote)), true),
            None => (Pair { pair: name.into(), base: "".into(), quote: "".into() }, false),
        }
    }
}

fn joined<'a>(base: Cow<'a, str>, quote: Cow<'a, str>) -> Pair<'a> {
    Pair { pair: format!("{base}/{quote}").into(), base, quote }
}

/// Kraken's own names of two assets, as everyone else calls them.
fn modern(asset: &str) -> &str {
    match asset {
        "XBT" => "BTC",
        "XDG" => "DOGE",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str =
        "# source: made up\nrest_name,altname,wsname,base,quote\nXXBTZUSD,XBTUSD,XBT/USD,BTC,USD\n";

    #[test]
    fn every_name_of_a_pair_leads_to_it_and_nothing_is_guessed() {
        let table = Instruments::from_csv(TABLE).unwrap();
        for (name, pair, known) in [
            ("XXBTZUSD", ("BTC/USD", "BTC", "USD"), true),
            ("XBTUSD", ("BTC/USD", "BTC", "USD"), true),
            ("XBT/USD", ("BTC/USD", "BTC", "USD"), true),
            ("BTC/USD", ("BTC/USD", "BTC", "USD"), true),
            ("XDG/EUR", ("DOGE/EUR", "DOGE", "EUR"), true),
            ("ADAUSDT", ("ADAUSDT", "", ""), false),
        ] {
            let (found, is_known) = table.kraken(name);
            assert_eq!((&*found.pair, &*found.base, &*found.quote), pair, "{name}");
            assert_eq!(is_known, known, "{name}");
        }
    }

    #[test]
    fn a_further_table_is_believed_before_the_first() {
        let mut table = Instruments::from_csv(TABLE).unwrap();
        table
            .add_csv("rest_name,altname,wsname,base,quote\nNEWUSD,NEWUSD,NEW/USD,NEW,USD\nXBTUSD,,,B,U\n")
            .unwrap();
        let pair = |name| table.kraken(name).0.pair.into_owned();
        assert_eq!(["NEWUSD", "XBTUSD", "XXBTZUSD"].map(pair), ["NEW/USD", "B/U", "BTC/USD"]);
    }

    #[test]
    fn a_row_without_a_quote_is_named() {
        let error = Instruments::from_csv("rest_name,altname,wsname,base,quote\nX,Y,Z,BTC\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2: must be rest_name,altname,wsname,base,quote with base and quote, found \"X,Y,Z,BTC\""
        );
    }
}
