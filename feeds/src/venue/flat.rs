//! Decoders whose payload is one record: `twitter_sentiment`, and `kraken_eurusd_tick` and `kraken_eurusd_depth`, EUR/USD
//! as two pairs of one coin imply it (WIRE.md). One point a map.

use tickline_config::model::FieldChoice;

use crate::counts::Undecodable;
use crate::cursor::Cursor;
use crate::emit::Emit;
use crate::schema;
use crate::venue::Shape;
use crate::venue::record::{Form, Record};
use crate::venue::tags::TagSeries;

/// X's times are ms.
const SENTIMENT: Form = Form {
    measurement: &schema::TWITTER_SENTIMENT,
    renamed: &[],
    apart: &[],
    time: Some(("ts_ms", 1_000_000)),
    unit_ns: 1_000_000,
};

/// Kraken's times are µs; as a number they are ns, as those of our books are.
const SYNTHETIC: Form = Form {
    measurement: &schema::SYNTHETIC,
    renamed: &[],
    apart: &["instrument"],
    time: Some(("timestamp", 1)),
    unit_ns: 1_000,
};

const SYNTHETIC_DEPTH: Form = Form { measurement: &schema::SYNTHETIC_DEPTH, ..SYNTHETIC };

/// Tag `instrument` of what is implied from Kraken's pairs.
const KR_EURUSD: (&str, &str) = ("instrument", "KR_EURUSD");

/// The decoder of one such feed.
#[derive(Debug)]
pub struct Flat {
    record: Record,
    series: TagSeries,
    /// Whether it is of two legs: both must have a name, and each is a quote.
    legs: bool,
}

impl Flat {
    /// Scored posts, with the fields of `choice`.
    pub fn sentiment(choice: &FieldChoice) -> Self {
        Self { record: Record::new(SENTIMENT, choice, &[]), series: TagSeries::default(), legs: false }
    }

    /// Synthetic prices, with the fields of `choice`.
    pub fn synthetic(choice: &FieldChoice) -> Self {
        Self {
            record: Record::new(SYNTHETIC, choice, &[KR_EURUSD]),
            series: TagSeries::default(),
            legs: true,
        }
    }

    /// Synthetic prices and volumes, with the fields of `choice`.
    pub fn synthetic_depth(choice: &FieldChoice) -> Self {
        let record = Record::new(SYNTHETIC_DEPTH, choice, &[KR_EURUSD]);
        Self { record, series: TagSeries::default(), legs: true }
    }

    /// One payload map of `entries` keys.
    pub fn map<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        entries: u32,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<Shape, Undecodable> {
        let values = self.record.map(cursor, entries, emit, depth)?;
        if emit.envelope.is_control() {
            return Ok(Shape::Control);
        }
        if !values.has_field {
            return Err(Undecodable::UnknownShape);
        }
        let Self { record, series, legs } = self;
        let mut flags = 0;
        let mut usable = true;
        if *legs {
            let [_, t0, t1, ..] = values.tags;
            usable = !t0.is_empty() && !t1.is_empty();
            let [bid_t0, ask_t0, bid_t1, ask_t1, ..] = &values.fields;
            flags = emit.crossed(bid_t0, ask_t0) | emit.crossed(bid_t1, ask_t1);
        }
        let series = if usable { record.series(&values.tags, series, emit) } else { None };
        record.point(series, &values, record.time(&values), flags, emit);
        Ok(Shape::Data)
    }
}
