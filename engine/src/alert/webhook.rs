//! Telling somebody: an alert is posted as it begins, again while it stands, and as it ends. What cannot be told is tried
//! again, in its order, for ten minutes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use reqwest::blocking::Client;
use tickline_config::model::Alerting;
use tickline_config::secret::Secret;
use tickline_feeds::clock::{MonoNanos, WallNanos};
use tickline_feeds::payload::rfc3339;
use tickline_sinks::influx::spoken;

use super::{Change, Firing};

/// Waits between tries, doubled from the first to the last.
const WAIT_MIN_NS: u64 = 1_000_000_000;
const WAIT_MAX_NS: u64 = 30_000_000_000;
/// For so long a message is tried.
const TRIED_MAX_NS: u64 = 600_000_000_000;
/// Messages posted at one look: a slow receiver must not keep the rules from being looked at.
const POSTS_MAX: usize = 10;
/// Messages that wait; the oldest goes for one more.
const WAITING_MAX: usize = 1_000;

/// Messages posted, and messages given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Taken by the receiver.
    pub sent: u64,
    /// Refused, not taken within ten minutes, or pushed out by newer ones.
    pub given_up: u64,
}

/// An address that is told.
#[derive(Debug)]
pub struct Webhook {
    client: Client,
    url: Secret,
    body: String,
    instance: String,
    repeat: Option<Duration>,
    waiting: VecDeque<(MonoNanos, String)>,
    next_try: MonoNanos,
    wait_ns: u64,
    /// When each that stands was last told.
    said: BTreeMap<(String, String), MonoNanos>,
    told: Told,
}

impl Webhook {
    /// The one of a configuration, if it has one.
    pub fn of(alerting: &Alerting, instance: &str) -> Result<Option<Self>, reqwest::Error> {
        let Some(url) = alerting.webhook.clone() else { return Ok(None) };
        let redirects = reqwest::redirect::Policy::none();
        let client = Client::builder().timeout(alerting.timeout).redirect(redirects).build()?;
        Ok(Some(Self {
            client,
            url,
            body: alerting.body.clone(),
            instance: instance.to_owned(),
            repeat: alerting.repeat,
            waiting: VecDeque::new(),
            next_try: MonoNanos(0),
            wait_ns: WAIT_MIN_NS,
            said: BTreeMap::new(),
            told: Told::default(),
        }))
    }

    /// How many were told.
    pub(super) fn told(&self) -> Told {
        self.told
    }

    /// Takes a message.
    pub(super) fn post(&mut self, change: Change, now: MonoNanos) {
        let (firing, state) = match &change {
            Change::Fires(firing) => (firing, "firing"),
            Change::Ends(firing) => (firing, "resolved"),
        };
        let key = (firing.name.clone(), firing.labels.clone());
        match change {
            Change::Fires(_) => self.said.insert(key, now),
            Change::Ends(_) => self.said.remove(&key),
        };
        let text = body(&self.body, &self.instance, firing, state);
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
            self.told.given_up += 1;
        }
        self.waiting.push_back((now, text));
    }

    /// Repeats what stands, and sends what waits.
    pub(super) fn look(&mut self, firing: &[Firing], now: MonoNanos) {
        let Some(repeat) = self.repeat else { return self.send(now) };
        for of in firing {
            let said = self.said.get(&(of.name.clone(), of.labels.clone()));
            if said.is_some_and(|said| u128::from(now.since(*said)) >= repeat.as_nanos()) {
                self.post(Change::Fires(of.clone()), now);
            }
        }
        self.send(now);
    }

    fn send(&mut self, now: MonoNanos) {
        if now < self.next_try {
            return;
        }
        for _ in 0..POSTS_MAX {
            let Some((since, text)) = self.waiting.front() else { return };
            match self.try_once(text) {
                Ok(()) => {
                    self.told.sent += 1;
                    self.wait_ns = WAIT_MIN_NS;
                    self.waiting.pop_front();
                }
                Err((why, for_good)) => {
                    let over = for_good || now.since(*since) >= TRIED_MAX_NS;
                    if over {
                        self.waiting.pop_front();
                        self.told.given_up += 1;
                    }
                    let what = if over { "given up" } else { "tried again" };
                    tracing::warn!("alerting.webhook: {what}: {why}");
                    if for_good {
                        continue;
                    }
                    self.next_try = MonoNanos(now.0 + self.wait_ns);
                    self.wait_ns = (2 * self.wait_ns).min(WAIT_MAX_NS);
                    return;
                }
            }
        }
    }

    /// Why it was not taken, and whether it never will be. Its address may hold a token and is in no message.
    fn try_once(&self, text: &str) -> Result<(), (String, bool)> {
        let request = self.client.post(self.url.expose()).header("content-type", "application/json");
        let answer = request.body(text.to_owned()).send();
        let status = answer.map_err(|error| (spoken(error), false))?.status().as_u16();
        match status {
            200..300 => Ok(()),
            _ => Err((format!("status {status}"), is_for_good(status))),
        }
    }
}

/// Whether the same message would be refused again: not what the server, the time, or too many of them are to blame for.
fn is_for_good(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 401 | 403 | 404 | 408 | 425 | 429)
}

/// The body with everything replaced, so that what stands inside quotes stays there.
fn body(template: &str, instance: &str, of: &Firing, state: &str) -> String {
    let values = [
        ("{name}", of.name.clone()),
        ("{state}", state.to_owned()),
        ("{severity}", of.severity.name().to_owned()),
        ("{summary}", of.summary.clone()),
        ("{value}", of.value.to_string()),
        ("{since}", rfc3339(WallNanos(of.since_ns), 0)),
        ("{instance}", instance.to_owned()),
        ("{labels}", of.labels.clone()),
    ];
    let mut out = String::new();
    let mut rest = template;
    // In one pass: what is put in is not looked at again.
    while let Some(at) = rest.find('{') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        match values.iter().find(|(name, _)| after.starts_with(name)) {
            Some((name, value)) => {
                let quoted = serde_json::Value::from(value.as_str()).to_string();
                out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
                rest = after.get(name.len()..).unwrap_or_default();
            }
            None => {
                out.push('{');
                rest = after.get(1..).unwrap_or_default();
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use tickline_config::model::Severity;

    use super::*;

    #[test]
    fn a_message_that_is_wrong_itself_is_not_told_again() {
        let again = [401, 403, 404, 408, 425, 429, 500, 502, 503, 504, 301];
        assert!(!again.into_iter().any(is_for_good));
        assert!([400, 405, 410, 413, 422].into_iter().all(is_for_good));
    }

    #[test]
    fn a_body_stays_json_whatever_is_put_into_it() {
        let of = Firing {
            name: "n".into(),
            severity: Severity::Page,
            summary: "\"{name}\" \\ said\nso".into(),
            labels: "feed=\"x\"".into(),
            value: 1.5,
            since_ns: 1_790_000_000_000_000_000,
        };
        let template = r#"{"text": "{state}: {summary} {unknown}", "at": "{since}", "n": {value}, "labels": "{labels}"}"#;
        let json: serde_json::Value = serde_json::from_str(&body(template, "h", &of, "firing")).unwrap();
        let expected = serde_json::json!({ "text": "firing: \"{name}\" \\ said\nso {unknown}",
            "at": "2026-09-21T14:13:20Z", "n": 1.5, "labels": "feed=\"x\"" });
        assert_eq!(json, expected);
    }
}
