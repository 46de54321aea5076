//! The pricing stream: each PRICE line as it is, under as many topics as are wanted. It promises that after each
//! reconnect the hole is told before the first price that follows it. It refuses to judge prices: a closed market's and
//! one that is older than the one before are published, the latter counted.

use hashbrown::HashMap;

use crate::clock::{MonoNanos, WallNanos};
use crate::connect::oanda::{Account, Counts, Head};
use crate::connect::ties::Ties;
use crate::connect::upstream::Upstream;
use crate::connect::{Connector, Event, Note, Now, Outbox, TopicId};
use crate::transcode::OANDA_INTEGERS;

/// Settings of [`Prices`].
#[derive(Clone, Debug, Default)]
pub struct PricesSettings {
    /// Whose stream.
    pub account: Account,
    /// Instruments as the venue names them: `EUR_USD`.
    pub instruments: Vec<String>,
    /// Topics under each of which every price is published: `oanda_tick`, `oandav20_tick`.
    pub topics: Vec<String>,
    /// Whether each price is published under its instrument's name, too.
    pub instrument_topics: bool,
    /// Tells the waits of processes apart: random.
    pub seed: u64,
}

#[derive(Debug, Default)]
struct Instrument {
    topic: Option<TopicId>,
    ties: Ties,
    last: Option<WallNanos>,
}

/// The connector of prices.
#[derive(Debug)]
pub struct Prices {
    settings: PricesSettings,
    upstream: Upstream,
    /// Topics of every price.
    topics: Vec<TopicId>,
    /// Topics of every event: a subscriber of any of them learns of a hole.
    event_topics: Vec<TopicId>,
    instruments: HashMap<String, Instrument>,
    counts: Counts,
}

impl Prices {
    /// A connector that has not begun.
    pub fn new(settings: PricesSettings) -> Self {
        let names = settings.instruments.join("%2C");
        let path = format!("pricing/stream?instruments={names}&snapshot=true");
        Self {
            upstream: Upstream::new(settings.account.stream(&path, &settings.instruments, settings.seed)),
            settings,
            topics: Vec::new(),
            event_topics: Vec::new(),
            instruments: HashMap::new(),
            counts: Counts::default(),
        }
    }

    /// What was met so far.
    pub fn counts(&self) -> Counts {
        Counts { connections: self.upstream.opened(), ..self.counts }
    }

    fn start(&mut self, out: &mut Outbox) {
        self.topics = self.settings.topics.iter().map(|name| out.topic(name)).collect();
        self.event_topics.clone_from(&self.topics);
        for name in &self.settings.instruments {
            let topic = self.settings.instrument_topics.then(|| out.topic(name));
            self.event_topics.extend(topic);
            self.instruments.insert(name.to_owned(), Instrument { topic, ..Instrument::default() });
        }
        self.upstream.set_topics(self.event_topics.to_vec());
    }

    fn line(&mut self, line: &[u8], now: Now, out: &mut Outbox) {
        let done = Head::read(line).and_then(|(head, json)| {
            let time = head.time();
            if let Some(time) = time {
                self.upstream.heard_at(time);
            }
            match &*head.kind {
                "PRICE" => return self.price(&head, time, json, now, out),
                "HEARTBEAT" => self.counts.heartbeats += 1,
                _ => self.counts.unknown += 1,
            }
            Ok(())
        });
        if let Err(reason) = done {
            self.counts.malformed += 1;
            self.upstream.unread(&reason, now);
        }
    }

    fn price(
        &mut self,
        head: &Head<'_>,
        time: Option<WallNanos>,
        json: &str,
        now: Now,
        out: &mut Outbox,
    ) -> Result<(), String> {
        self.upstream.up(time, now, out);
        self.counts.untimed += u64::from(time.is_none());
        let instrument = self.instruments.get_mut(&*head.instrument);
        self.counts.unlisted += u64::from(instrument.is_none());
        let (mut tie, mut own_topic) = (0, None);
        if let Some(instrument) = instrument {
            own_topic = instrument.topic;
            if let Some(time) = time {
                tie = instrument.ties.next(time.0);
                self.counts.time_back += u64::from(instrument.last.is_some_and(|last| time < last));
                instrument.last = Some(time);
            }
        }
        let mut topics = self.topics.iter().copied().chain(own_topic);
        if let Some(first) = topics.next() {
            out.json(first, now.wall, tie, json, OANDA_INTEGERS).map_err(|error| error.to_string())?;
            topics.for_each(|topic| out.repeat(topic));
            self.counts.published += 1;
        }
        Ok(())
    }
}

impl Connector for Prices {
    fn on(&mut self, event: Event<'_>, now: Now, out: &mut Outbox) {
        if let Event::Start = event {
            self.start(out);
        }
        if let Some(line) = self.upstream.on(event, now, out) {
            self.line(line, now, out);
        }
        if let Event::Stop = event
            && let Some(from) = self.upstream.take_hole()
        {
            let span = Some((from, now.wall));
            let detail = "no price came before the run ended";
            let note = Note { kind: "gap", scope: "*", span, detail, ..Note::default() };
            out.tell(&self.event_topics, now.wall, &note);
        }
    }

    fn due(&self) -> Option<MonoNanos> {
        self.upstream.due()
    }

    fn counts(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        self.counts().tell(tell);
    }
}
