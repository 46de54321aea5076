//! Faults that a simulated venue does to its clients on request. Owns their kinds and their text form; promises that
//! what is asked for says exactly what will happen. It refuses a fault that the venue has no way to do.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Serialize;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The connection stays and nothing more comes on it, not even heartbeats.
    Silence,
    /// Heartbeats come, data does not.
    DataSilence,
    /// The connection is closed between two messages.
    Disconnect,
    /// Half of the next message is sent, then the connection is closed.
    HalfMessage,
    /// Messages carry a wrong checksum.
    Checksum,
    /// Subscriptions are refused.
    Refuse,
    /// Messages are made, with their numbers, and not sent.
    Skip,
    /// Messages are sent byte by byte.
    Drip,
    /// Messages carry status 503.
    Unreliable,
    /// The tokens of a resumption are refused.
    InvalidClock,
    /// Requests are refused because there were too many.
    RateLimit,
    /// Messages are no JSON.
    Malformed,
    /// Tokens and sessions are refused as expired.
    ExpiredToken,
    /// The venue says that it is closed and sends no data.
    Maintenance,
    /// Connections are closed before a byte is said.
    RefuseConnections,
}

const NAMES: [(&str, FaultKind); 15] = [
    ("silence", FaultKind::Silence),
    ("data-silence", FaultKind::DataSilence),
    ("disconnect", FaultKind::Disconnect),
    ("half-message", FaultKind::HalfMessage),
    ("checksum", FaultKind::Checksum),
    ("refuse", FaultKind::Refuse),
    ("skip", FaultKind::Skip),
    ("drip", FaultKind::Drip),
    ("unreliable", FaultKind::Unreliable),
    ("invalid-clock", FaultKind::InvalidClock),
    ("rate-limit", FaultKind::RateLimit),
    ("malformed", FaultKind::Malformed),
    ("expired-token", FaultKind::ExpiredToken),
    ("maintenance", FaultKind::Maintenance),
    ("refuse-connections", FaultKind::RefuseConnections),
];

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, kind)| kind == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

/// How a kind acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// On connections, once.
    Connections,
    /// On the next messages of a stream.
    Messages,
    /// On the next requests that it fits.
    Requests,
}

impl FaultKind {
    pub(super) fn action(self) -> Action {
        use FaultKind::*;
        match self {
            Silence | DataSilence | Disconnect | Maintenance => Action::Connections,
            HalfMessage | Checksum | Skip | Drip | Unreliable | Malformed => Action::Messages,
            Refuse | InvalidClock | RateLimit | ExpiredToken | RefuseConnections => Action::Requests,
        }
    }
}

/// One fault: `KIND [COUNT] [DURATION] [after N] [of STREAM]`, such as `skip 3 after 100 of trade BTC/USD`,
/// `silence 10s after 50 of book BTC/USD` or `refuse-connections 3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is done.
    pub kind: FaultKind,
    /// How often: messages or requests, 1 if neither this nor a duration is given. For a silence, a disconnect or a
    /// maintenance: so many messages of the stream are made unseen at once.
    pub count: Option<u64>,
    /// For how long; a silence without lasts until the client comes back.
    pub span: Option<Duration>,
    /// Done once so many messages of the stream are made; none: at once.
    pub after: Option<u64>,
    /// The stream, such as `trade BTC/USD`; none: every one. For what is done to requests it says when, and which
    /// subscriptions are refused, or for Betfair's rate limit `login` or `stream`.
    pub stream: Option<String>,
}

impl Fault {
    /// A fault that is done at once, to every stream.
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, count: None, span: None, after: None, stream: None }
    }

    /// So often.
    pub fn count(self, count: u64) -> Self {
        Self { count: Some(count), ..self }
    }

    /// For so long.
    pub fn span(self, span: Duration) -> Self {
        Self { span: Some(span), ..self }
    }

    /// Once so many messages of the stream are made.
    pub fn after(self, messages: u64, stream: &str) -> Self {
        Self { after: Some(messages), ..self.of(stream) }
    }

    /// Of this stream.
    pub fn of(self, stream: &str) -> Self {
        Self { stream: Some(stream.to_owned()), ..self }
    }

    /// Refuses what the venue cannot do and what does not say what it means.
    pub(super) fn check(&self, known: &[FaultKind]) -> Result<(), FaultError> {
        let name = self.kind.to_string();
        if !known.contains(&self.kind) {
            let known: Vec<String> = known.iter().map(ToString::to_string).collect();
            return Err(FaultError(format!("must be one of {}, found {name:?}", known.join(", "))));
        }
        let counts_messages = self.kind.action() == Action::Connections && self.count.is_some();
        let of_messages = self.kind.action() == Action::Messages;
        if self.stream.is_none() && (self.after.is_some() || counts_messages || of_messages) {
            return Err(FaultError(format!("must name its stream, found {name:?}")));
        }
        if self.count == Some(0) {
            return Err(FaultError(format!("count must be above 0, found {name:?} with 0")));
        }
        Ok(())
    }
}

/// A fault that cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("fault: {0}")]
pub struct FaultError(String);

impl FaultError {
    /// The venue has no such stream.
    pub(super) fn stream(streams: &str, found: &str) -> Self {
        Self(format!("stream must be {streams}, found {found:?}"))
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = || {
            FaultError(format!(
                "must be KIND [COUNT] [DURATION] [after N] [of STREAM] such as `skip 3 after 100 of trade BTC/USD`, \
                 found {text:?}"
            ))
        };
        let (front, stream) = match text.split_once(" of ") {
            Some((front, stream)) => (front, Some(stream.trim().to_owned())),
            None => (text, None),
        };
        let mut words = front.split_whitespace();
        let name = words.next().ok_or_else(wrong)?;
        let kind = NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        let Some(kind) = kind else {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            return Err(FaultError(format!("must be one of {}, found {name:?}", names.join(", "))));
        };
        let mut fault = Self { stream, ..Self::new(kind) };
        while let Some(word) = words.next() {
            if word == "after" {
                let number = words.next().and_then(|word| word.parse().ok());
                fault.after = Some(number.ok_or_else(wrong)?);
            } else if let Ok(count) = word.parse() {
                fault.count = Some(count);
            } else {
                let span = word.parse::<SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
                fault.span = Some(span.ok_or_else(wrong)?);
            }
        }
        Ok(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_said_in_words() {
        let table = [
            (
                "skip 3 after 100 of trade BTC/USD",
                Fault::new(FaultKind::Skip).count(3).after(100, "trade BTC/USD"),
            ),
            (
                "silence 10s after 50 of book BTC/USD",
                Fault::new(FaultKind::Silence).span(Duration::from_secs(10)).after(50, "book BTC/USD"),
            ),
            ("refuse-connections 3", Fault::new(FaultKind::RefuseConnections).count(3)),
            ("disconnect", Fault::new(FaultKind::Disconnect)),
        ];
        for (text, fault) in table {
            assert_eq!(text.parse(), Ok(fault), "{text}");
        }
        for (text, rule) in [
            ("explode", "must be one of silence, data-silence,"),
            ("skip many", "must be KIND [COUNT] [DURATION]"),
            ("skip 3 after", "must be KIND [COUNT] [DURATION]"),
        ] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains(rule), "{error}");
        }
    }

    #[test]
    fn a_fault_that_cannot_be_done_is_refused() {
        let known = [FaultKind::Skip, FaultKind::Disconnect, FaultKind::RateLimit];
        for (text, rule) in [
            ("invalid-clock", "fault: must be one of skip, disconnect, rate-limit, found \"invalid-clock\""),
            ("skip 3", "fault: must name its stream, found \"skip\""),
            ("disconnect 7", "fault: must name its stream, found \"disconnect\""),
            ("rate-limit 0", "fault: count must be above 0, found \"rate-limit\" with 0"),
        ] {
            let error = text.parse::<Fault>().unwrap().check(&known).unwrap_err();
            assert_eq!(error.to_string(), rule);
        }
        for text in ["disconnect", "rate-limit 2s", "skip of book BTC/USD"] {
            assert_eq!(text.parse::<Fault>().unwrap().check(&known), Ok(()), "{text}");
        }
    }
}
