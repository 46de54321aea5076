//! Connections to publishers, as libzmq's socket monitors tell of them: who is there, who has gone, and whose
//! handshake was refused. The control plane looks ten times a second; no stage does.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tickline_feeds::clock::{Clock, MonoNanos};
use tickline_feeds::curve::{CurveError, KeyPair};
use tickline_loadgen::clock::OsClock;

use crate::log_limit::LogLimit;
use crate::stop::Stop;
use crate::view::View;

/// A connection that flaps is told of this often at most.
const SAY_EVERY_NS: u64 = 1_000_000_000;

/// What a monitor is asked to tell.
pub const EVENTS: i32 = (zmq_sys::ZMQ_EVENT_HANDSHAKE_SUCCEEDED
    | zmq_sys::ZMQ_EVENT_DISCONNECTED
    | zmq_sys::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq_sys::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq_sys::ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) as i32;

/// Where the monitor of the socket at position `at` tells.
pub fn address(at: usize) -> String {
    format!("inproc://link-{at}")
}

/// One endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Whether its publisher is there.
    pub up: bool,
    /// Handshakes that succeeded.
    pub connects: u64,
    /// Connections that ended.
    pub disconnects: u64,
    /// Handshakes that were refused or broke off.
    pub refused: u64,
    /// One has just been refused: its connection ends next.
    pub(crate) ending: bool,
}

/// The listening end of one monitor. libzmq's own thread waits where a monitor has no listener, and with it all
/// traffic: it must be there before its socket connects, outlive it, and take whatever comes.
pub struct Monitor {
    socket: zmq::Socket,
    limit: LogLimit,
    /// What was said.
    said_up: bool,
    said_at: Option<MonoNanos>,
    refused: u64,
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}

impl Monitor {
    /// Listens to the socket at position `at`.
    pub fn open(context: &zmq::Context, at: usize) -> Result<Self, zmq::Error> {
        let socket = context.socket(zmq::PAIR)?;
        socket.set_linger(0)?;
        socket.set_rcvhwm(0)?;
        socket.connect(&address(at))?;
        Ok(Self { socket, limit: LogLimit::default(), said_up: false, said_at: None, refused: 0 })
    }

    /// Takes in what has happened.
    fn look(&mut self, link: &mut Link) {
        // A socket that was closed says nothing more.
        while let Ok(parts) = self.socket.recv_multipart(zmq::DONTWAIT) {
            if let Some(raw) = parts.first().and_then(|part| part.first_chunk::<2>()) {
                link.event(u16::from_le_bytes(*raw));
            }
        }
    }

    /// Says what has changed since it was last said, at most once a second; refusals seldom.
    fn say(&mut self, link: &Link, endpoint: &str, now: MonoNanos) {
        if link.refused > self.refused
            && let Some(suppressed) = self.limit.admit(now)
        {
            let more = suppressed.map_or_else(String::new, |n| format!(" (suppressed {n} such lines)"));
            tracing::warn!(
                "{endpoint}: handshake refused: not ZeroMQ, or keys that do not fit (curve_server_key is the \
                 publisher's public key, and ours must be on its list){more}"
            );
            self.refused = link.refused;
        }
        let rested = self.said_at.is_none_or(|at| now.since(at) >= SAY_EVERY_NS);
        if link.up != self.said_up && rested {
            (self.said_up, self.said_at) = (link.up, Some(now));
            tracing::info!("{endpoint}: {}", if link.up { "connected" } else { "disconnected" });
        }
    }
}

impl Link {
    fn event(&mut self, raw: u16) {
        match u32::from(raw) {
            zmq_sys::ZMQ_EVENT_HANDSHAKE_SUCCEEDED => {
                (self.up, self.ending, self.connects) = (true, false, self.connects + 1);
            }
            zmq_sys::ZMQ_EVENT_DISCONNECTED => {
                let was_up = std::mem::replace(&mut self.up, false);
                let counted = std::mem::replace(&mut self.ending, false);
                self.disconnects += u64::from(was_up);
                self.refused += u64::from(!was_up && !counted);
            }
            zmq_sys::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
            | zmq_sys::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
            | zmq_sys::ZMQ_EVENT_HANDSHAKE_FAILED_AUTH => {
                (self.refused, self.ending) = (self.refused + 1, true);
            }
            _ => {}
        }
    }
}

/// Takes in what all monitors tell, and logs it.
pub(crate) fn look(monitors: &mut [Monitor], up: &[Arc<AtomicBool>], view: &View, now: MonoNanos) {
    let mut links = view.links.lock();
    links.resize(monitors.len(), Link::default());
    for (at, (monitor, link)) in monitors.iter_mut().zip(links.iter_mut()).enumerate() {
        monitor.look(link);
        let endpoint = view.endpoints.lock().get(at).cloned().unwrap_or_default();
        monitor.say(link, &endpoint, now);
    }
    up.iter().zip(links.iter()).for_each(|(up, link)| up.store(link.up, Relaxed));
}

/// An endpoint and, where its publisher has a key, ours and its.
pub(crate) type Asked<'a> = (&'a str, Option<(&'a KeyPair, &'a str)>);

/// Connects to each endpoint, encrypted where its publisher has a key; whether it has shaken hands within `time`.
pub(crate) fn handshakes(endpoints: &[Asked<'_>], time: Duration) -> Vec<Result<(), String>> {
    let context = zmq::Context::new();
    let (stop, clock) = (Stop::default(), OsClock::start());
    let open = |(at, (endpoint, curve)): (usize, &Asked<'_>)| {
        let socket = context.socket(zmq::SUB)?;
        socket.set_linger(0)?;
        if let Some((own, server)) = curve {
            own.connect_to(&socket, server)?;
        }
        socket.monitor(&address(at), EVENTS)?;
        let monitor = Monitor::open(&context, at)?;
        socket.connect(endpoint)?;
        Ok::<_, CurveError>((socket, monitor))
    };
    let mut opened: Vec<_> = endpoints.iter().enumerate().map(open).collect();
    let mut links = vec![Link::default(); opened.len()];
    let open_still = |links: &[Link]| links.iter().any(|link| !link.up);
    while open_still(&links) && u128::from(clock.mono().0) < time.as_nanos() {
        for (opened, link) in opened.iter_mut().zip(&mut links) {
            if let Ok((_, monitor)) = opened {
                monitor.look(link);
            }
        }
        stop.wait(Duration::from_millis(5));
    }
    let outcome = |(opened, link): (&Result<_, CurveError>, &Link)| match opened {
        Err(error) => Err(error.to_string()),
        Ok(_) if link.up => Ok(()),
        Ok(_) if link.refused > 0 => Err("handshake refused: not ZeroMQ, or keys that do not fit".to_owned()),
        Ok(_) => Err(format!("nobody has shaken hands within {time:?}")),
    };
    opened.iter().zip(&links).map(outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_ends_before_its_handshake_was_refused() {
        let mut link = Link::default();
        let mut event = |raw: u32| {
            link.event(u16::try_from(raw).unwrap());
            link
        };
        assert_eq!(event(zmq_sys::ZMQ_EVENT_DISCONNECTED), Link { refused: 1, ..Link::default() });
        assert!(event(zmq_sys::ZMQ_EVENT_HANDSHAKE_SUCCEEDED).up);
        let ended = event(zmq_sys::ZMQ_EVENT_DISCONNECTED);
        assert_eq!((ended.up, ended.connects, ended.disconnects, ended.refused), (false, 1, 1, 1));
        assert_eq!(event(zmq_sys::ZMQ_EVENT_HANDSHAKE_FAILED_AUTH).refused, 2);
        assert_eq!(event(zmq_sys::ZMQ_EVENT_DISCONNECTED).refused, 2, "told twice by libzmq");
    }
}
