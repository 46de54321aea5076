//! Kraken's channel `instrument`: all pairs at the start of a connection, and each that changes
//! (<https://docs.kraken.com/api/docs/websocket-v2/instrument>). It keeps them as AssetPairs would tell them; what is
//! published of them is the definitions'.

use serde_json::value::RawValue;

use super::names::{Pair, Pairs, increment};
use super::session::{Heard, Session, Subscription};
use super::wire::{Frame, InstrumentData, InstrumentPair};
use crate::clock::MonoNanos;
use crate::connect::{Event, Now, Outbox};

/// The channel.
#[derive(Debug)]
pub(in crate::connect) struct Instruments {
    session: Session,
    /// As far as the channel has told them.
    pub(in crate::connect) pairs: Pairs,
}

impl Instruments {
    pub(in crate::connect) fn new(url: String, seed: u64) -> Self {
        let session = Session::new(Subscription {
            url,
            topic: "instruments",
            channel: "instrument",
            parameters: r#","snapshot":true"#.to_owned(),
            symbols: Vec::new(),
            begins_with_data: true,
            seed,
        });
        Self { session, pairs: Pairs::default() }
    }

    /// Whether the pairs are those of now.
    pub(in crate::connect) fn is_whole(&self) -> bool {
        self.session.is_whole()
    }

    /// Takes an event, and says whether the pairs were told.
    pub(in crate::connect) fn on(&mut self, event: Event<'_>, now: Now, out: &mut Outbox) -> bool {
        if let Event::Start = event {
            self.session.start(now, out);
        }
        match self.session.on(event, now, out) {
            Heard::Data(frame) => return self.data(&frame, now, out),
            Heard::Retry => self.session.open(out),
            Heard::Refused(why) => self.session.give_up(&why, now, out),
            Heard::Malformed => self.pairs.malformed += 1,
            Heard::Down | Heard::Quiet => {}
        }
        false
    }

    fn data(&mut self, frame: &Frame<'_>, now: Now, out: &mut Outbox) -> bool {
        let data = frame.data.map(RawValue::get).map(serde_json::from_str::<InstrumentData<'_>>);
        let Some(Ok(data)) = data else {
            self.pairs.malformed += 1;
            return false;
        };
        if frame.kind.as_ref().is_some_and(|kind| kind.0 == "snapshot") {
            self.pairs.by_name.clear();
        }
        for pair in data.pairs {
            match serde_json::from_str::<InstrumentPair<'_>>(pair.get()).ok().and_then(read) {
                Some((symbol, pair)) => drop(self.pairs.by_name.insert(symbol, pair)),
                None => self.pairs.malformed += 1,
            }
        }
        self.session.fresh(0, now, out);
        true
    }

    /// When it wants to be asked.
    pub(in crate::connect) fn due(&self) -> Option<MonoNanos> {
        self.session.due()
    }

    /// Tells what it has counted.
    pub(in crate::connect) fn tell(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        self.session.tell(tell);
        tell("pairs_malformed", self.pairs.malformed);
    }
}

fn read(pair: InstrumentPair<'_>) -> Option<(String, Pair)> {
    let definition = Pair {
        price_digits: pair.price_precision?,
        qty_digits: pair.qty_precision?,
        tick_size: pair.price_increment.and_then(|step| increment(step.get())),
        status: pair.status.0.into_owned(),
        ..Pair::default()
    };
    Some((pair.symbol.0.into_owned(), definition))
}
