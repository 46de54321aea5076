//! What a rate of messages comes to: points and bytes a day, series, and how long a disk lasts. Arithmetic on figures
//! that were measured on generated messages (`scripts/footprint`); a user's own feeds are unknown to it.

use serde::Deserialize;
use tickline_config::FOOTPRINT;
use tickline_config::model::DecoderKind;

const SECONDS_A_DAY: f64 = 86_400.0;

/// A feed as it was measured.
#[derive(Clone, Debug, Deserialize)]
pub struct Footprint {
    /// Its name, and that of its decoder.
    pub feed: String,
    /// Pairs, instruments or markets of the measurement.
    symbols: f64,
    /// Series that they made.
    series: f64,
    /// Points of a message.
    points_per_message: f64,
    /// Bytes of a payload.
    payload_bytes: f64,
    /// Bytes of a line.
    line_bytes_per_point: f64,
    /// Bytes of a point in InfluxDB 1, compacted.
    influx_bytes_per_point: f64,
    /// Bytes of a point in Parquet.
    parquet_bytes_per_point: f64,
}

#[derive(Debug, Deserialize)]
struct Table {
    feeds: Vec<Footprint>,
}

/// What a rate comes to, a day.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Day {
    /// Points.
    pub points: f64,
    /// Series, in all.
    pub series: f64,
    /// Bytes of raw frames.
    pub archive_bytes: f64,
    /// Bytes of lines: what the spool and the file sink take.
    pub line_bytes: f64,
    /// Bytes in InfluxDB 1.
    pub influx_bytes: f64,
    /// Bytes in Parquet.
    pub parquet_bytes: f64,
}

impl Footprint {
    /// The measurement of a decoder; none for one that was not measured.
    pub fn of(decoder: DecoderKind) -> Option<Self> {
        let (name, _) = DecoderKind::ALL.iter().find(|(_, kind)| *kind == decoder)?;
        let table: Table = serde_json::from_str(FOOTPRINT).ok()?;
        table.feeds.into_iter().find(|row| row.feed == *name)
    }

    /// What so many messages a second come to; `symbols`: none for as many as were measured.
    pub fn day(&self, per_second: f64, symbols: Option<u32>) -> Day {
        let messages = per_second * SECONDS_A_DAY;
        let points = messages * self.points_per_message;
        Day {
            points,
            series: self.series * symbols.map_or(1.0, |symbols| f64::from(symbols) / self.symbols),
            archive_bytes: messages * self.payload_bytes,
            line_bytes: points * self.line_bytes_per_point,
            influx_bytes: points * self.influx_bytes_per_point,
            parquet_bytes: points * self.parquet_bytes_per_point,
        }
    }
}

impl Day {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            points: self.points + other.points,
            series: self.series + other.series,
            archive_bytes: self.archive_bytes + other.archive_bytes,
            line_bytes: self.line_bytes + other.line_bytes,
            influx_bytes: self.influx_bytes + other.influx_bytes,
            parquet_bytes: self.parquet_bytes + other.parquet_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decoder_whose_feed_is_generated_was_measured() {
        let table: Table = serde_json::from_str(FOOTPRINT).unwrap();
        assert_eq!(table.feeds.len(), 5);
        for Footprint { feed: name, .. } in table.feeds {
            let (_, kind) = DecoderKind::ALL.iter().find(|(known, _)| **known == *name).unwrap();
            let row = Footprint::of(*kind).unwrap();
            let sizes = [row.line_bytes_per_point, row.influx_bytes_per_point, row.parquet_bytes_per_point];
            assert!(sizes.iter().all(|bytes| (1.0..2_000.0).contains(bytes)), "{name}: {row:?}");
        }
        assert!(Footprint::of(DecoderKind::Custom).is_none());
    }

    #[test]
    fn a_day_is_the_rate_times_what_one_message_takes() {
        let row = Footprint {
            feed: "kraken_depth".to_owned(),
            symbols: 25.0,
            series: 250.0,
            points_per_message: 10.0,
            payload_bytes: 500.0,
            line_bytes_per_point: 200.0,
            influx_bytes_per_point: 20.0,
            parquet_bytes_per_point: 5.0,
        };
        let day = row.day(100.0, Some(50));
        assert_eq!((day.points, day.series, day.archive_bytes), (86_400_000.0, 500.0, 4_320_000_000.0));
        assert_eq!((day.influx_bytes, day.parquet_bytes), (1_728_000_000.0, 432_000_000.0));
        assert_eq!(day.and(day).line_bytes, 2.0 * 17_280_000_000.0);
        assert_eq!(row.day(100.0, None).series, 250.0);
    }
}
