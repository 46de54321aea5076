//! Whose turn it is: the next message by rate, by recording or as fast as clients read, heartbeats, and the end of
//! faults that last for a time.

use tickline_feeds::clock::Clock;

use super::super::outbox::Out;
use super::super::pace::Pace;
use super::Market;
use super::state::{Mute, State};

/// A schedule that is behind by more than this begins anew.
const BEHIND_MAX_NS: u64 = 1_000_000_000;

/// When it looks again where a client must first read, ns; its thread is woken before.
const LOOK_AGAIN_NS: u64 = 50_000_000;

impl<M: Market> State<M> {
    /// Does what is due and says for how long nothing is, ns.
    pub(super) fn step(&mut self) -> u64 {
        let now_ns = self.clock.mono().0;
        self.expire(now_ns);
        let beat_ns = self.beats(now_ns);
        match self.pick(now_ns) {
            Ok(place) => {
                self.advance(place);
                0
            }
            Err(wait_ns) => wait_ns.min(beat_ns).min(self.until_end(now_ns)).max(1),
        }
    }

    fn until_end(&self, now_ns: u64) -> u64 {
        let mutes = self.connections.values().filter_map(|connection| match connection.mute {
            Mute::Nothing => None,
            Mute::Data(until_ns) | Mute::All(until_ns) => Some(until_ns),
        });
        let standing = self.standing.iter().map(|standing| standing.until_ns);
        let ends = mutes.chain(standing).chain(self.closed.map(|(until_ns, _)| until_ns));
        ends.min().map_or(u64::MAX, |end_ns| end_ns.saturating_sub(now_ns))
    }

    /// Sends the heartbeats that are due; time to the next one, ns.
    fn beats(&mut self, now_ns: u64) -> u64 {
        let at = self.clock.wall();
        let mut next_ns = u64::MAX;
        for connection in self.connections.values_mut() {
            let Some((beat, due_ns)) = &mut connection.beat else { continue };
            if *due_ns <= now_ns {
                *due_ns = (*due_ns + beat.every_ns).max(now_ns);
                if !matches!(connection.mute, Mute::All(_)) {
                    let texts = self.market.beat(&mut connection.profile, at);
                    texts.into_iter().for_each(|text| connection.outbox.push(Out::Message(text)));
                }
            }
            next_ns = next_ns.min(due_ns.saturating_sub(now_ns));
        }
        next_ns
    }

    /// The stream whose message is next, or how long to wait, ns.
    fn pick(&mut self, now_ns: u64) -> Result<usize, u64> {
        match self.plan.pace {
            Pace::Rate(per_second) => {
                if self.due_ns > now_ns {
                    return Err(self.due_ns - now_ns);
                }
                let place = self.in_turn(|state, place| state.may_send(place, false))?;
                let behind = now_ns.saturating_sub(self.due_ns) > BEHIND_MAX_NS;
                self.due_ns = if behind { now_ns } else { self.due_ns } + (1e9 / per_second) as u64;
                Ok(place)
            }
            Pace::Max => self.in_turn(|state, place| state.may_send(place, true)),
            Pace::Recorded(times) => self.recorded(now_ns, times),
        }
    }

    fn in_turn(&mut self, fits: impl Fn(&Self, usize) -> bool) -> Result<usize, u64> {
        let count = self.streams.len();
        let circle = (0..count).map(|step| (self.turn + step) % count.max(1));
        let found = circle.into_iter().find(|place| fits(self, *place)).ok_or(LOOK_AGAIN_NS)?;
        self.turn = (found + 1) % count.max(1);
        Ok(found)
    }

    /// A stream that was not recorded stands still.
    fn recorded(&self, now_ns: u64, times: f64) -> Result<usize, u64> {
        let due = self.streams.iter().enumerate().filter_map(|(place, stream)| {
            let offset_ns = self.market.recorded_ns(&stream.name).filter(|_| self.may_send(place, false))?;
            Some((stream.start_ns + (offset_ns as f64 / times) as u64, place))
        });
        match due.min() {
            Some((due_ns, place)) if due_ns <= now_ns => Ok(place),
            Some((due_ns, _)) => Err(due_ns - now_ns),
            None => Err(LOOK_AGAIN_NS),
        }
    }

    /// A stream goes on while every client that listens to it keeps up; `wanted`: and while there is one.
    fn may_send(&self, place: usize, wanted: bool) -> bool {
        let Some(stream) = self.streams.get(place).filter(|stream| !stream.is_ended) else { return false };
        let mut listening = self.connections.values().filter(|connection| {
            connection.mute == Mute::Nothing && connection.streams.contains_key(&stream.name)
        });
        if wanted && self.closed.is_some() {
            return false;
        }
        let mut any = false;
        let all = listening.all(|connection| {
            any = true;
            connection.outbox.has_room()
        });
        all && (any || !wanted)
    }
}
