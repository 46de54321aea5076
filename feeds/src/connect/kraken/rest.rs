//! Kraken's REST (<https://docs.kraken.com/api/docs/rest-api/get-ticker-information>): polling while the WebSocket is
//! away, at the one call a second that public addresses are allowed, and what private calls are signed with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};

use super::names::Pairs;
use super::session::Session;
use crate::clock::{MonoNanos, WallNanos};
use crate::connect::{Backoff, Event, Now, Outbox, Request, State, TopicId};
use crate::payload::PayloadWriter;
use crate::transcode::KRAKEN_INTEGERS;

/// Request numbers.
const PAIRS: u32 = 1;
const POLL: u32 = 2;

const SECOND_NS: u64 = 1_000_000_000;
/// How long the WebSocket may be away before REST is asked, ns.
const AWAY_NS: i64 = 10 * SECOND_NS as i64;
/// Waits after a refusal.
const WAIT_NS: (u64, u64) = (2 * SECOND_NS, 60 * SECOND_NS);

/// What is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RestKind {
    /// The tickers of all pairs at once.
    Ticker,
    /// So many levels of one book after the other.
    Depth(usize),
}

/// Polling.
#[derive(Debug)]
pub(super) struct Poll {
    kind: RestKind,
    url: String,
    symbols: Vec<String>,
    poll_ns: u64,
    /// There is no WebSocket.
    alone: bool,
    pairs: Pairs,
    backoff: Backoff,
    next: MonoNanos,
    /// Symbol whose book is next.
    turn: usize,
    asked: bool,
    answers: u64,
    refusals: u64,
}

impl Poll {
    pub(super) fn new(
        kind: RestKind,
        url: String,
        symbols: Vec<String>,
        poll_ns: u64,
        alone: bool,
        seed: u64,
    ) -> Self {
        Self {
            kind,
            url,
            symbols,
            poll_ns: poll_ns.max(SECOND_NS),
            alone,
            pairs: Pairs::default(),
            backoff: Backoff::new(WAIT_NS.0, WAIT_NS.1, seed),
            next: MonoNanos(0),
            turn: 0,
            asked: false,
            answers: 0,
            refusals: 0,
        }
    }

    pub(super) fn is_alone(&self) -> bool {
        self.alone
    }

    /// Tells what it has counted.
    pub(super) fn tell(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        tell("rest_answers", self.answers);
        tell("rest_refusals", self.refusals);
    }

    pub(super) fn due(&self) -> Option<MonoNanos> {
        (!self.url.is_empty() && !self.asked).then_some(self.next)
    }

    pub(super) fn on(&mut self, event: Event<'_>, session: &Session, now: Now, out: &mut Outbox) {
        match event {
            Event::Start if !self.url.is_empty() => {
                self.asked = true;
                out.ask(PAIRS, get(&self.url, "/0/public/AssetPairs"));
            }
            Event::Due if self.due().is_some_and(|due| now.mono >= due) => self.look(session, now, out),
            Event::Answer { id: PAIRS, status, body } => {
                self.asked = false;
                match (status, Pairs::read(body)) {
                    (Some(200), Ok(pairs)) => self.pairs = pairs,
                    (Some(200), Err(why)) => self.refused(&why, now, out),
                    (Some(status), _) => self.refused(&format!("status {status}"), now, out),
                    (None, _) => self.refused(&String::from_utf8_lossy(body), now, out),
                }
            }
            Event::Answer { id: POLL, status, body } => {
                self.asked = false;
                self.answer(status, body, session.topic, now, out);
            }
            _ => {}
        }
    }

    fn look(&mut self, session: &Session, now: Now, out: &mut Outbox) {
        self.next = now.after(self.poll_ns);
        let away = session.away_since().is_some_and(|since| now.wall.0 - since.0 >= AWAY_NS);
        if !self.alone && !away {
            return;
        }
        let Some(path) = self.path() else {
            // Nothing that REST knows was asked for, or its names could not be had.
            self.asked = true;
            return out.ask(PAIRS, get(&self.url, "/0/public/AssetPairs"));
        };
        self.asked = true;
        out.ask(POLL, get(&self.url, &path));
    }

    /// The next question; none: no name is known to REST.
    fn path(&mut self) -> Option<String> {
        let all = self.symbols.iter().any(|symbol| symbol == "*");
        let names: Vec<&str> = match all {
            true => self.pairs.by_name.values().map(|pair| pair.altname.as_str()).collect(),
            false => self.symbols.iter().filter_map(|symbol| self.pairs.altname(symbol)).collect(),
        };
        match self.kind {
            RestKind::Ticker if all => Some("/0/public/Ticker".to_owned()),
            _ if names.is_empty() => None,
            RestKind::Ticker => Some(format!("/0/public/Ticker?pair={}", names.join(","))),
            RestKind::Depth(levels) => {
                self.turn += 1;
                let name = names.get(self.turn % names.len())?;
                Some(format!("/0/public/Depth?pair={name}&count={levels}"))
            }
        }
    }

    fn answer(&mut self, status: Option<u16>, body: &[u8], topic: TopicId, now: Now, out: &mut Outbox) {
        #[derive(serde::Deserialize)]
        struct Said {
            #[serde(default)]
            error: Vec<String>,
        }
        let text = std::str::from_utf8(body).unwrap_or_default();
        let said = serde_json::from_str::<Said>(text);
        match (status, said) {
            (Some(200), Ok(said)) if said.error.is_empty() => {
                if out.json(topic, now.wall, 0, text, KRAKEN_INTEGERS).is_err() {
                    return self.refused("an answer that could not be read", now, out);
                }
                self.answers += 1;
                self.backoff.reset();
                if self.alone {
                    out.state(State::Ready, "REST answers");
                }
            }
            (_, Ok(said)) => self.refused(&said.error.join(", "), now, out),
            (Some(status), Err(_)) => self.refused(&format!("status {status}"), now, out),
            (None, Err(_)) => self.refused(text, now, out),
        }
    }

    fn refused(&mut self, why: &str, now: Now, out: &mut Outbox) {
        self.refusals += 1;
        self.next = now.after(self.backoff.next_ns());
        // Beside a WebSocket that stands nothing is missing; where it does not, that is said.
        if self.alone {
            out.state(State::Degraded, format!("REST: {why}"));
        }
    }
}

/// A GET.
pub(super) fn get(url: &str, path: &str) -> Request {
    Request { url: format!("{url}{path}"), ..Request::default() }
}

/// `API-Sign` of a private call: HMAC-SHA512 of the path and of the SHA-256 of nonce and body, with the secret
/// (<https://docs.kraken.com/api/docs/guides/spot-rest-auth>). None: the secret is no base64.
pub fn sign(secret: &str, path: &str, nonce: &str, body: &str) -> Option<String> {
    let key = STANDARD.decode(secret).ok()?;
    let mut mac = Hmac::<Sha512>::new_from_slice(&key).ok()?;
    mac.update(path.as_bytes());
    mac.update(&Sha256::digest(format!("{nonce}{body}")));
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}

/// Queues the definitions of all pairs.
pub(in crate::connect) fn queue(pairs: &Pairs, topic: TopicId, now: WallNanos, out: &mut Outbox) {
    for (symbol, pair) in &pairs.by_name {
        let (base, quote) = symbol.split_once('/').unwrap_or((symbol, ""));
        let keys = 9 + u16::from(pair.tick_size.is_some());
        out.map(topic, now, 0, keys, |writer| {
            let texts = [("exchange", "kraken"), ("instrument", symbol), ("base", base), ("quote", quote)];
            texts.into_iter().for_each(|(key, text)| put(writer, key, text));
            let step = pair.tick_size.map(|step| ("price_increment", step.digits, step.scale));
            for (key, digits, scale) in step.into_iter().chain([("qty_increment", 1, pair.qty_digits)]) {
                writer.text(key);
                writer.decimal(digits, scale);
            }
            for (key, digits) in [("price_precision", pair.price_digits), ("qty_precision", pair.qty_digits)]
            {
                writer.text(key);
                writer.uint(u64::from(digits));
            }
            put(writer, "status", &pair.status);
            writer.text("timestamp");
            writer.int(now.0);
        });
    }
}

fn put(writer: &mut PayloadWriter, key: &str, text: &str) {
    writer.text(key);
    writer.text(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_call_is_signed_as_kraken_s_own_example_is() {
        // Key, nonce, body and signature of the example in https://docs.kraken.com/api/docs/guides/spot-rest-auth
        let secret =
            "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==";
        let body = "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25";
        let signed = sign(secret, "/0/private/AddOrder", "1616492376594", body);
        let expected =
            "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ==";
        assert_eq!(signed.as_deref(), Some(expected));
        assert_eq!(sign("no base64!", "/", "1", ""), None);
    }
}
