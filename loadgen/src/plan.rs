//! What a run of the load generator is to do, as typed values; nothing is started here.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::arrivals::Arrivals;
use crate::curve::Pace;
use crate::door::Door;
use crate::generator::OANDA_GAP_NS;

use tickline_config::model::DecoderKind;
use tickline_config::registry;
use tickline_feeds::payload::Decimals;

/// One run of generated load.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// One publisher thread each.
    pub feeds: Vec<FeedLoad>,
    /// How long; none: until stopped. At a fixed rate it gives the number of messages, and all of them are sent.
    pub duration: Option<Duration>,
    /// The same seed gives the same messages but for times and `_src`, which is new in each run.
    pub seed: u64,
    /// Whether a publisher waits for its first subscriber before its first message.
    pub wait: bool,
    /// How long it waits; none: until stopped.
    pub wait_timeout: Option<Duration>,
    /// How decimals travel.
    pub decimals: Decimals,
    /// Messages that may wait in a publisher's queue for one subscriber.
    pub sndhwm: i32,
    /// Who may subscribe; none: everyone, in plain text.
    pub door: Option<Door>,
    /// File that gets the messages of the run, independent of when it was made.
    pub capture: Option<PathBuf>,
}

impl Default for LoadPlan {
    fn default() -> Self {
        Self {
            feeds: Vec::new(),
            duration: None,
            seed: 1,
            wait: true,
            wait_timeout: None,
            decimals: Decimals::Text,
            sndhwm: 50_000,
            door: None,
            capture: None,
        }
    }
}

impl LoadPlan {
    /// Whether there are messages that have a time at which they are due.
    pub fn is_scheduled(&self) -> bool {
        self.feeds.iter().any(|load| load.pace != Pace::FlatOut)
    }
}

/// The load of one feed.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedLoad {
    /// Feed, as the registry names it.
    pub feed: String,
    /// Topic on the wire.
    pub topic: String,
    /// Endpoint to bind, such as `tcp://127.0.0.1:*` for a free port.
    pub endpoint: String,
    /// What kind of messages.
    pub kind: DecoderKind,
    /// Messages a second over time.
    pub pace: Pace,
    /// How they follow each other.
    pub arrivals: Arrivals,
    /// Pairs, instruments or markets.
    pub symbols: usize,
    /// How uneven they are: the symbol of rank r has weight 1 / r^`zipf`. 0: all alike.
    pub zipf: f64,
    /// Betfair: a market sends at most one message in so many ns; none: each change as it comes.
    pub conflate_ns: Option<u64>,
}

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Message k is due k / rate seconds after the start, whatever became of those before.
    PerSecond(f64),
    /// Flat out: as fast as ZeroMQ takes them.
    Max,
}

/// Why a plan cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No such feed, or none that can be generated.
    #[error("feed: must be one of {known}, found {found:?}")]
    UnknownFeed {
        /// As given.
        found: String,
        /// Feeds that can be generated.
        known: String,
    },
    /// A rate that is none.
    #[error("rate: must be a number above 0 with /s, such as 5000/s, or max, found {found:?}")]
    BadRate {
        /// As given.
        found: String,
    },
}

impl FeedLoad {
    /// A feed that can be generated, by name, topic or alias, with the registry's topic and port on `host`, and a
    /// usual number of symbols.
    pub fn new(name: &str, host: &str, rate: Rate) -> Result<Self, PlanError> {
        Self::find(name, host, rate, is_generated)
    }

    /// The same for a feed that is recorded somewhere, whichever it is.
    pub fn recorded(name: &str, host: &str) -> Result<Self, PlanError> {
        Self::find(name, host, Rate::Max, |_| true)
    }

    fn find(name: &str, host: &str, rate: Rate, fits: fn(DecoderKind) -> bool) -> Result<Self, PlanError> {
        let kind_of = |row: &registry::PortRow| {
            let known = DecoderKind::ALL.iter().find(|(known, _)| *known == row.decoder);
            known.map(|(_, kind)| *kind).filter(|kind| fits(*kind))
        };
        let row = registry::find(name);
        let (Some(row), Some(kind)) = (row, row.and_then(kind_of)) else {
            let known = registry::PORTS.iter().filter(|row| kind_of(row).is_some());
            return Err(PlanError::UnknownFeed {
                found: name.to_owned(),
                known: known.map(registry::PortRow::feed).collect::<Vec<_>>().join(", "),
            });
        };
        Ok(Self {
            feed: row.feed().to_owned(),
            topic: if row.topic == "*" { "EUR_USD".to_owned() } else { row.topic.to_owned() },
            endpoint: format!("tcp://{host}:{}", row.port),
            kind,
            pace: rate.into(),
            arrivals: Arrivals::Even,
            symbols: usual_symbols(kind),
            zipf: 0.0,
            conflate_ns: None,
        })
    }

    /// What the venue itself would never send, in a sentence with what it takes instead; none if all is well.
    pub fn beyond_venue(&self) -> Option<String> {
        let gap_ns = match self.kind {
            DecoderKind::OandaTick => OANDA_GAP_NS,
            DecoderKind::BetfairStream => self.conflate_ns?,
            _ => return None,
        };
        let (feed, symbols, a_second) = (&self.feed, self.symbols, 1e9 / gap_ns as f64);
        // What comes in clusters may be due all at once, and then each needs a symbol of its own.
        let together = match self.arrivals {
            Arrivals::Even => 0.0,
            Arrivals::Bursts { messages, .. } => f64::from(messages),
            Arrivals::Venue => f64::INFINITY,
        };
        let Some(peak) = self.pace.peak().filter(|_| together.is_finite()) else {
            return Some(format!(
                "{feed}: the venue sends at most {a_second} messages a second of each symbol, and nothing keeps this \
                 load to that"
            ));
        };
        let needed = (peak / a_second + together).ceil();
        (needed > symbols as f64).then(|| {
            format!(
                "{feed}: the venue sends at most {a_second} messages a second of each of the {symbols} symbols; \
                 {peak}/s takes {needed} of them"
            )
        })
    }
}

impl From<Rate> for Pace {
    fn from(rate: Rate) -> Self {
        match rate {
            Rate::PerSecond(per_second) => Self::constant(per_second),
            Rate::Max => Self::FlatOut,
        }
    }
}

/// Whether there is a generator.
const fn is_generated(kind: DecoderKind) -> bool {
    matches!(
        kind,
        DecoderKind::KrakenTick
            | DecoderKind::KrakenDepth
            | DecoderKind::KrakenTrades
            | DecoderKind::OandaTick
            | DecoderKind::BetfairStream
    )
}

/// Pairs, instruments or markets of a middling account.
const fn usual_symbols(kind: DecoderKind) -> usize {
    match kind {
        DecoderKind::OandaTick => 68,
        DecoderKind::BetfairStream => 100,
        _ => 25,
    }
}

impl FromStr for Rate {
    type Err = PlanError;

    /// `5000/s` or `max`.
    fn from_str(text: &str) -> Result<Self, PlanError> {
        if text == "max" {
            return Ok(Rate::Max);
        }
        let number = text.strip_suffix("/s").and_then(|n| n.parse::<f64>().ok());
        number
            .filter(|n| n.is_finite() && *n > 0.0)
            .map(Rate::PerSecond)
            .ok_or_else(|| PlanError::BadRate { found: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Generator;

    #[test]
    fn a_rate_is_a_number_per_second_or_max() {
        assert_eq!("max".parse(), Ok(Rate::Max));
        assert_eq!("0.5/s".parse(), Ok(Rate::PerSecond(0.5)));
        for bad in ["5000", "0/s", "-1/s", "inf/s", "NaN/s", "", "/s"] {
            assert_eq!(bad.parse::<Rate>(), Err(PlanError::BadRate { found: bad.to_owned() }));
        }
    }

    #[test]
    fn more_than_the_venue_sends_is_told_with_the_number_of_instruments_that_it_takes() {
        let load = |name, rate| FeedLoad::new(name, "", Rate::PerSecond(rate)).unwrap();
        let told = load("oanda_tick", 1_000.0).beyond_venue().unwrap();
        let wanted = "oanda_tick: the venue sends at most 4 messages a second of each of the 68 symbols; \
                      1000/s takes 250 of them";
        assert_eq!(told, wanted);
        assert_eq!(load("oanda_tick", 272.0).beyond_venue(), None);
        assert_eq!(load("betfair_stream", 1e6).beyond_venue(), None);
        let bursts = Arrivals::Bursts { messages: 60, within_ns: 10_000_000 };
        assert_eq!(FeedLoad { arrivals: bursts, ..load("oanda_tick", 32.0) }.beyond_venue(), None);
        let told = FeedLoad { arrivals: bursts, ..load("oanda_tick", 272.0) }.beyond_venue().unwrap();
        assert!(told.ends_with("272/s takes 128 of them"), "{told}");
        for unkept in [
            FeedLoad { arrivals: Arrivals::Venue, ..load("oanda_tick", 4.0) },
            FeedLoad::new("oanda_tick", "", Rate::Max).unwrap(),
        ] {
            assert!(unkept.beyond_venue().unwrap().ends_with("nothing keeps this load to that"));
        }
        let conflated = FeedLoad { conflate_ns: Some(1_000_000_000), ..load("betfair_stream", 101.0) };
        assert!(conflated.beyond_venue().unwrap().ends_with("101/s takes 101 of them"));
    }

    #[test]
    fn a_feed_is_found_by_name_topic_or_alias_and_published_where_the_registry_says() {
        for name in ["kraken_depth", "kr_depth"] {
            let load = FeedLoad::new(name, "127.0.0.1", Rate::Max).unwrap();
            assert_eq!((load.feed.as_str(), load.topic.as_str()), ("kraken_depth", "kr_depth"));
            assert_eq!(load.endpoint, "tcp://127.0.0.1:5560");
        }
        let refused = FeedLoad::new("kraken_orders", "127.0.0.1", Rate::Max).unwrap_err().to_string();
        assert!(refused.starts_with("feed: must be one of kraken_trades, oanda, kraken_tick,"), "{refused}");
        assert!(refused.ends_with("betfair_stream, oandav20_tick, found \"kraken_orders\""), "{refused}");
        let recorded = FeedLoad::recorded("kraken_orders", "127.0.0.1").unwrap();
        assert_eq!(recorded.endpoint, "tcp://127.0.0.1:5561");
        assert!(FeedLoad::recorded("last_value_cache", "").is_err());
    }

    #[test]
    fn what_is_generated_has_a_generator_and_nothing_else_has() {
        for (name, kind) in DecoderKind::ALL {
            let load = FeedLoad { kind, ..FeedLoad::new("kraken_tick", "", Rate::Max).unwrap() };
            assert_eq!(Generator::new(&load, 1).is_some(), is_generated(kind), "{name}");
        }
    }
}
