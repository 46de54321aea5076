//! Our own orders at Kraken (channel `executions`, topic `kraken_orders`). Each connection needs a fresh token, which a
//! signed REST call gives out. The channel's `sequence` is the one true numbering that Kraken has: a number that is
//! missing is a hole of exactly so many messages, after which the open orders are asked for again.

use std::collections::BTreeSet;

use tickline_config::secret::Secret;

use super::rest::sign;
use super::session::{Heard, LINK, Session, Subscription};
use super::wire::{Element, Frame};
use crate::clock::MonoNanos;
use crate::connect::Ties;
use crate::connect::{Connector, Event, Note, Now, Outbox, Request, State};
use crate::time::parse_rfc3339;
use crate::transcode::KRAKEN_INTEGERS;

const TOKEN: u32 = 1;
const TOKEN_PATH: &str = "/0/private/GetWebSocketsToken";

/// Waits at least this long after a refusal of the key, ns.
const REFUSED_NS: u64 = 300_000_000_000;

/// What an orders connector is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrdersSettings {
    /// WebSocket for private channels, version 2.
    pub url: String,
    /// REST.
    pub rest_url: String,
    /// Key with the right to open private connections.
    pub api_key: Secret,
    /// Its secret, base64.
    pub api_secret: Secret,
    /// Whether a refused key ends the process; else it is tried again every five minutes.
    pub fail_when_refused: bool,
    /// Differs between processes.
    pub seed: u64,
}

/// The connector.
#[derive(Debug)]
pub struct Orders {
    session: Session,
    settings: OrdersSettings,
    /// Nonce of the last call: each must be larger.
    nonce: i64,
    /// Of this connection's subscription.
    sequence: Option<u64>,
    last: Now,
    ordinals: Ties,
    malformed: u64,
}

#[derive(serde::Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    error: Vec<String>,
    result: Option<TokenResult>,
}

#[derive(serde::Deserialize)]
struct TokenResult {
    token: String,
}

impl Orders {
    /// A connector that has not begun.
    pub fn new(settings: OrdersSettings) -> Self {
        let session = Session::new(Subscription {
            url: settings.url.clone(),
            topic: "kraken_orders",
            channel: "executions",
            parameters: String::new(),
            symbols: Vec::new(),
            begins_with_data: false,
            seed: settings.seed,
        });
        let (last, ordinals) = (Now::default(), Ties::default());
        Self { session, settings, nonce: 0, sequence: None, last, ordinals, malformed: 0 }
    }

    fn ask_token(&mut self, now: Now, out: &mut Outbox) {
        self.nonce = (now.wall.0 / 1_000).max(self.nonce + 1);
        let nonce = self.nonce.to_string();
        let body = format!("nonce={nonce}");
        let Some(signature) = sign(self.settings.api_secret.expose(), TOKEN_PATH, &nonce, &body) else {
            return out.fail("api_secret: must be base64, as Kraken shows it");
        };
        let headers = vec![
            ("API-Key", self.settings.api_key.expose().to_owned()),
            ("API-Sign", signature),
            ("Content-Type", "application/x-www-form-urlencoded".to_owned()),
        ];
        let url = format!("{}{TOKEN_PATH}", self.settings.rest_url);
        out.ask(TOKEN, Request { url, headers, body: Some(body) });
    }

    fn token(&mut self, status: Option<u16>, body: &[u8], now: Now, out: &mut Outbox) {
        let answer = serde_json::from_slice::<TokenAnswer>(body);
        match answer {
            Ok(TokenAnswer { result: Some(TokenResult { token }), .. }) => {
                let parameters = format!(r#","token":{token:?},"snap_orders":true,"snap_trades":false"#);
                self.session.set_parameters(parameters);
                self.session.open(out);
            }
            Ok(TokenAnswer { error, .. }) if is_refusal(&error) => self.refused(&error.join(", "), now, out),
            Ok(TokenAnswer { error, .. }) => self.later(&error.join(", "), now, out),
            Err(_) if matches!(status, Some(401 | 403)) => self.refused("status 401 or 403", now, out),
            Err(_) => {
                let text = String::from_utf8_lossy(body);
                self.later(
                    &status.map_or_else(|| text.into_owned(), |status| format!("status {status}")),
                    now,
                    out,
                );
            }
        }
    }

    fn refused(&mut self, why: &str, now: Now, out: &mut Outbox) {
        let note = Note { kind: "refused", scope: "*", detail: why, ..Note::default() };
        out.event(self.session.topic, now.wall, &note);
        if self.settings.fail_when_refused {
            return out.fail(format!("api_key: refused by Kraken: {why}"));
        }
        out.state(State::Degraded, format!("api_key: refused by Kraken: {why}"));
        self.session.wait(REFUSED_NS, now);
    }

    fn later(&mut self, why: &str, now: Now, out: &mut Outbox) {
        out.state(State::Degraded, format!("no token: {why}"));
        self.session.wait(0, now);
    }

    fn data(&mut self, frame: &Frame<'_>, message: &[u8], now: Now, out: &mut Outbox) {
        self.look_at_sequence(frame.sequence, now, out);
        self.last = now;
        let elements = frame.data.map(|data| serde_json::from_str::<Vec<Element<'_>>>(data.get()));
        let Some(Ok(elements)) = elements else { return self.malformed += 1 };
        let times =
            elements.iter().filter_map(|element| parse_rfc3339(element.timestamp.as_ref()?.0.as_bytes()));
        let times: BTreeSet<i64> = times.collect();
        // Any series may be in any element: the highest ordinal of the message holds for all of it.
        let ordinals = times.into_iter().map(|time| self.ordinals.take(time, elements.len() as u32));
        let tie = ordinals.max().unwrap_or(0);
        let json = std::str::from_utf8(message).unwrap_or_default();
        if out.json(self.session.topic, now.wall, tie, json, KRAKEN_INTEGERS).is_err() {
            self.malformed += 1;
        }
    }

    fn look_at_sequence(&mut self, found: Option<u64>, now: Now, out: &mut Outbox) {
        let Some(found) = found else { return };
        let lost = self.sequence.and_then(|last| found.checked_sub(last + 1)).filter(|lost| *lost > 0);
        self.sequence = Some(found);
        if let Some(lost) = lost {
            let note = Note {
                kind: "gap",
                scope: "*",
                span: Some((self.last.wall, now.wall)),
                lost: Some(lost),
                detail: "sequence of executions",
            };
            out.event(self.session.topic, now.wall, &note);
            // A new connection begins with the orders that are open.
            self.session.give_up("executions are missing", now, out);
        }
    }
}

/// Whether Kraken refuses the key, and not only this call.
fn is_refusal(errors: &[String]) -> bool {
    let codes =
        ["EAPI:Invalid key", "EAPI:Invalid signature", "EGeneral:Permission denied", "EAPI:Feature disabled"];
    let is_code = |error: &str, code: &str| {
        // The WebSocket leaves the class out.
        error.starts_with(code) || code.split_once(':').is_some_and(|(_, words)| error.starts_with(words))
    };
    errors.iter().any(|error| codes.iter().any(|code| is_code(error, code)))
}

impl Connector for Orders {
    fn on(&mut self, event: Event<'_>, now: Now, out: &mut Outbox) {
        match event {
            Event::Start => {
                self.session.name_topic(out);
                out.state(State::Starting, "asking for a token");
                return self.ask_token(now, out);
            }
            Event::Answer { id: TOKEN, status, body } => return self.token(status, body, now, out),
            Event::Opened(_) => self.sequence = None,
            _ => {}
        }
        match self.session.on(event, now, out) {
            Heard::Data(frame) => {
                if let Event::Message(_, message) = event {
                    self.data(&frame, message, now, out);
                }
            }
            Heard::Retry => self.ask_token(now, out),
            Heard::Refused(why) if is_refusal(std::slice::from_ref(&why)) => {
                out.close(LINK);
                self.refused(&why, now, out);
            }
            // A token that has expired, or a venue that is busy.
            Heard::Refused(why) => self.session.give_up(&why, now, out),
            Heard::Malformed => self.malformed += 1,
            Heard::Down | Heard::Quiet => {}
        }
    }

    fn due(&self) -> Option<MonoNanos> {
        self.session.due()
    }

    fn counts(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        self.session.tell(tell);
        tell("executions_malformed", self.malformed);
    }
}
