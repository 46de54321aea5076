//! Lean tick archives: a zip with one headerless CSV of `ms since midnight UTC,bid,ask`. Instrument and day stand
//! in the names, either `<day>_<pair>_tick_quote.csv` inside or `…<pair>…<day>…` of the zip. Each line becomes a
//! v20 PRICE without liquidity, which the file does not have.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::{Decimals, PayloadWriter};

use super::{Message, Reader, ReplayError, damaged};
use crate::ties::Series;

const MILLI_NS: i64 = 1_000_000;

pub(super) struct Lean {
    path: PathBuf,
    lines: std::vec::IntoIter<u8>,
    line: u64,
    instrument: String,
    midnight_ns: i64,
    series: Series,
    out: PayloadWriter,
}

impl Lean {
    pub(super) fn open(path: &Path, decimals: Decimals) -> Result<Self, ReplayError> {
        let file = File::open(path).map_err(|error| ReplayError::Io { path: path.to_owned(), error })?;
        let broken = |rule: String| damaged(path, 0, rule);
        let mut archive = zip::ZipArchive::new(file).map_err(|error| broken(error.to_string()))?;
        let mut entry = archive.by_index(0).map_err(|error| broken(error.to_string()))?;
        let zip_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let csv_name = entry.name().map_err(|error| broken(error.to_string()))?.into_owned();
        let names = format!("{csv_name}_{zip_name}");
        let mut csv = Vec::new();
        entry.read_to_end(&mut csv).map_err(|error| broken(error.to_string()))?;
        let no_name = || broken(format!("the name must have a pair and a day, found {names}"));
        Ok(Self {
            path: path.to_owned(),
            lines: csv.into_iter(),
            line: 0,
            instrument: instrument(&names).ok_or_else(no_name)?,
            midnight_ns: midnight_ns(&names).ok_or_else(no_name)?,
            series: Series::default(),
            out: PayloadWriter::new(decimals),
        })
    }
}

fn words(names: &str) -> impl Iterator<Item = &str> {
    names.split(['_', '.', '/', '-'])
}

/// `eurusd` as `EUR_USD`.
fn instrument(names: &str) -> Option<String> {
    let pair = words(names).find(|word| word.len() == 6 && word.bytes().all(|b| b.is_ascii_alphabetic()))?;
    let (base, quote) = pair.split_at(3);
    Some(format!("{base}_{quote}").to_ascii_uppercase())
}

fn midnight_ns(names: &str) -> Option<i64> {
    let day = words(names).find(|word| word.len() == 8 && word.bytes().all(|b| b.is_ascii_digit()))?;
    let date = Date::strptime("%Y%m%d", day).ok()?;
    i64::try_from(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_nanosecond()).ok()
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quote {
    pub(crate) at: WallNanos,
    pub(crate) bid: String,
    pub(crate) ask: String,
}

/// All lines of a file, and the instrument they are of.
#[cfg(feature = "drill")]
pub(crate) fn quotes(path: &Path) -> Result<(String, Vec<Quote>), ReplayError> {
    let mut lean = Lean::open(path, Decimals::Text)?;
    let mut quotes = Vec::new();
    while let Some(quote) = lean.quote()? {
        quotes.push(quote);
    }
    Ok((lean.instrument, quotes))
}

impl Lean {
    fn quote(&mut self) -> Result<Option<Quote>, ReplayError> {
        let bytes: Vec<u8> = self.lines.by_ref().take_while(|byte| *byte != b'\n').collect();
        if bytes.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        let broken = || damaged(&self.path, self.line, "a line must be `ms,bid,ask`");
        let text = String::from_utf8(bytes).map_err(|_| broken())?;
        let mut columns = text.trim_end().split(',');
        let (Some(ms), Some(bid), Some(ask), None) =
            (columns.next(), columns.next(), columns.next(), columns.next())
        else {
            return Err(broken());
        };
        let ms: i64 = ms.parse().map_err(|_| broken())?;
        let at = WallNanos(self.midnight_ns + ms * MILLI_NS);
        Ok(Some(Quote { at, bid: bid.to_owned(), ask: ask.to_owned() }))
    }
}

impl Reader for Lean {
    fn next(&mut self) -> Result<Option<Message>, ReplayError> {
        let Some(quote) = self.quote()? else { return Ok(None) };
        let out = &mut self.out;
        out.clear();
        out.map(5);
        out.text("type");
        out.text("PRICE");
        out.text("time");
        out.rfc3339(quote.at, 9);
        for (key, price) in [("bids", &quote.bid), ("asks", &quote.ask)] {
            out.text(key);
            out.array(1);
            out.map(1);
            out.text("price");
            out.decimal_text(price);
        }
        out.text("instrument");
        out.text(&self.instrument);
        let (payload, tie) = (out.bytes().to_vec(), self.series.next(quote.at.0));
        Ok(Some(Message { at: Some(quote.at), payload, tie, ..Message::default() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pair_and_day_are_read_from_the_names() {
        for names in
            ["20140502_eurusd_tick_quote.csv_20140502_quote.zip", "ticks.csv_lean_eurusd_tick_20140502.zip"]
        {
            assert_eq!(instrument(names).as_deref(), Some("EUR_USD"));
            assert_eq!(midnight_ns(names), Some(1_398_988_800_000_000_000));
        }
        assert_eq!((instrument("quote.zip"), midnight_ns("20141302.zip")), (None, None));
    }
}
