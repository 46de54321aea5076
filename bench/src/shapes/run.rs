//! A run of messages: the opening that a decoder needs first, then the same contents again and again, each time
//! with the next number and the next times. Renewing a message costs some ten ns, so that a sender can go flat
//! out with messages that never repeat.

use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::{self, RESERVED_BYTES, Times};

use super::{START_NS, STEP_NS};

/// Where `_seq` stands in a payload that begins with the reserved keys.
const SEQ_AT: usize = 24;

/// Where the venue's time stands in a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// Nowhere.
    None,
    /// RFC 3339 text with so many digits behind the point.
    Text { at: usize, digits: usize },
    /// Eight bytes of ms.
    Millis { at: usize },
}

/// One content: a map, or a bundle of them.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) payload: Vec<u8>,
    /// Of each map.
    pub(super) stamps: Vec<Stamp>,
    /// Where the map with the reserved keys begins, if there is one.
    pub(super) reserved_at: Option<usize>,
}

/// Time from one map of a bundle to the next, ns: the finest that a venue has.
const BUNDLED_NS: i64 = 1_000;

impl Message {
    /// All of them as one message; the first has the reserved keys.
    pub(super) fn bundle(maps: Vec<Message>) -> Self {
        let mut payload = vec![0xdc];
        payload.extend_from_slice(&(maps.len() as u16).to_be_bytes());
        let (mut stamps, mut reserved_at) = (Vec::new(), None);
        for map in maps {
            let begin = payload.len();
            reserved_at = reserved_at.or(map.reserved_at.map(|at| begin + at));
            stamps.extend(map.stamps.into_iter().map(|stamp| stamp.behind(begin)));
            payload.extend(map.payload);
        }
        Self { payload, stamps, reserved_at }
    }
}

impl Stamp {
    /// The same, so many bytes later.
    fn behind(self, bytes: usize) -> Self {
        match self {
            Self::None => Self::None,
            Self::Text { at, digits } => Self::Text { at: at + bytes, digits },
            Self::Millis { at } => Self::Millis { at: at + bytes },
        }
    }
}

/// Messages of one shape, without an end.
#[derive(Clone, Debug)]
pub struct Run {
    opening: Vec<Message>,
    messages: Vec<Message>,
    made: u64,
    clock: Stamper,
}

impl Run {
    pub(super) fn new(opening: Vec<Message>, messages: Vec<Message>) -> Self {
        Self { opening, messages, made: 0, clock: Stamper::default() }
    }

    /// How many messages have been given out.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// How many messages come first and only once.
    pub fn opening(&self) -> usize {
        self.opening.len()
    }

    /// The next message, sent just after its venue time.
    #[expect(clippy::should_implement_trait, reason = "it lends, which an iterator cannot")]
    pub fn next(&mut self) -> &[u8] {
        let time = START_NS + self.made as i64 * STEP_NS;
        self.next_at(WallNanos(time + 60_000), WallNanos(time + 55_000))
    }

    /// The next message, sent and due at these times.
    pub fn next_at(&mut self, sent: WallNanos, due: WallNanos) -> &[u8] {
        let at = self.made as usize;
        let time = START_NS + self.made as i64 * STEP_NS;
        self.made += 1;
        let message = match at.checked_sub(self.opening.len()) {
            None => &mut self.opening[at],
            Some(later) => {
                let contents = self.messages.len();
                &mut self.messages[later % contents]
            }
        };
        let times = Times { sent, recv: WallNanos(time + 40_000), due };
        self.clock.renew(message, self.made, time, &times);
        &message.payload
    }

    /// The next `count` messages, to be kept.
    pub fn take(&mut self, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|_| self.next().to_vec()).collect()
    }

    /// The next round: each content once, renewed. The opening must be over.
    pub fn round(&mut self) -> impl Iterator<Item = &[u8]> {
        debug_assert!(self.made as usize >= self.opening.len());
        for _ in 0..self.messages.len() {
            self.next();
        }
        self.messages.iter().map(|message| message.payload.as_slice())
    }
}

/// Writes times; the text up to the second is kept.
#[derive(Clone, Debug, Default)]
struct Stamper {
    second: i64,
    text: String,
}

impl Stamper {
    fn renew(&mut self, message: &mut Message, seq: u64, time: i64, times: &Times) {
        let payload = &mut message.payload;
        if let Some(at) = message.reserved_at {
            let front = &mut payload[at..at + RESERVED_BYTES];
            front[SEQ_AT..SEQ_AT + 8].copy_from_slice(&seq.to_be_bytes());
            payload::set_times(front, times);
        }
        for (stamp, map) in message.stamps.iter().zip(0..) {
            self.stamp(payload, *stamp, time + map * BUNDLED_NS);
        }
    }

    fn stamp(&mut self, payload: &mut [u8], stamp: Stamp, time: i64) {
        match stamp {
            Stamp::None => {}
            Stamp::Millis { at } => {
                payload[at..at + 8].copy_from_slice(&(time / 1_000_000).to_be_bytes());
            }
            Stamp::Text { at, digits } => {
                let second = time.div_euclid(1_000_000_000);
                if second != self.second || self.text.is_empty() {
                    self.second = second;
                    self.text = payload::rfc3339(WallNanos(second * 1_000_000_000), 0);
                }
                let text = self.text.trim_end_matches('Z').as_bytes();
                payload[at..at + text.len()].copy_from_slice(text);
                let mut rest = time.rem_euclid(1_000_000_000) / 10_i64.pow(9 - digits as u32);
                let fraction = at + text.len() + 1;
                for place in payload[fraction..fraction + digits].iter_mut().rev() {
                    *place = b'0' + (rest % 10) as u8;
                    rest /= 10;
                }
            }
        }
    }
}
