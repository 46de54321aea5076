//! The transaction stream: each transaction as it is, in the order of their ids, which have no holes. It promises that
//! what the stream does not bring is fetched and published before what follows it, or told as a gap with its exact
//! number. It refuses to look back behind its first start.

use crate::clock::{MonoNanos, WallNanos};
use crate::connect::oanda::catch_up::{CatchUp, Page, id, number};
use crate::connect::oanda::{Account, Counts, Head};
use crate::connect::upstream::{Upstream, front};
use crate::connect::{Connector, Event, Note, Now, Outbox, Request, TopicId};
use crate::transcode::OANDA_INTEGERS;

/// No account makes as many transactions while we do not listen: an id further ahead is a mistake.
const AHEAD_MAX: u64 = 1_000_000;

/// Settings of [`Transactions`].
#[derive(Clone, Debug, Default)]
pub struct TransactionsSettings {
    /// Whose transactions.
    pub account: Account,
    /// Topic of each of them: `oanda_orders`.
    pub topic: String,
    /// Tells the waits of processes apart: random.
    pub seed: u64,
}

/// The connector of transactions.
#[derive(Debug)]
pub struct Transactions {
    settings: TransactionsSettings,
    upstream: Upstream,
    topics: Vec<TopicId>,
    /// Everything up to it was published, or told as lost.
    last: Option<u64>,
    /// When that was everything there was.
    complete: WallNanos,
    missing: Option<CatchUp>,
    requests: u32,
    counts: Counts,
}

impl Transactions {
    /// A connector that has not begun.
    pub fn new(settings: TransactionsSettings) -> Self {
        Self {
            upstream: Upstream::new(settings.account.stream("transactions/stream", &[], settings.seed)),
            settings,
            topics: Vec::new(),
            last: None,
            complete: WallNanos(0),
            missing: None,
            requests: 0,
            counts: Counts::default(),
        }
    }

    /// What was met so far.
    pub fn counts(&self) -> Counts {
        Counts { connections: self.upstream.opened(), ..self.counts }
    }

    fn line(&mut self, line: &[u8], now: Now, out: &mut Outbox) {
        let done = Head::read(line).and_then(|(head, json)| {
            if let Some(time) = head.time() {
                self.upstream.heard_at(time);
            }
            if head.kind == "HEARTBEAT" {
                self.heartbeat(&head, now, out)
            } else if !head.id.is_empty() {
                self.transaction(&head, json, now, out)
            } else {
                self.counts.unknown += 1;
                Ok(())
            }
        });
        if let Err(reason) = done {
            self.counts.malformed += 1;
            self.upstream.suspect(&format!("malformed line: {reason}"), now, out);
        }
    }

    fn heartbeat(&mut self, head: &Head<'_>, now: Now, out: &mut Outbox) -> Result<(), String> {
        let newest = number("lastTransactionID", &head.last_transaction)?;
        let newest = self.plausible(newest)?;
        self.counts.heartbeats += 1;
        self.up(now, out);
        match self.last {
            None => self.last = Some(newest),
            Some(last) if newest > last => self.catch_up(newest, out),
            Some(_) => {}
        }
        self.look_complete(newest);
        Ok(())
    }

    fn transaction(&mut self, head: &Head<'_>, json: &str, now: Now, out: &mut Outbox) -> Result<(), String> {
        let id = self.plausible(id(head)?)?;
        self.up(now, out);
        let last = self.last.unwrap_or_else(|| id.saturating_sub(1));
        if id <= last {
            self.counts.repeated += 1;
            return Ok(());
        }
        if id > last + 1 {
            self.catch_up(id, out);
        }
        match &mut self.missing {
            Some(missing) => self.counts.repeated += u64::from(!missing.hold(id, now.wall, json)),
            None => self.publish(id, json, now.wall, now, out),
        }
        self.look_complete(id);
        Ok(())
    }

    /// An id that may be one.
    fn plausible(&self, id: u64) -> Result<u64, String> {
        match self.last {
            Some(last) if id.saturating_sub(last) > AHEAD_MAX => {
                Err(format!("a transaction id must be near the last one {last}, found {id}"))
            }
            _ => Ok(id),
        }
    }

    /// After a reconnect there is a hole only if no id tells what is missing.
    fn up(&mut self, now: Now, out: &mut Outbox) {
        if self.last.is_some() {
            self.upstream.take_hole();
        }
        self.upstream.up(None, now, out);
    }

    /// The venue's newest transaction is `newest`: if that is ours, nothing is missing up to now.
    fn look_complete(&mut self, newest: u64) {
        if self.last == Some(newest) {
            self.complete = self.upstream.heard();
        }
    }

    /// Fetches everything behind the last one, up to `target` and beyond.
    fn catch_up(&mut self, target: u64, out: &mut Outbox) {
        match &mut self.missing {
            Some(missing) => missing.want(target),
            None => {
                self.missing = Some(CatchUp::new(target, self.settings.seed));
                self.ask(out);
            }
        }
    }

    fn ask(&mut self, out: &mut Outbox) {
        let (Some(missing), Some(last)) = (&mut self.missing, self.last) else { return };
        let Account { rest_url, id, .. } = &self.settings.account;
        self.requests = self.requests.wrapping_add(1);
        missing.asked = Some(self.requests);
        missing.again_at = None;
        let request = Request {
            url: format!("{rest_url}/v3/accounts/{id}/transactions/sinceid?id={last}"),
            headers: vec![self.upstream.authorization()],
            ..Request::default()
        };
        out.ask(self.requests, request);
    }

    fn is_awaited(&self, request: u32) -> bool {
        self.missing.as_ref().is_some_and(|missing| missing.asked == Some(request))
    }

    fn again_at(&self) -> Option<MonoNanos> {
        self.missing.as_ref().and_then(|missing| missing.again_at)
    }

    fn answer(&mut self, status: Option<u16>, body: &[u8], now: Now, out: &mut Outbox) {
        if let Some(missing) = &mut self.missing {
            missing.asked = None;
        }
        let why = match status {
            Some(200) => match Page::read(body) {
                Ok(page) => return self.page(&page, now, out),
                Err(reason) => {
                    self.counts.malformed += 1;
                    format!("malformed answer: {reason}")
                }
            },
            Some(status) => format!("{status}: {}", front(&String::from_utf8_lossy(body))),
            None => front(&String::from_utf8_lossy(body)).to_owned(),
        };
        let refused = match status {
            Some(401 | 403) => !self.upstream.renew_token(),
            Some(400..=499) => !matches!(status, Some(408 | 429)),
            _ => false,
        };
        if refused {
            let note = Note { kind: "refused", scope: "*", detail: &why, ..Note::default() };
            out.tell(&self.topics, now.wall, &note);
        }
        let Some(missing) = &mut self.missing else { return };
        if !missing.failed(status, now) || refused {
            self.give_up(&why, now, out);
        }
    }

    fn page(&mut self, page: &Page<'_>, now: Now, out: &mut Outbox) {
        let why = "the venue's answer does not have it";
        let before = self.last;
        for (id, json) in &page.transactions {
            self.release(id.saturating_sub(1), why, now, out);
            if Some(*id) > self.last && self.plausible(*id).is_ok() {
                self.gap_before(*id, why, now, out);
                self.counts.fetched += 1;
                self.publish(*id, json, now.wall, now, out);
            }
        }
        while let Some(next) = self.last.map(|last| last + 1)
            && self.release(next, why, now, out)
        {}
        let Some(missing) = &mut self.missing else { return };
        if self.last >= Some(missing.target().max(page.last)) {
            self.missing = None;
        } else if self.last > before {
            missing.progressed();
            self.ask(out);
        } else if !missing.failed(None, now) {
            self.give_up(why, now, out);
        }
    }

    /// Publishes what waits and has an id up to `to`; whether there was any.
    fn release(&mut self, to: u64, why: &str, now: Now, out: &mut Outbox) -> bool {
        let mut any = false;
        while let Some(held) = self.missing.as_mut().and_then(|missing| missing.release(to)) {
            any = true;
            if Some(held.id) > self.last {
                self.gap_before(held.id, why, now, out);
                self.publish(held.id, &held.json, held.recv, now, out);
            }
        }
        any
    }

    /// Publishes what waits; what is not there is lost.
    fn give_up(&mut self, why: &str, now: Now, out: &mut Outbox) {
        let Some(target) = self.missing.as_ref().map(CatchUp::target) else { return };
        self.release(target, why, now, out);
        self.missing = None;
        self.gap_before(target.saturating_add(1), why, now, out);
        self.last = self.last.max(Some(target));
    }

    fn publish(&mut self, id: u64, json: &str, recv: WallNanos, now: Now, out: &mut Outbox) {
        self.last = Some(id);
        let Some(topic) = self.topics.first() else { return };
        // The place in its batch, whose transactions share one time, is the venue's own ordinal.
        let batch = Head::read(json.as_bytes()).ok().and_then(|(head, _)| head.batch.parse().ok());
        let tie = batch.and_then(|batch: u64| u32::try_from(id.checked_sub(batch)?).ok()).unwrap_or(0);
        match out.json(*topic, recv, tie, json, OANDA_INTEGERS) {
            Ok(()) => self.counts.published += 1,
            Err(error) => {
                self.counts.malformed += 1;
                self.tell_gap(id, id, &format!("malformed: {error}"), now, out);
            }
        }
    }

    /// Tells what is missing between the last transaction and `id`.
    fn gap_before(&mut self, id: u64, why: &str, now: Now, out: &mut Outbox) {
        if let Some(last) = self.last
            && id > last + 1
        {
            self.tell_gap(last + 1, id - 1, why, now, out);
        }
    }

    fn tell_gap(&mut self, from: u64, to: u64, why: &str, now: Now, out: &mut Outbox) {
        let lost = to - from + 1;
        self.counts.lost += lost;
        let detail = format!("transactions {from} to {to}: {why}");
        let span = Some((self.complete, now.wall));
        let note = Note { kind: "gap", scope: "*", span, lost: Some(lost), detail: &detail };
        out.tell(&self.topics, now.wall, &note);
    }

    fn stop(&mut self, now: Now, out: &mut Outbox) {
        self.give_up("the run ended before it came", now, out);
        if let Some(hole) = self.upstream.take_hole() {
            let from = if self.last.is_some() { self.complete } else { hole };
            let detail = "not connected when the run ended";
            let note =
                Note { kind: "gap", scope: "*", span: Some((from, now.wall)), detail, ..Note::default() };
            out.tell(&self.topics, now.wall, &note);
        }
    }
}

impl Connector for Transactions {
    fn on(&mut self, event: Event<'_>, now: Now, out: &mut Outbox) {
        if let Event::Start = event {
            self.topics = vec![out.topic(&self.settings.topic)];
            self.upstream.set_topics(self.topics.to_vec());
        }
        if let Some(line) = self.upstream.on(event, now, out) {
            self.line(line, now, out);
        }
        match event {
            Event::Opened(_) => {
                if let Some(last) = self.last {
                    self.catch_up(last, out);
                }
            }
            Event::Answer { id, status, body } if self.is_awaited(id) => self.answer(status, body, now, out),
            Event::Due if self.again_at().is_some_and(|at| now.mono >= at) => self.ask(out),
            Event::Stop => self.stop(now, out),
            _ => {}
        }
    }

    fn due(&self) -> Option<MonoNanos> {
        [self.upstream.due(), self.again_at()].into_iter().flatten().min()
    }

    fn counts(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        self.counts().tell(tell);
    }
}
