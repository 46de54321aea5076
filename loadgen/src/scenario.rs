//! Scenarios: a load as a TOML file, with what must hold of it. Reads, checks and turns one into a plan; says all
//! that is wrong with it at once, with line and column. Nothing is started here.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tickline_config::model::DecoderKind;
use tickline_config::units::parse_duration;
use toml::Spanned;

use crate::arrivals::Arrivals;
use crate::curve::{Pace, Piece};
use crate::plan::{FeedLoad, LoadPlan, Rate};
use crate::replay;
use crate::threshold::Condition;

/// Scenarios that come with the program, by name.
pub const SHIPPED: [(&str, &str); 5] = [
    ("steady", include_str!("../scenarios/steady.toml")),
    ("venues", include_str!("../scenarios/venues.toml")),
    ("opening", include_str!("../scenarios/opening.toml")),
    ("steps", include_str!("../scenarios/steps.toml")),
    ("bursts", include_str!("../scenarios/bursts.toml")),
];

/// A load and what must not become of it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The load.
    pub plan: LoadPlan,
    /// The run has failed if one of these holds.
    pub fail_if: Vec<Condition>,
}

/// Why a scenario cannot be used: a line for each thing that is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ScenarioError(pub Vec<String>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    duration: Option<Spanned<String>>,
    #[serde(default)]
    seed: Option<u64>,
    #[serde(default)]
    fail_if: Vec<Spanned<String>>,
    feeds: BTreeMap<Spanned<String>, FeedTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FeedTable {
    rate: Option<Spanned<String>>,
    curve: Option<Spanned<Vec<PieceTable>>>,
    recorded: Option<Spanned<PathBuf>>,
    arrivals: Option<Spanned<String>>,
    symbols: Option<Spanned<usize>>,
    zipf: Option<Spanned<f64>>,
    conflate: Option<Spanned<String>>,
    endpoint: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PieceTable {
    #[serde(rename = "for")]
    span: Spanned<String>,
    rate: Spanned<String>,
    to: Option<Spanned<String>>,
}

/// Most symbols of a feed.
const SYMBOLS_MAX: usize = 1_000_000;

impl Scenario {
    /// A file, or one of [`SHIPPED`] by name. Feeds are bound on `address`.
    pub fn open(name: &str, address: &str) -> Result<Self, ScenarioError> {
        if let Some((_, text)) = SHIPPED.into_iter().find(|(known, _)| *known == name) {
            return Self::parse(text, Path::new(name), address);
        }
        let text = std::fs::read_to_string(name).map_err(|error| {
            let known: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
            let known = known.join(", ");
            ScenarioError(vec![format!(
                "scenario: must be a file or one of {known}, found {name:?} ({error})"
            )])
        })?;
        Self::parse(&text, Path::new(name), address)
    }

    /// A scenario's text. `path` is named in errors and is where recordings are looked for from.
    pub fn parse(text: &str, path: &Path, address: &str) -> Result<Self, ScenarioError> {
        let mut wrong = Wrong { text, path, said: Vec::new() };
        let file: File = match toml::from_str(text) {
            Ok(file) => file,
            Err(error) => {
                wrong.say(error.span().unwrap_or(0..0), error.message().replace('\n', " "));
                return Err(ScenarioError(wrong.said));
            }
        };
        let mut feeds = Vec::new();
        for (name, table) in &file.feeds {
            feeds.extend(wrong.feed(name, table, address));
        }
        if file.feeds.is_empty() {
            wrong.say(0..0, "feeds: must have at least one feed".to_owned());
        }
        let fail_if =
            file.fail_if.iter().filter_map(|condition| wrong.parsed("fail_if", condition)).collect();
        let duration = wrong.duration(file.duration.as_ref(), &feeds);
        wrong.endpoints(&file, &feeds);
        if !wrong.said.is_empty() {
            return Err(ScenarioError(wrong.said));
        }
        let seed = file.seed.unwrap_or(LoadPlan::default().seed);
        Ok(Self { plan: LoadPlan { feeds, duration, seed, ..LoadPlan::default() }, fail_if })
    }
}

/// Collects what is wrong with a scenario.
struct Wrong<'a> {
    text: &'a str,
    path: &'a Path,
    said: Vec<String>,
}

impl Wrong<'_> {
    fn say(&mut self, at: Range<usize>, rule: String) {
        let before = self.text.get(..at.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        self.said.push(format!("{}:{line}:{column}: {rule}", self.path.display()));
    }

    fn parsed<T: std::str::FromStr>(&mut self, key: &str, value: &Spanned<String>) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        let parsed = value.as_ref().parse::<T>();
        parsed.map_err(|error| self.say(value.span(), format!("{key}: {error}"))).ok()
    }

    fn time(&mut self, key: &str, value: &Spanned<String>) -> Option<Duration> {
        let time = parse_duration(value.as_ref()).filter(|time| !time.is_zero());
        if time.is_none() {
            let found = value.as_ref();
            self.say(value.span(), format!("{key}: must be a duration above 0 such as 10s, found {found:?}"));
        }
        time
    }

    /// Says the rule where it does not hold.
    fn must(&mut self, holds: bool, at: Range<usize>, key: &str, rule: impl std::fmt::Display) {
        if !holds {
            self.say(at, format!("{key}: must {rule}"));
        }
    }

    /// A number as given, or as it was.
    fn within<T>(&mut self, key: &str, value: Option<&Spanned<T>>, allowed: RangeInclusive<T>, usual: T) -> T
    where
        T: Copy + PartialOrd + std::fmt::Debug,
    {
        let Some(value) = value else { return usual };
        let found = *value.as_ref();
        self.must(
            allowed.contains(&found),
            value.span(),
            key,
            format_args!("be {allowed:?}, found {found:?}"),
        );
        found
    }

    fn feed(&mut self, name: &Spanned<String>, table: &FeedTable, address: &str) -> Option<FeedLoad> {
        let key = |key: &str| format!("feeds.{}.{key}", name.as_ref());
        let load = FeedLoad::new(name.as_ref(), address, Rate::Max);
        let mut load = load.map_err(|error| self.say(name.span(), format!("feeds: {error}"))).ok()?;
        load.symbols = self.within(&key("symbols"), table.symbols.as_ref(), 1..=SYMBOLS_MAX, load.symbols);
        load.zipf = self.within(&key("zipf"), table.zipf.as_ref(), 0.0..=10.0, load.zipf);
        load.endpoint = table.endpoint.clone().unwrap_or(load.endpoint);
        let pace = self.pace(name, table, &load);
        if let Some(arrivals) = &table.arrivals {
            load.arrivals = self.parsed(&key("arrivals"), arrivals).unwrap_or(load.arrivals);
            let fits = load.arrivals == Arrivals::Even || matches!(pace, Some(Pace::Curve(_)) | None);
            let rule = "go with a rate or a curve: a recording has its own gaps, max has none";
            self.must(fits, arrivals.span(), &key("arrivals"), rule);
        }
        if let Some(conflate) = &table.conflate {
            let time = self.time(&key("conflate"), conflate);
            load.conflate_ns = time.and_then(|time| u64::try_from(time.as_nanos()).ok());
            let rule = "be of betfair_stream, which alone conflates";
            self.must(load.kind == DecoderKind::BetfairStream, conflate.span(), &key("conflate"), rule);
        }
        Some(FeedLoad { pace: pace?, ..load })
    }

    /// Exactly one of rate, curve and recorded.
    fn pace(&mut self, name: &Spanned<String>, table: &FeedTable, load: &FeedLoad) -> Option<Pace> {
        let key = |key: &str| format!("feeds.{}.{key}", name.as_ref());
        match (&table.rate, &table.curve, &table.recorded) {
            (Some(rate), None, None) => Some(self.parsed::<Rate>(&key("rate"), rate)?.into()),
            (None, Some(curve), None) => {
                let pieces: Vec<_> =
                    curve.as_ref().iter().filter_map(|piece| self.piece(&key("curve"), piece)).collect();
                if curve.as_ref().is_empty() {
                    self.say(curve.span(), format!("{}: must have at least one piece", key("curve")));
                }
                (pieces.len() == curve.as_ref().len()).then_some(Pace::Curve(pieces))
            }
            (None, None, Some(file)) => {
                let path = self.path.parent().unwrap_or(Path::new("")).join(file.as_ref());
                let times =
                    replay::recorded(&path, load).map(|all| all.into_iter().map(|(at, _)| at).collect());
                let times =
                    times.map_err(|error| self.say(file.span(), format!("{}: {error}", key("recorded"))));
                times.ok().map(Pace::Recorded)
            }
            _ => {
                let rule = "must have exactly one of rate, curve and recorded";
                self.say(name.span(), format!("feeds.{}: {rule}", name.as_ref()));
                None
            }
        }
    }

    fn piece(&mut self, key: &str, piece: &PieceTable) -> Option<Piece> {
        let mut rate = |rate: &Spanned<String>| match self.parsed::<Rate>(key, rate)? {
            Rate::PerSecond(rate) => Some(rate),
            Rate::Max => {
                self.say(
                    rate.span(),
                    format!("{key}: a piece must have a rate such as 5000/s, found \"max\""),
                );
                None
            }
        };
        let from = rate(&piece.rate);
        let to = piece.to.as_ref().map_or(from, rate);
        let span = self.time(key, &piece.span);
        let span_ns = u64::try_from(span?.as_nanos()).ok()?;
        Some(Piece { from: from?, to: to?, span_ns })
    }

    /// As given, or the longest curve.
    fn duration(&mut self, given: Option<&Spanned<String>>, feeds: &[FeedLoad]) -> Option<Duration> {
        let curve = |load: &FeedLoad| match &load.pace {
            Pace::Curve(pieces) => {
                Some(pieces.iter().fold(0_u64, |sum, piece| sum.saturating_add(piece.span_ns)))
                    .filter(|span_ns| *span_ns != u64::MAX)
            }
            Pace::FlatOut | Pace::Recorded(_) => None,
        };
        let Some(given) = given else {
            return feeds.iter().filter_map(curve).max().map(Duration::from_nanos);
        };
        let duration = self.time("duration", given)?;
        for load in feeds {
            let Some(curve) = curve(load).map(Duration::from_nanos).filter(|curve| *curve < duration) else {
                continue;
            };
            let rule = format!(
                "must be at most what the curve of {} tells, {curve:?}, found {duration:?}",
                load.feed
            );
            self.say(given.span(), format!("duration: {rule}"));
        }
        Some(duration)
    }

    fn endpoints(&mut self, file: &File, feeds: &[FeedLoad]) {
        for (at, load) in feeds.iter().enumerate() {
            let same = |other: &&FeedLoad| other.endpoint == load.endpoint && !load.endpoint.ends_with('*');
            let Some(other) = feeds[..at].iter().find(same) else { continue };
            let named = file.feeds.keys().find(|name| name.as_ref() == &load.feed);
            let span = named.map_or(0..0, Spanned::span);
            let (feed, endpoint) = (&load.feed, &load.endpoint);
            self.say(span, format!("feeds.{feed}.endpoint: {endpoint} is that of {}, too", other.feed));
        }
    }
}

#[cfg(test)]
mod tests;
