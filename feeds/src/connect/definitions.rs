//! Instrument definitions (topic `instruments`): what Kraken and an account at OANDA can trade, published when they change
//! and all of them every ten minutes, so that whoever comes late has them soon. Kraken is asked over REST until its stream
//! stands, and whenever it does not; OANDA every minute. Each carries since when it holds, as far as this process knows.

use std::collections::HashMap;

use super::kraken::{self, Instruments};
use super::oanda::{Account, instruments};
use crate::clock::{MonoNanos, WallNanos};
use crate::connect::upstream::REFUSED_WAIT_NS;
use crate::connect::{Connector, Event, Note, Now, OnRefused, Outbox, Request, State, TopicId};
use crate::payload::{Decimals, RESERVED_BYTES, RESERVED_KEYS};

const SECOND_NS: u64 = 1_000_000_000;
/// How often each venue is asked.
const ASK_NS: u64 = 60 * SECOND_NS;
/// How often everything is said again.
pub(super) const ALL_NS: u64 = 600 * SECOND_NS;
/// Bytes of the key `timestamp` and its value, which stand last.
const TIME_BYTES: usize = 19;

/// What definitions are made from.
#[derive(Clone, Debug, Default)]
pub struct DefinitionsSettings {
    /// Kraken's REST and its WebSocket, version 2; none: not Kraken.
    pub kraken: Option<(String, String)>,
    /// Whose instruments at OANDA; none: not OANDA.
    pub oanda: Option<Account>,
    /// Differs between processes.
    pub seed: u64,
}

/// A definition without its time, and since when it holds.
#[derive(Debug)]
struct Known {
    keys: u16,
    since: WallNanos,
    /// The round of answers in which it was last seen.
    round: u64,
}

/// The connector.
#[derive(Debug)]
pub struct Definitions {
    settings: DefinitionsSettings,
    stream: Option<Instruments>,
    topic: TopicId,
    /// By venue and body.
    known: [HashMap<Vec<u8>, Known>; 2],
    rounds: [u64; 2],
    scratch: Outbox,
    /// Why a venue has not answered as it should; none: it has.
    wrong: [Option<String>; 2],
    next_ask: MonoNanos,
    /// OANDA has refused us: it is not asked before.
    oanda_again: MonoNanos,
    next_all: MonoNanos,
    published: u64,
    refusals: u64,
    malformed: u64,
}

/// Positions of the venues, and the numbers of their requests.
const KRAKEN: usize = 0;
const OANDA: usize = 1;
const NAMES: [&str; 2] = ["kraken", "oanda"];

impl Definitions {
    /// A connector that has not begun.
    pub fn new(settings: DefinitionsSettings) -> Self {
        let stream = settings.kraken.as_ref().map(|(_, url)| Instruments::new(url.clone(), settings.seed));
        Self {
            settings,
            stream,
            topic: TopicId(0),
            known: Default::default(),
            rounds: [0; 2],
            scratch: Outbox::new(Decimals::Text),
            wrong: Default::default(),
            next_ask: MonoNanos(0),
            oanda_again: MonoNanos(0),
            next_all: MonoNanos(u64::MAX),
            published: 0,
            refusals: 0,
            malformed: 0,
        }
    }

    fn ask(&mut self, now: Now, out: &mut Outbox) {
        self.next_ask = now.after(ASK_NS);
        let is_told = self.stream.as_ref().is_some_and(Instruments::is_whole);
        if let Some((url, _)) = self.settings.kraken.as_ref().filter(|_| !is_told) {
            let url = format!("{url}/0/public/AssetPairs");
            out.ask(KRAKEN as u32, Request { url, ..Request::default() });
        }
        if let Some(account) = self.settings.oanda.as_ref().filter(|_| now.mono >= self.oanda_again) {
            let url = format!("{}/v3/accounts/{}/instruments", account.rest_url, account.id);
            let headers = vec![("Authorization", format!("Bearer {}", account.token.expose()))];
            out.ask(OANDA as u32, Request { url, headers, ..Request::default() });
        }
    }

    fn answer(&mut self, venue: usize, status: Option<u16>, body: &[u8], now: Now, out: &mut Outbox) {
        if venue == KRAKEN && self.stream.as_ref().is_some_and(Instruments::is_whole) {
            // It was asked before the stream stood, which knows better.
            return;
        }
        let read = match (status, venue) {
            (Some(200), KRAKEN) => kraken::Pairs::read(body).map(|pairs| {
                self.malformed += pairs.malformed;
                kraken::queue(&pairs, self.topic, now.wall, &mut self.scratch);
            }),
            (Some(200), _) => instruments::publish(body, self.topic, now, &mut self.scratch)
                .map(|done| self.malformed += done.malformed),
            (Some(status), _) => Err(format!("status {status}")),
            (None, _) => Err(String::from_utf8_lossy(body).into_owned()),
        };
        match &read {
            Ok(()) => self.compare(venue, now, out),
            Err(why) => self.refused(venue, status, why, now, out),
        }
        self.say(venue, read.err(), out);
    }

    /// How it fares, after a venue has answered.
    fn say(&mut self, venue: usize, why: Option<String>, out: &mut Outbox) {
        if let Some(wrong) = self.wrong.get_mut(venue) {
            *wrong = why;
        }
        let wrong = NAMES.iter().zip(&self.wrong).find_map(|(name, wrong)| Some((name, wrong.as_ref()?)));
        let known = self.known.iter().map(HashMap::len).sum::<usize>();
        match wrong {
            Some((name, why)) => out.state(State::Degraded, format!("{name}: {why}")),
            None => out.state(State::Ready, format!("{known} definitions")),
        }
    }

    /// What the stream of Kraken tells.
    fn streamed(&mut self, event: Event<'_>, now: Now, out: &mut Outbox) {
        let Some(stream) = &mut self.stream else { return };
        let was_whole = stream.is_whole();
        if stream.on(event, now, out) {
            kraken::queue(&stream.pairs, self.topic, now.wall, &mut self.scratch);
            self.compare(KRAKEN, now, out);
            self.say(KRAKEN, None, out);
        } else if was_whole && !stream.is_whole() {
            self.next_ask = now.mono;
        }
    }

    fn refused(&mut self, venue: usize, status: Option<u16>, why: &str, now: Now, out: &mut Outbox) {
        self.refusals += 1;
        self.scratch.clear_payloads();
        let is_us = matches!(status, Some(401 | 403));
        if is_us || self.wrong.get(venue).is_some_and(Option::is_none) {
            let scope = NAMES.get(venue).copied().unwrap_or_default();
            out.event(self.topic, now.wall, &Note { kind: "refused", scope, detail: why, ..Note::default() });
        }
        let Some(account) = self.settings.oanda.as_mut().filter(|_| is_us && venue == OANDA) else { return };
        match (account.token.renewed(), account.on_refused) {
            (Some(token), _) => account.token = token,
            (None, OnRefused::Fail) => out.fail(format!("token: must be accepted, found {why}")),
            (None, OnRefused::Degrade) => self.oanda_again = now.after(REFUSED_WAIT_NS),
        }
    }

    /// Publishes what is new, and forgets what is not there any more.
    fn compare(&mut self, venue: usize, now: Now, out: &mut Outbox) {
        let (Some(known), Some(round)) = (self.known.get_mut(venue), self.rounds.get_mut(venue)) else {
            return;
        };
        *round += 1;
        let (queued, bytes) = self.scratch.payloads();
        for queued in queued {
            let payload = bytes.get(queued.from..queued.to).unwrap_or_default();
            let keys =
                payload.get(1..).and_then(<[u8]>::first_chunk).map_or(0, |keys| u16::from_be_bytes(*keys));
            let keys = keys.saturating_sub(RESERVED_KEYS);
            let end = payload.len().saturating_sub(TIME_BYTES);
            let body = payload.get(RESERVED_BYTES..end).unwrap_or_default();
            match known.get_mut(body) {
                Some(known) => known.round = *round,
                None => {
                    put(self.topic, body, keys, now.wall, now, out);
                    self.published += 1;
                    known.insert(body.to_vec(), Known { keys, since: now.wall, round: *round });
                }
            }
        }
        known.retain(|_, known| known.round == *round);
        self.scratch.clear_payloads();
    }

    /// Says everything again.
    fn all(&mut self, now: Now, out: &mut Outbox) {
        self.next_all = now.after(ALL_NS);
        for (body, known) in self.known.iter().flatten() {
            put(self.topic, body, known.keys, known.since, now, out);
            self.published += 1;
        }
    }
}

/// Queues a definition of `keys` keys: those in `body`, and since when it holds.
pub(super) fn put(topic: TopicId, body: &[u8], keys: u16, since: WallNanos, now: Now, out: &mut Outbox) {
    out.map(topic, now.wall, 0, keys, |writer| {
        writer.raw(body);
        writer.text("timestamp");
        writer.int(since.0);
    });
}

impl Connector for Definitions {
    fn on(&mut self, event: Event<'_>, now: Now, out: &mut Outbox) {
        if let Event::Start = event {
            self.topic = out.topic("instruments");
        }
        self.streamed(event, now, out);
        match event {
            Event::Start => {
                self.next_all = now.after(ALL_NS);
                self.ask(now, out);
            }
            Event::Due => {
                if now.mono >= self.next_ask {
                    self.ask(now, out);
                }
                if now.mono >= self.next_all {
                    self.all(now, out);
                }
            }
            Event::Answer { id, status, body } => {
                self.answer(usize::try_from(id).unwrap_or(OANDA), status, body, now, out);
            }
            _ => {}
        }
    }

    fn due(&self) -> Option<MonoNanos> {
        let stream = self.stream.as_ref().and_then(Instruments::due);
        [Some(self.next_ask), Some(self.next_all), stream].into_iter().flatten().min()
    }

    fn counts(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        tell("definitions_published", self.published);
        tell("refusals", self.refusals);
        tell("definitions_malformed", self.malformed);
        if let Some(stream) = &self.stream {
            stream.tell(tell);
        }
    }
}
