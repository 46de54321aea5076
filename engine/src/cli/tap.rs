//! `tickline tap`: what goes over the bus, for people. It is one more subscriber with a small queue, so that whoever
//! publishes and whoever stores is not touched by it; what it is too slow for it does not see.

use std::time::Duration;

use signal_hook::consts::signal::{SIGINT, SIGTERM};
use tickline_config::model::Config;
use tickline_config::registry;
use tickline_feeds::clock::Clock;
use tickline_feeds::decoder::{Decoder, DecoderSpec, FrameClass};
use tickline_feeds::envelope::Envelope;
use tickline_feeds::frame::Frame;
use tickline_feeds::framing::split_single;
use tickline_feeds::json::append_json;
use tickline_feeds::socket::subscriber;
use tickline_loadgen::clock::OsClock;

use super::launch::instruments;
use super::{ConfigArgs, Exit, Failure, duration, environment, print_text};

/// Messages that may wait for it.
const RCVHWM: i32 = 1_000;
const RCVBUF_BYTES: i32 = 256 * 1024;
const WAIT_MS: i32 = 100;

/// Arguments of `tap`.
#[derive(Debug, clap::Args)]
pub(super) struct TapArgs {
    /// Feed of the configuration or the registry, topic or alias; any topic with --endpoint.
    topic: String,
    #[command(flatten)]
    config: ConfigArgs,
    /// Where it is published. Default: the feed's endpoint.
    #[arg(long, value_name = "ENDPOINT")]
    endpoint: Option<String>,
    /// Print each message as JSON instead of the points that are made of it.
    #[arg(long)]
    json: bool,
    /// End after so many messages that are no heartbeats.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after this time, such as 10s.
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
}

/// Where to listen, to what, and how it is read.
struct Listening {
    endpoint: String,
    topics: Vec<String>,
    decoder: Option<Decoder>,
}

impl TapArgs {
    fn listening(&self) -> Result<Listening, Failure> {
        let loaded = self.config.load()?;
        let row = registry::find(&self.topic);
        let name = row.map_or(self.topic.as_str(), |row| row.feed());
        let of_file = loaded.config.feeds.get(&self.topic).or_else(|| loaded.config.feeds.get(name));
        // A feed that no file names is one with its defaults.
        let feed = match (of_file, row) {
            (Some(feed), _) => Some(feed.clone()),
            (None, Some(row)) if !row.decoder.is_empty() => {
                let sets = vec![format!("feeds.{name}.fan_in=false")];
                let loaded = Config::load(&[], &sets, &environment).map_err(Failure::configuration)?;
                loaded.config.feeds.get(name).cloned()
            }
            _ => None,
        };
        let port = row.map(|row| format!("tcp://127.0.0.1:{}", row.port));
        let endpoint =
            self.endpoint.clone().or_else(|| feed.as_ref().map(|feed| feed.endpoint.clone())).or(port);
        let endpoint = endpoint.ok_or_else(|| {
            Failure::usage(format!(
                "tap: {:?} is no feed and no topic of the registry, --endpoint says where it is",
                self.topic
            ))
        })?;
        let topics = match (&feed, row) {
            (Some(feed), _) => std::iter::once(feed.topic.clone()).chain(feed.aliases.clone()).collect(),
            (None, Some(row)) => vec![row.topic.to_owned()],
            (None, None) => vec![self.topic.clone()],
        };
        let decoder = feed.filter(|_| !self.json).map(|feed| {
            let spec = DecoderSpec { feed, legacy_tick: false };
            let names = instruments(loaded.config.engine.kraken_pairs.as_deref())?;
            Decoder::new(&spec, names).map_err(Failure::configuration)
        });
        Ok(Listening { endpoint, topics, decoder: decoder.transpose()? })
    }
}

pub(super) fn run(args: &TapArgs) -> Result<Exit, Failure> {
    let mut listening = args.listening()?;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, std::sync::Arc::clone(&stop)).map_err(Failure::failed)?;
    }
    let context = zmq::Context::new();
    let socket = subscriber(&context, RCVHWM, RCVBUF_BYTES).map_err(Failure::failed)?;
    socket.set_rcvtimeo(WAIT_MS).map_err(Failure::failed)?;
    for topic in &listening.topics {
        let prefix = if topic == "*" { "" } else { topic };
        socket.set_subscribe(prefix.as_bytes()).map_err(Failure::failed)?;
    }
    socket
        .connect(&listening.endpoint)
        .map_err(|error| Failure::failed(format!("{}: {error}", listening.endpoint)))?;
    tracing::info!("listening to {} at {}", listening.topics.join(", "), listening.endpoint);
    let clock = OsClock::start();
    let started = clock.mono();
    let mut seen = 0;
    let mut out = String::new();
    let over = |seen: u64| {
        stop.load(std::sync::atomic::Ordering::Relaxed)
            || args.count.is_some_and(|count| seen >= count)
            || args.duration.is_some_and(|time| u128::from(clock.mono().since(started)) >= time.as_nanos())
    };
    while !over(seen) {
        let parts = match socket.recv_multipart(0) {
            Ok(parts) => parts,
            Err(zmq::Error::EAGAIN | zmq::Error::EINTR) => continue,
            Err(error) => return Err(Failure::failed(error)),
        };
        let (topic, payload) = match parts.as_slice() {
            [topic, payload, ..] => (topic.as_slice(), payload.as_slice()),
            [single] => split_single(single).unwrap_or((single, &[])),
            [] => continue,
        };
        out.clear();
        let is_news = !is_silence(payload);
        seen += u64::from(is_news);
        tell(listening.decoder.as_mut(), topic, payload, &clock, &mut out);
        print_text(&out)?;
    }
    Ok(Exit::Ok)
}

/// A heartbeat or an end.
fn is_silence(payload: &[u8]) -> bool {
    let mut envelope = Envelope::default();
    envelope.read_front(payload);
    envelope.silence
}

/// One message as lines.
fn tell(decoder: Option<&mut Decoder>, topic: &[u8], payload: &[u8], clock: &OsClock, out: &mut String) {
    if let Some(decoder) = decoder {
        let (feed, endpoint, recv) = (0, 0, clock.wall());
        let mut lines = Vec::new();
        let frame = Frame { feed, endpoint, recv, topic, payload, oversized: false };
        let decoded = decoder.decode(&frame, &mut lines);
        if decoded.class == FrameClass::Points {
            return out.push_str(&String::from_utf8_lossy(&lines));
        }
    }
    // Heartbeats, events, what has no decoder and what cannot be decoded.
    out.push_str(&String::from_utf8_lossy(topic));
    out.push(' ');
    if append_json(payload, out).is_err() {
        out.push_str(&format!("{} bytes that are no msgpack", payload.len()));
    }
    out.push('\n');
}
