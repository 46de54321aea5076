//! Bars: open, high, low, close of an interval, made by the database from what it has stored, and written back to it.
//! Measurement `<source>_bars`, tags of the series and `interval`; time: the begin of the interval.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use super::points::escape;
use super::{Admin, AdminError, Row, identifier};

/// What bars are made from.
#[derive(Debug)]
pub struct Recipe {
    /// Measurement that holds the points.
    pub measurement: &'static str,
    /// Tags that tell series apart; others, such as the side of a trade, are joined.
    tags: &'static [&'static str],
    /// Fields whose first, highest, lowest and last value a bar has, and what their names begin with.
    prices: &'static [(&'static str, &'static str)],
    /// Field that is added up, and multiplied with the first price for the turnover.
    volume: Option<&'static str>,
}

/// Measurements that bars are made of.
pub static RECIPES: [Recipe; 4] = [
    Recipe {
        measurement: "kraken_tick",
        tags: &["base", "exchange", "pair", "quote"],
        prices: &[("bid", "bid_"), ("ask", "ask_")],
        volume: None,
    },
    Recipe {
        measurement: "kraken_trades",
        tags: &["base", "exchange", "pair", "quote"],
        prices: &[("price", "")],
        volume: Some("qty"),
    },
    Recipe {
        measurement: "oanda_tick",
        tags: &["base", "exchange", "instrument", "quote"],
        prices: &[("bid", "bid_"), ("ask", "ask_")],
        volume: None,
    },
    Recipe {
        measurement: "betfair_stream",
        tags: &["exchange", "handicap", "market_id", "selection_id"],
        prices: &[("last_price", "")],
        volume: None,
    },
];

/// Length of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interval {
    /// One minute, made from points.
    Minute,
    /// Five minutes, made from bars of one.
    FiveMinutes,
    /// An hour, made from bars of a minute.
    Hour,
}

impl Interval {
    /// All of them, the shortest first.
    pub const ALL: [Interval; 3] = [Interval::Minute, Interval::FiveMinutes, Interval::Hour];

    /// Value of the tag `interval`, and InfluxQL.
    pub const fn name(self) -> &'static str {
        match self {
            Interval::Minute => "1m",
            Interval::FiveMinutes => "5m",
            Interval::Hour => "1h",
        }
    }

    /// Its length, s.
    pub const fn seconds(self) -> i64 {
        match self {
            Interval::Minute => 60,
            Interval::FiveMinutes => 300,
            Interval::Hour => 3_600,
        }
    }

    /// Begin of the interval that a time lies in; both in s since 1970.
    pub const fn begin_s(self, time_s: i64) -> i64 {
        time_s - time_s.rem_euclid(self.seconds())
    }
}

/// Whole intervals, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Their length.
    pub interval: Interval,
    /// Begin of the first, s since 1970.
    pub from_s: i64,
    /// End of the last.
    pub to_s: i64,
}

/// A column of a bar: how it comes from points, how from shorter bars.
struct Column {
    name: String,
    from_points: String,
    joins: &'static str,
}

impl Recipe {
    /// Measurement of the bars.
    pub fn bars(&self) -> String {
        format!("{}_bars", self.measurement)
    }

    fn columns(&self) -> Vec<Column> {
        let column = |name: String, function: &str, field: &str, joins| Column {
            name,
            from_points: format!("{function}({})", identifier(field)),
            joins,
        };
        let mut columns = Vec::new();
        for (field, before) in self.prices {
            for (ending, function) in [("open", "first"), ("high", "max"), ("low", "min"), ("close", "last")]
            {
                columns.push(column(format!("{before}{ending}"), function, field, function));
            }
        }
        if let Some((field, _)) = self.prices.first() {
            columns.push(column("ticks".to_owned(), "count", field, "sum"));
        }
        columns.extend(self.volume.map(|field| column("volume".to_owned(), "sum", field, "sum")));
        columns
    }
}

impl Column {
    /// Counts are whole numbers; the database says 3 for 3.0, too.
    fn write(&self, value: &Value, line: &mut String) {
        let ending = if self.name == "ticks" { "i" } else { "" };
        let first = if line.ends_with(' ') { "" } else { "," };
        line.push_str(&format!("{first}{}={value}{ending}", self.name));
    }
}

impl Admin {
    /// Makes the bars of a stretch of time, from points of one policy to another; how many there are. `overlaps` says of an interval,
    /// ns since 1970, whether ticks are missing in it.
    pub fn make_bars(
        &self,
        recipe: &Recipe,
        stretch: Stretch,
        (points, policy): (&str, &str),
        overlaps: &dyn Fn(i64, i64) -> bool,
    ) -> Result<u64, AdminError> {
        let columns = recipe.columns();
        let (rows, turnovers) = if stretch.interval == Interval::Minute {
            let source = self.source(points, recipe.measurement)?;
            let list: Vec<String> =
                columns.iter().map(|c| format!("{} AS {}", c.from_points, c.name)).collect();
            (
                self.grouped(recipe, stretch, &list.join(", "), &source)?,
                self.turnovers(recipe, stretch, &source)?,
            )
        } else {
            let source = self.source(policy, &recipe.bars())?;
            let join = |c: &Column| format!("{}({}) AS {}", c.joins, identifier(&c.name), c.name);
            let list: Vec<String> = columns.iter().map(join).collect();
            let sum = "sum(turnover) AS turnover";
            let turnovers = if recipe.volume.is_some() {
                self.grouped(recipe, stretch, sum, &source)?
            } else {
                Vec::new()
            };
            (self.grouped(recipe, stretch, &list.join(", "), &source)?, turnovers)
        };
        let turnovers: BTreeMap<_, &Value> =
            turnovers.iter().filter_map(|row| Some((key(row)?, row.get(1)?))).collect();
        let (mut lines, mut count) = (String::new(), 0);
        for row in &rows {
            let at_ns = row.get(0).and_then(Value::as_i64).ok_or_else(|| self.unreadable(row))?;
            let begin = lines.len();
            escape(&mut lines, &recipe.bars(), &[',', ' ']);
            for (name, value) in
                row.head.tags.iter().filter(|(name, value)| !value.is_empty() && *name != "interval")
            {
                lines.push_str(&format!(",{name}="));
                escape(&mut lines, value, &[',', '=', ' ']);
            }
            lines.push_str(&format!(",interval={} ", stretch.interval.name()));
            let values =
                columns.iter().enumerate().filter_map(|(at, column)| Some((column, row.get(at + 1)?)));
            let mut present = values.filter(|(_, value)| !value.is_null()).peekable();
            if present.peek().is_none() {
                lines.truncate(begin);
                continue;
            }
            let mut volume = None;
            for (column, value) in present {
                column.write(value, &mut lines);
                volume = if column.name == "volume" { value.as_f64() } else { volume };
            }
            if let Some(turnover) = key(row).and_then(|key| turnovers.get(&key)?.as_f64()) {
                lines.push_str(&format!(",turnover={turnover:?}"));
                let vwap = volume.filter(|volume| *volume > 0.0).map(|volume| turnover / volume);
                lines.push_str(&vwap.map_or_else(String::new, |vwap| format!(",vwap={vwap:?}")));
            }
            let gap = overlaps(at_ns, at_ns + stretch.interval.seconds() * 1_000_000_000);
            lines.push_str(&format!(",gap={gap} {at_ns}\n"));
            count += 1;
        }
        if count > 0 {
            self.write_lines(policy, Bytes::from(lines))?;
        }
        Ok(count)
    }

    /// Spans in which these feeds miss ticks and which overlap a time, of the policy that holds points: from and to, ns since 1970.
    pub fn gaps(
        &self,
        points: &str,
        feeds: &[&str],
        from_ns: i64,
        to_ns: i64,
    ) -> Result<Vec<(i64, i64)>, AdminError> {
        let source = self.source(points, "feed_gap")?;
        let feed = |feed: &&str| format!("\"feed\" = '{}'", feed.replace('\'', "\\'"));
        let feeds: Vec<String> = feeds.iter().map(feed).collect();
        if feeds.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.query(&format!(
            "SELECT from_ns, to_ns FROM {source} WHERE time < {to_ns}ns AND to_ns >= {from_ns} AND ({})",
            feeds.join(" OR ")
        ))?;
        let pair = |row: &Row| Some((row.get(1)?.as_i64()?, row.get(2)?.as_i64()?));
        rows.iter().map(|row| pair(row).ok_or_else(|| self.unreadable(row))).collect()
    }

    /// The sums of price by volume.
    fn turnovers(&self, recipe: &Recipe, stretch: Stretch, source: &str) -> Result<Vec<Row>, AdminError> {
        let (Some(volume), Some((price, _))) = (recipe.volume, recipe.prices.first()) else {
            return Ok(Vec::new());
        };
        // An expression can be summed only in a query around it.
        let inner = format!(
            "(SELECT {} * {} AS turnover FROM {source} WHERE {})",
            identifier(price),
            identifier(volume),
            span(stretch)
        );
        self.grouped(recipe, stretch, "sum(turnover) AS turnover", &inner)
    }

    fn grouped(
        &self,
        recipe: &Recipe,
        stretch: Stretch,
        list: &str,
        source: &str,
    ) -> Result<Vec<Row>, AdminError> {
        let tags: Vec<String> = recipe.tags.iter().map(|tag| identifier(tag)).collect();
        let shorter = if stretch.interval == Interval::Minute { "" } else { " AND \"interval\" = '1m'" };
        self.query(&format!(
            "SELECT {list} FROM {source} WHERE {}{shorter} GROUP BY time({}), {} fill(none)",
            span(stretch),
            stretch.interval.name(),
            tags.join(", ")
        ))
    }
}

fn span(stretch: Stretch) -> String {
    format!("time >= {}s AND time < {}s", stretch.from_s, stretch.to_s)
}

/// What a row of one query has in common with that of another.
fn key(row: &Row) -> Option<(&BTreeMap<String, String>, i64)> {
    Some((&row.head.tags, row.get(0)?.as_i64()?))
}
