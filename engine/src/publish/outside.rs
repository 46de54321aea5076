//! Work that waits for a venue, done beside the publisher's thread: connections on one thread, requests on another,
//! each in the order in which they were asked for; of several connections of one link only the last one asked for is
//! made. What came of it is handed back, and the publisher woken.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use reqwest::blocking::{Client, Response};
use tickline_feeds::connect::{Link, Request, Target};
use tickline_sinks::influx::spoken;

use super::Spec;
use super::dial::Dialer;
use super::http_body::Refusal;
use super::link::Channel;
use crate::spawn::spawn;
use crate::stop::Stop;

/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// Most of a body that is read: all pairs of a venue many times over.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What came of it.
pub(super) enum Done {
    /// The connection of the link that was asked for as number `turn`.
    Dialed { link: Link, turn: u64, channel: Result<Channel, Refusal> },
    /// Status and body; without a status, why there is none.
    Answered { id: u32, status: Option<u16>, body: Vec<u8> },
}

/// A connection that is wanted, and its number among those of its link.
type Dial = (Link, u64, Target);

/// Where such work is left.
pub(super) struct Outside {
    dials: Sender<Dial>,
    asks: Sender<(u32, Request)>,
    pub(super) done: Receiver<Done>,
}

impl Outside {
    pub(super) fn start(
        spec: &Spec,
        dialer: Dialer,
        wake: Arc<mio::Waker>,
        stop: &Arc<Stop>,
    ) -> std::io::Result<Self> {
        let (give, done) = unbounded();
        let (dials, targets) = unbounded::<Dial>();
        let (asks, requests) = unbounded::<(u32, Request)>();
        let (given, woken) = (give.clone(), Arc::clone(&wake));
        spawn(&format!("dial-{}", spec.name), None, stop, move || {
            let mut waiting = Vec::new();
            while let Some((link, turn, target)) = next(&mut waiting, &targets) {
                let channel = dialer.dial(&target, &woken);
                if given.send(Done::Dialed { link, turn, channel }).is_err() || woken.wake().is_err() {
                    return;
                }
            }
        })?;
        let asker = Asker { client: None, spec: spec.clone() };
        spawn(&format!("ask-{}", spec.name), None, stop, move || asker.run(requests, &give, &wake))?;
        Ok(Self { dials, asks, done })
    }

    pub(super) fn dial(&self, link: Link, turn: u64, target: Target) {
        // Its thread lives as long as this end of the channel.
        self.dials.send((link, turn, target)).ok();
    }

    pub(super) fn ask(&self, id: u32, request: Request) {
        self.asks.send((id, request)).ok();
    }
}

/// The connection to make next; waits for one. A newer one of the same link replaces what waits.
fn next(waiting: &mut Vec<Dial>, targets: &Receiver<Dial>) -> Option<Dial> {
    if waiting.is_empty() {
        waiting.push(targets.recv().ok()?);
    }
    for newer in targets.try_iter() {
        waiting.retain(|(link, ..)| *link != newer.0);
        waiting.push(newer);
    }
    Some(waiting.remove(0))
}

struct Asker {
    client: Option<Client>,
    spec: Spec,
}

impl Asker {
    fn run(mut self, requests: Receiver<(u32, Request)>, give: &Sender<Done>, wake: &mio::Waker) {
        for (id, request) in requests {
            let (status, body) = match self.ask(&request) {
                Ok((status, body)) => (Some(status), body),
                Err(why) => (None, why.into_bytes()),
            };
            if give.send(Done::Answered { id, status, body }).is_err() || wake.wake().is_err() {
                return;
            }
        }
    }

    fn ask(&mut self, request: &Request) -> Result<(u16, Vec<u8>), String> {
        let client = match &self.client {
            Some(client) => client,
            None => self.client.insert(client(&self.spec)?),
        };
        let builder = match &request.body {
            Some(body) => client.post(&request.url).body(body.clone()),
            None => client.get(&request.url),
        };
        let builder =
            request.headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, value));
        // The address may hold what nobody should read.
        builder.send().map_err(spoken).and_then(read)
    }
}

fn read(response: Response) -> Result<(u16, Vec<u8>), String> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    response.take(BODY_BYTES_MAX).read_to_end(&mut body).map_err(|error| error.to_string())?;
    Ok((status, body))
}

fn client(spec: &Spec) -> Result<Client, String> {
    let mut builder = Client::builder()
        .user_agent(concat!("tickline/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(ANSWER_MAX);
    if let Some(path) = &spec.tls_ca {
        let pem = std::fs::read(path).map_err(|error| error.to_string())?;
        let roots = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| error.to_string())?;
        builder = builder.tls_certs_only(roots);
    }
    if let Some(path) = &spec.tls_client {
        let pem = std::fs::read(path).map_err(|error| error.to_string())?;
        builder = builder.identity(reqwest::Identity::from_pem(&pem).map_err(|error| error.to_string())?);
    }
    builder.build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_connections_of_a_link_only_the_last_is_made() {
        let (dials, targets) = unbounded();
        let target = Target::File { path: "x".into() };
        for (link, turn) in [(0, 1), (1, 1), (0, 2), (0, 3)] {
            dials.send((Link(link), turn, target.clone())).unwrap();
        }
        drop(dials);
        let mut waiting = Vec::new();
        let made: Vec<_> = std::iter::from_fn(|| next(&mut waiting, &targets))
            .map(|(link, turn, _)| (link.0, turn))
            .collect();
        assert_eq!(made, [(1, 1), (0, 3)]);
    }
}
