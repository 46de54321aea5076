//! A plain Kraken book: price levels as the venue wrote them, kept sorted, cut to the subscribed depth after each
//! message, and checked against the venue's CRC-32 (<https://docs.kraken.com/api/docs/guides/spot-ws-book-v2>).

use std::cmp::Ordering;

use serde_json::value::RawValue;
use tickline_feeds::payload::PayloadWriter;

/// Levels that the checksum covers, and that are published.
const TOP: usize = 10;

/// Digits behind the point to which prices are compared.
const SCALE: usize = 18;

/// One level as the venue sends it; quantity 0 removes.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Level<'a> {
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    qty: &'a RawValue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    key: i128,
    price: String,
    qty: String,
}

/// Both sides, best first.
#[derive(Debug)]
pub(crate) struct Book {
    depth: usize,
    bids: Vec<Kept>,
    asks: Vec<Kept>,
}

impl Book {
    /// An empty book of a subscription to `depth` levels.
    pub(crate) fn new(depth: usize) -> Self {
        Self { depth, bids: Vec::new(), asks: Vec::new() }
    }

    /// Forgets all levels.
    pub(crate) fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    /// Applies the levels of one message in their order and cuts to the depth; an error names the bad number.
    pub(crate) fn apply(&mut self, bids: &[Level<'_>], asks: &[Level<'_>]) -> Result<(), String> {
        for level in bids {
            set(&mut self.bids, level, |kept, key| key.cmp(&kept))?;
        }
        for level in asks {
            set(&mut self.asks, level, |kept, key| kept.cmp(&key))?;
        }
        self.bids.truncate(self.depth);
        self.asks.truncate(self.depth);
        Ok(())
    }

    /// CRC-32 of the ten best levels: asks, then bids, price and quantity without point and leading zeros.
    pub(crate) fn checksum(&self) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        for level in self.asks.iter().take(TOP).chain(self.bids.iter().take(TOP)) {
            for text in [&level.price, &level.qty] {
                crc.update(text.replace('.', "").trim_start_matches('0').as_bytes());
            }
        }
        crc.finalize()
    }

    /// Price and quantity of bids and of asks, best first.
    #[cfg(feature = "drill")]
    pub(crate) fn sides(&self) -> [Vec<(&str, &str)>; 2] {
        [texts(&self.bids), texts(&self.asks)]
    }

    /// Writes the keys `bids` and `asks`: always ten levels a side, padded with no price and size 0.
    pub(super) fn write(&self, out: &mut PayloadWriter) {
        for (key, side) in [("bids", &self.bids), ("asks", &self.asks)] {
            out.text(key);
            out.array(TOP as u32);
            for position in 0..TOP {
                out.array(2);
                match side.get(position) {
                    Some(level) => {
                        out.decimal_text(&level.price);
                        out.decimal_text(&level.qty);
                    }
                    None => {
                        out.nil();
                        out.decimal_text("0");
                    }
                }
            }
        }
    }
}

#[cfg(feature = "drill")]
fn texts(side: &[Kept]) -> Vec<(&str, &str)> {
    side.iter().map(|level| (level.price.as_str(), level.qty.as_str())).collect()
}

/// `order` compares a kept key with a new one in the order of the side.
fn set(side: &mut Vec<Kept>, level: &Level<'_>, order: fn(i128, i128) -> Ordering) -> Result<(), String> {
    let (price, qty) = (level.price.get(), level.qty.get());
    let number =
        |text| scaled(text).ok_or_else(|| format!("price and qty must be plain decimals, found {text}"));
    let (key, amount) = (number(price)?, number(qty)?);
    let place = side.binary_search_by(|kept| order(kept.key, key));
    match (place, amount) {
        (Ok(at), 0) => drop(side.remove(at)),
        (Err(_), 0) => {}
        (Ok(at), _) => side[at].qty = qty.to_owned(),
        (Err(at), _) => side.insert(at, Kept { key, price: price.to_owned(), qty: qty.to_owned() }),
    }
    Ok(())
}

/// A plain positive decimal in units of the 18th digit.
fn scaled(text: &str) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || whole.len() > SCALE
        || fraction.len() > SCALE
        || !digits(whole)
        || !digits(fraction)
    {
        return None;
    }
    format!("{whole}{fraction:0<SCALE$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(json: &str) -> Vec<Level<'_>> {
        serde_json::from_str(json).unwrap()
    }

    fn tops(book: &Book) -> (Vec<&str>, Vec<&str>) {
        (
            book.bids.iter().map(|l| l.price.as_str()).collect(),
            book.asks.iter().map(|l| l.price.as_str()).collect(),
        )
    }

    #[test]
    fn levels_come_in_any_order_and_stand_best_first_cut_to_the_depth() {
        let mut book = Book::new(2);
        let bids = r#"[{"price":9.5,"qty":1},{"price":10.0,"qty":2.50},{"price":9.75,"qty":1}]"#;
        book.apply(&levels(bids), &levels(r#"[{"price":11,"qty":1},{"price":10.5,"qty":1}]"#)).unwrap();
        assert_eq!(tops(&book), (vec!["10.0", "9.75"], vec!["10.5", "11"]));
        book.apply(&levels(r#"[{"price":10.0,"qty":0.00},{"price":8,"qty":0}]"#), &[]).unwrap();
        assert_eq!(tops(&book), (vec!["9.75"], vec!["10.5", "11"]));
        assert!(book.apply(&levels(r#"[{"price":1e3,"qty":1}]"#), &[]).is_err());
    }

    #[test]
    fn the_checksum_reads_digits_without_point_and_leading_zeros() {
        let mut book = Book::new(10);
        let asks = r#"[{"price":45285.2,"qty":0.00100000}]"#;
        book.apply(&levels(r#"[{"price":0.05005,"qty":0.50000000}]"#), &levels(asks)).unwrap();
        assert_eq!(book.checksum(), crc32fast::hash(b"452852100000500550000000"));
    }
}
