//! What a drill sends and what must be stored for it: one line a message, a function of its number alone.

use std::fmt::Write;

use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::{PayloadWriter, Reserved, Times};

use crate::prng::splitmix64;

/// Feed, topic and measurement.
pub(super) const FEED: &str = "drill";
/// `_src` of the publisher.
pub(super) const SRC: u32 = 7;
/// Time of message 0, ns; young enough for every retention policy of a private server.
const BASE_NS: i64 = 1_785_600_000_000_000_000;

/// Venue time of message `n`, ns: no two are equal.
fn time_ns(n: u64) -> i64 {
    BASE_NS.wrapping_add((n as i64).wrapping_mul(1_000))
}

/// Price of message `n`, in hundredths.
fn price(n: u64) -> i64 {
    (splitmix64(n) % 1_000_000) as i64
}

/// Writes the payload of message `n`.
pub(super) fn write(n: u64, sent: WallNanos, out: &mut PayloadWriter) {
    out.clear();
    let times = Times { sent, recv: WallNanos(0), due: WallNanos(0) };
    out.begin(&Reserved { src: SRC, seq: n, times, tie: 0 }, 4);
    out.text("t");
    out.int(time_ns(n));
    out.text("s");
    out.text(SYMBOLS[(n % SYMBOLS.len() as u64) as usize]);
    out.text("n");
    out.uint(n);
    out.text("p");
    out.decimal(price(n), 2);
}

const SYMBOLS: [&str; 4] = ["A", "B", "C", "D"];

/// The line of message `n`, without its newline.
pub(super) fn line(n: u64, out: &mut String) {
    out.clear();
    let (symbol, price) = (SYMBOLS[(n % SYMBOLS.len() as u64) as usize], price(n));
    // Writing to a String cannot fail.
    write!(out, "{FEED},s={symbol} n={n}i,p={}.{:02} {}", price / 100, price % 100, time_ns(n)).ok();
}

/// The number that a line says it is of.
pub(super) fn number(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once(" n=")?;
    rest.split_once('i')?.0.parse().ok()
}

/// The keys of the feed at an endpoint.
pub(super) fn feed_keys(endpoint: &str) -> Vec<String> {
    let keys = [
        ("endpoint", format!("{endpoint:?}")),
        ("topic", format!("{FEED:?}")),
        ("decoder", "\"custom\"".into()),
        ("system_fields", "[]".into()),
        ("custom.measurement", format!("{FEED:?}")),
        ("custom.time", "{path=\"t\",unit=\"ns\"}".into()),
        ("custom.tags", "{s=\"s\"}".into()),
        ("custom.fields", "{n=\"n:int\",p=\"p:float\"}".into()),
    ];
    keys.into_iter().map(|(key, value)| format!("feeds.{FEED}.{key}={value}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_which_message_it_is_of() {
        let mut text = String::new();
        line(41, &mut text);
        assert!(text.starts_with("drill,s=B n=41i,p="), "{text}");
        assert!(text.ends_with(" 1785600000000041000"), "{text}");
        assert_eq!(number(&text), Some(41));
        assert_eq!(number("other n=x 1"), None);
    }
}
