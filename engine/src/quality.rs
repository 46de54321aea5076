//! The quality of a day's points, series by series: how many there are, what of the session they cover, and every point or
//! span at which somebody who computes with them would want to look. Pure: points go in, a report comes out.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;
use tickline_config::model::Session;
use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::rfc3339;
use tickline_loadgen::result::distribution;
use tickline_sinks::admin::StoredPoint;

const MINUTE_NS: i64 = 60_000_000_000;

/// Fields that hold a bid, an ask and a price, in the order in which they are looked for.
const BIDS: [&str; 3] = ["bid", "bid_price", "back_price"];
const ASKS: [&str; 3] = ["ask", "ask_price", "lay_price"];
const PRICES: [&str; 2] = ["price", "last_price"];

/// Defects that a series lists one by one; the others are only counted.
const LISTED_MAX: usize = 1_000;

/// What is a defect.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A mid or price that moves by more than this share of the last one is a jump.
    pub jump: f64,
    /// A point received later than this after its own time is late, ns.
    pub late_ns: i64,
    /// In session a span without points that is longer than this is a silence, ns.
    pub silence_ns: i64,
    /// When points are expected.
    pub session: Session,
}

/// A point or span to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Defect {
    /// Which: `crossed`, `locked`, `zero`, `negative`, `jump`, `out_of_order`, `late`, `tie`, `silence`, `flagged`, or a hole's cause.
    pub kind: String,
    /// RFC 3339, ns.
    pub time: String,
    /// What exactly.
    pub detail: String,
}

/// One series of the day.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// Its tags, such as `pair=BTC/USD`.
    pub series: String,
    /// Points.
    pub ticks: u64,
    /// First and last time, RFC 3339.
    pub first: String,
    /// Last time.
    pub last: String,
    /// Of the minutes of the session those with a point, 0 to 1; null: the session was closed all day.
    pub covered: Option<f64>,
    /// Longest time in session without a point, s.
    pub longest_silence_s: f64,
    /// Defects, by kind.
    pub counts: BTreeMap<String, u64>,
    /// The first of them.
    pub defects: Vec<Defect>,
    /// From a point's time to its receipt, ms: p50, p99, p99.9, largest; null where `recv_ns` is left out.
    pub latency_ms: Option<[f64; 4]>,
    /// Points received before their own time: clocks.
    pub latency_below_0: u64,
}

/// Points of one series, in the order of their time.
#[derive(Debug)]
pub struct Gauge {
    name: String,
    limits: Limits,
    day_ns: (i64, i64),
    ticks: u64,
    first_ns: i64,
    last_ns: i64,
    last_recv_ns: i64,
    last_mid: Option<f64>,
    minutes: u64,
    last_minute: i64,
    longest_ns: i64,
    counts: BTreeMap<String, u64>,
    defects: Vec<Defect>,
    latency: Histogram<u64>,
    below_0: u64,
}

/// A number of a point.
fn number(point: &StoredPoint<'_>, names: &[&str]) -> Option<f64> {
    let field = names.iter().find_map(|name| point.fields.iter().find(|(known, ..)| known == name));
    field.and_then(|(_, _, text)| text.parse().ok())
}

impl Gauge {
    /// A series of the day from a time up to another, ns since 1970.
    pub fn new(name: String, limits: Limits, day_ns: (i64, i64)) -> Self {
        Self {
            name,
            limits,
            day_ns,
            ticks: 0,
            first_ns: 0,
            last_ns: day_ns.0,
            last_recv_ns: 0,
            last_mid: None,
            minutes: 0,
            last_minute: i64::MIN,
            longest_ns: 0,
            counts: BTreeMap::new(),
            defects: Vec::new(),
            latency: distribution(),
            below_0: 0,
        }
    }

    fn found(&mut self, kind: &str, at_ns: i64, detail: String) {
        *self.counts.entry(kind.to_owned()).or_default() += 1;
        if self.defects.len() < LISTED_MAX {
            let time = rfc3339(WallNanos(at_ns), 9);
            self.defects.push(Defect { kind: kind.to_owned(), time, detail });
        }
    }

    /// Takes the next point.
    pub fn point(&mut self, point: &StoredPoint<'_>) {
        let at_ns = point.time_ns;
        self.silence(at_ns);
        if self.ticks == 0 {
            self.first_ns = at_ns;
        } else if at_ns - self.last_ns < 1_000 {
            // Two points of one venue's time stand nanoseconds apart.
            self.found("tie", at_ns, format!("{} ns after the one before", at_ns - self.last_ns));
        }
        if at_ns.div_euclid(MINUTE_NS) != self.last_minute && self.limits.session.is_open(at_ns) {
            self.minutes += 1;
            self.last_minute = at_ns.div_euclid(MINUTE_NS);
        }
        self.prices(point);
        self.received(point);
        // 4: the decoder itself could not believe it.
        let flags = number(point, &["flags"]).unwrap_or(0.0) as i64;
        if flags & 4 != 0 {
            self.found("flagged", at_ns, "the decoder has marked it as suspect".to_owned());
        }
        (self.last_ns, self.ticks) = (at_ns, self.ticks + 1);
    }

    fn prices(&mut self, point: &StoredPoint<'_>) {
        let at_ns = point.time_ns;
        let (bid, ask, price) = (number(point, &BIDS), number(point, &ASKS), number(point, &PRICES));
        for (name, value) in [("bid", bid), ("ask", ask), ("price", price)] {
            match value {
                Some(0.0) => self.found("zero", at_ns, format!("{name} is 0")),
                Some(value) if value < 0.0 => self.found("negative", at_ns, format!("{name} is {value}")),
                _ => {}
            }
        }
        let sound = |value: &f64| *value > 0.0;
        let (bid, ask) = (bid.filter(sound), ask.filter(sound));
        if let Some((bid, ask)) = bid.zip(ask) {
            // Betfair's lay price is the higher one, too.
            if bid > ask {
                self.found("crossed", at_ns, format!("bid {bid}, ask {ask}"));
            } else if bid == ask {
                self.found("locked", at_ns, format!("bid and ask {bid}"));
            }
        }
        let mid = bid.zip(ask).map(|(bid, ask)| f64::midpoint(bid, ask)).or(price.filter(sound));
        if let (Some(mid), Some(before)) = (mid, self.last_mid)
            && (mid / before - 1.0).abs() > self.limits.jump
        {
            self.found("jump", at_ns, format!("from {before} to {mid}"));
        }
        self.last_mid = mid.or(self.last_mid);
    }

    fn received(&mut self, point: &StoredPoint<'_>) {
        let recv = point.fields.iter().find(|(name, ..)| *name == "recv_ns");
        let Some(recv_ns) = recv.and_then(|(_, _, text)| text.parse::<i64>().ok()) else { return };
        let latency_ns = recv_ns - point.time_ns;
        match u64::try_from(latency_ns) {
            Ok(value) => self.latency.saturating_record(value),
            Err(_) => self.below_0 += 1,
        }
        if latency_ns > self.limits.late_ns {
            self.found("late", point.time_ns, format!("received {:.3} s later", latency_ns as f64 / 1e9));
        }
        // The one before came after this one; that it was late has been said.
        let before_ns = self.last_recv_ns - recv_ns;
        if before_ns > 0 && self.last_recv_ns - self.last_ns <= self.limits.late_ns {
            let detail = format!("received {:.6} s after the next one", before_ns as f64 / 1e9);
            self.found("out_of_order", self.last_ns, detail);
        }
        self.last_recv_ns = recv_ns;
    }

    /// The span from the last point to here, as far as the session was open in it.
    fn silence(&mut self, to_ns: i64) {
        let mut open_ns = 0;
        let mut at_ns = self.last_ns;
        while at_ns < to_ns {
            let step = (at_ns.div_euclid(MINUTE_NS) + 1).saturating_mul(MINUTE_NS).min(to_ns);
            if self.limits.session.is_open(at_ns) {
                open_ns += step - at_ns;
            }
            at_ns = step;
        }
        self.longest_ns = self.longest_ns.max(open_ns);
        if open_ns > self.limits.silence_ns {
            self.found("silence", self.last_ns, format!("no point for {:.1} s", open_ns as f64 / 1e9));
        }
    }

    /// The report.
    pub fn finish(mut self) -> Series {
        self.silence(self.day_ns.1);
        let minutes = (self.day_ns.0.div_euclid(MINUTE_NS)..self.day_ns.1.div_euclid(MINUTE_NS))
            .filter(|minute| self.limits.session.is_open(minute * MINUTE_NS))
            .count();
        let ms = |quantile: f64| self.latency.value_at_quantile(quantile) as f64 / 1e6;
        let time = |ns: i64| rfc3339(WallNanos(ns), 9);
        Series {
            series: self.name,
            ticks: self.ticks,
            first: time(self.first_ns),
            last: time(self.last_ns),
            covered: (minutes > 0).then(|| self.minutes as f64 / minutes as f64),
            longest_silence_s: self.longest_ns as f64 / 1e9,
            counts: self.counts,
            defects: self.defects,
            latency_ms: (!self.latency.is_empty()).then(|| [ms(0.5), ms(0.99), ms(0.999), ms(1.0)]),
            latency_below_0: self.below_0,
        }
    }
}
