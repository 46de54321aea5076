//! What is done with a message beside passing it on: kept as a last value, handed on by routes and to workers. And the numbers
//! of all of it, published for whoever looks.

use tickline_feeds::framing::split_single;
use tickline_feeds::subject::Subject;
use zmq::Error;

use super::cache::Cache;
use super::hand::Handed;
use super::report::ForwardReport;
use super::topics::OTHERS;
use super::{Forwarder, Input};

impl Forwarder {
    /// Looks at a message of the topic at `at`.
    pub(super) fn look(&mut self, at: usize) -> Result<(), Error> {
        let Self { parts, topics, cache, routes, share, upstream, output, clock, .. } = self;
        let (name, payload, further) = match parts.as_slice() {
            [first] => {
                let (name, payload) = single(first);
                (name, payload, &[][..])
            }
            [first, payload, further @ ..] => (&**first, &**payload, further),
            [] => return Ok(()),
        };
        let subject = Subject::read(payload).ok();
        let envelope = subject.map(|subject| subject.envelope).unwrap_or_default();
        let symbol = subject.and_then(|subject| subject.symbol);
        if let Some(cache) = cache
            && at != OTHERS
            && !envelope.is_control()
        {
            cache.put(at, symbol, parts, envelope.resend);
        }
        let topic = topics.get(at);
        if topic.routes.is_empty() && share.is_empty() {
            return Ok(());
        }
        let now = clock.wall();
        let again = upstream.hear(name, &envelope, now.0);
        let gaps = upstream.gaps();
        let handed = Handed { topic: name, payload, further, subject: subject.as_ref() };
        let mut overflows = 0;
        for &route in &topic.routes {
            let Some((route, output)) = routes.get_mut(route).zip(output.as_mut()) else { continue };
            for gap in &gaps {
                let event = route.gap(gap, now);
                overflows += u64::from(event.is_some() && output.send(&route.to, event.into_iter())?);
            }
            if envelope.silence || again {
                continue;
            }
            let Some(copy) = route.take(&handed) else { continue };
            if let Some(cache) = cache.as_mut().filter(|_| !envelope.event) {
                let parts: Vec<&[u8]> = [&*route.to].into_iter().chain(copy.iter().map(|p| &**p)).collect();
                cache.put(route.place, symbol, &parts, false);
            }
            overflows += u64::from(output.send(&route.to, copy.into_iter())?);
        }
        if !share.is_empty() {
            gaps.iter().try_for_each(|gap| share.gap(name, gap, now))?;
            if !(envelope.silence || again) {
                share.take(&handed)?;
            }
        }
        (0..overflows).for_each(|_| self.overflow());
        Ok(())
    }

    pub(super) fn publish(&self) {
        let chosen = !(self.routes.is_empty() && self.share.is_empty());
        let (workers, handed_out) = self.share.counts();
        let mut report = ForwardReport {
            schema: "tickline.forward/1",
            elapsed_s: self.clock.mono().since(self.began) as f64 / 1e9,
            messages: self.messages,
            bytes: self.bytes,
            overflows: self.overflows,
            refused: self.refused,
            cache: self.cache.as_ref().map(Cache::counts),
            routes: self.routes.iter().map(|route| (route.name.clone(), route.counts)).collect(),
            workers,
            handed_out,
            upstream: chosen.then(|| self.upstream.counts()),
            ..ForwardReport::default()
        };
        for topic in self.topics.iter().filter(|topic| topic.counts.messages > 0) {
            // Names that are no text may look alike.
            let name = String::from_utf8_lossy(&topic.name).into_owned();
            report.topics.entry(name).or_default().add(&topic.counts);
        }
        report.balanced = report.adds_up();
        *self.cell.lock() = report;
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").finish_non_exhaustive()
    }
}

/// Topic and payload of a message of one part; one without a space is a topic.
pub(super) fn single(message: &[u8]) -> (&[u8], &[u8]) {
    split_single(message).unwrap_or((message, &[]))
}
