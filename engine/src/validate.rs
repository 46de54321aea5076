//! Marked ticks through a pipeline of its own: for each feed of a configuration a publisher on a free port, the feed's own
//! decoder and the real databases. What is stored is read back, compared value by value, and removed again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tickline_config::filter::Filter;
use tickline_config::model::{
    Config, Custom, DecoderKind, Durability, Feed, Format, InfluxTarget, Pinning, Receive, SinkKind,
    SocketKind,
};
use tickline_feeds::clock::{Clock, WallNanos};
use tickline_feeds::instruments::Instruments;
use tickline_feeds::payload::{Decimals, PayloadWriter, Reserved, Times, rfc3339};
use tickline_feeds::socket::publisher;
use tickline_feeds::transcode::{BETFAIR_INTEGERS, KRAKEN_INTEGERS, OANDA_INTEGERS, transcode_members};
use tickline_loadgen::clock::OsClock;
use tickline_sinks::admin::{Admin, AdminError, Span};

use crate::plan::Plan;
use crate::report::{Histograms, report};
use crate::run::{OpenSink, Run, Setup, Source};
use crate::state::Resume;

mod marks;

use marks::{Mark, mark};

/// Ticks of each feed.
const TICKS: u64 = 5;

/// `_src` of every marked tick.
const SRC: u32 = 0xEE00;

/// Value of the tag `instance` on what this pipeline says of itself, which is removed again with the ticks.
const INSTANCE: &str = "tickline-validate";

/// Size of its batches and of its sockets' buffers.
const BUFFER_BYTES: usize = 64 << 10;

/// What became of the marked ticks of one feed in one database.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The feed.
    pub feed: String,
    /// The sink.
    pub sink: String,
    /// How it came out.
    pub came: Came,
}

/// How marked ticks came out.
#[derive(Clone, Debug, PartialEq)]
pub enum Came {
    /// Every value came back.
    Back,
    /// This is wrong.
    Wrong(String),
    /// It cannot be tried, for this reason.
    Untried(&'static str),
}

/// Sends marked ticks through every feed and reads them back from every InfluxDB 1; an error says why that cannot be done.
pub fn run(
    config: &Config,
    instruments: Arc<Instruments>,
    patience: Duration,
) -> Result<Vec<Outcome>, String> {
    let clock = OsClock::start();
    let (context, mut senders, mut feeds) = (zmq::Context::new(), Vec::new(), BTreeMap::new());
    for (name, feed) in &config.feeds {
        let sender = Sender::open(&context, feed, patience).map_err(|error| error.to_string())?;
        feeds.insert(name.clone(), Feed { endpoint: sender.endpoint.clone(), ..plain(feed) });
        senders.push((name.clone(), sender));
    }
    let own = own_config(config, feeds)?;
    let plan = Plan::new(&own, &[]).map_err(|error| error.to_string())?;
    let (instance, started) = (own.engine.instance.clone(), clock.wall().0);
    let open: OpenSink<'_> = &|plan| {
        tickline_sinks::open::open(&plan.name, &instance, started, &plan.sink)
            .map_err(|error| error.to_string())
    };
    let run = Run::start(Setup {
        command: "validate",
        config: &own,
        config_text: (String::new(), None),
        plan,
        clock: Arc::new(OsClock::start()),
        open_sink: open,
        instruments,
        resume: Resume::new(),
        source: Source::Sockets,
        rejects: None,
    });
    let mut run = run.map_err(|error| error.to_string())?;
    let mut sent = Vec::new();
    for (place, (name, sender)) in senders.iter_mut().enumerate() {
        let marks = sender.send(place, clock.wall()).map_err(|error| format!("feeds.{name}: {error}"));
        sent.push((name.clone(), marks));
    }
    let messages: usize = sent.iter().filter_map(|(_, marks)| Some(marks.as_ref().ok()?.len())).sum();
    wait(&run, patience, messages as u64);
    run.drain(patience);
    compare(config, &own, &sent, started)
}

/// Reads everything back from every database, and then removes it: two sinks may have one database.
fn compare(config: &Config, own: &Config, sent: &[Sent], started: i64) -> Result<Vec<Outcome>, String> {
    let (mut outcomes, mut admins) = (Vec::new(), Vec::new());
    let outcome =
        |feed: &String, sink: &String, came| Outcome { feed: feed.clone(), sink: sink.clone(), came };
    for (sink, of) in &own.sinks {
        let SinkKind::Influx(influx) = &of.kind else { continue };
        let admin = Admin::new(sink, influx).map_err(|error| error.to_string())?;
        for (feed, marks) in sent.iter().filter(|(feed, _)| of.takes(feed)) {
            let came = match marks {
                Ok(marks) if marks.is_empty() => {
                    Came::Untried("its points have no tag, or no field of floats")
                }
                Ok(marks) => read_back(&admin, marks, started).map_or_else(Came::Wrong, |()| Came::Back),
                Err(why) => Came::Wrong(why.clone()),
            };
            outcomes.push(outcome(feed, sink, came));
        }
        admins.push((sink, of, admin));
    }
    for (sink, of, admin) in &admins {
        let removed = remove(admin, sent.iter().filter(|(feed, _)| of.takes(feed)));
        // A database that takes nothing has been told of already.
        let told = outcomes.iter().any(|of| of.sink == **sink && matches!(of.came, Came::Wrong(_)));
        if let Some(why) = removed.err().filter(|_| !told) {
            return Err(format!("sinks.{sink}: marked ticks cannot be removed again: {why}"));
        }
    }
    for (sink, of) in config.sinks.iter().filter(|(name, _)| !own.sinks.contains_key(*name)) {
        if of.kind.is_database() {
            let feeds = sent.iter().filter(|(feed, _)| of.takes(feed));
            let untried = Came::Untried("only an InfluxDB 1 is read back from");
            outcomes.extend(feeds.map(|(feed, _)| outcome(feed, sink, untried.clone())));
        }
    }
    Ok(outcomes)
}

/// Takes marked ticks out of a database, and what the pipeline has said of itself.
fn remove<'a>(admin: &Admin, sent: impl Iterator<Item = &'a Sent>) -> Result<(), AdminError> {
    for mark in sent.filter_map(|(_, marks)| marks.as_ref().ok()?.first()) {
        admin.delete_where(&mark.measurement, &mark.tag, &mark.tag_value)?;
    }
    ["feed_event", "feed_gap"].into_iter().try_for_each(|of| admin.delete_where(of, "instance", INSTANCE))
}

/// A feed and what was sent for it, or why nothing was.
type Sent = (String, Result<Vec<Mark>, String>);

/// A feed as marked ticks need it: nothing is filtered, and nothing is silent.
fn plain(feed: &Feed) -> Feed {
    Feed {
        filter: Filter::default(),
        socket: SocketKind::Sub,
        format: Format::Msgpack,
        silence_max: None,
        data_silence_max: None,
        curve_server_key: None,
        deadband_ppm: None,
        ..feed.clone()
    }
}

/// The configuration with these feeds and, of the sinks, the databases that can be read.
fn own_config(config: &Config, feeds: BTreeMap<String, Feed>) -> Result<Config, String> {
    let mut own = Config { feeds, publishers: BTreeMap::new(), ..config.clone() };
    own.sinks.retain(|_, sink| {
        matches!(&sink.kind, SinkKind::Influx(influx) if matches!(influx.target, InfluxTarget::V1 { .. }))
    });
    if own.sinks.is_empty() {
        return Err("sinks: an InfluxDB 1 is needed to read back from, found none".to_owned());
    }
    for sink in own.sinks.values_mut() {
        sink.durability = Durability::Memory;
        sink.spool.dir = None;
        if let SinkKind::Influx(influx) = &mut sink.kind {
            influx.connections = 1;
        }
    }
    // A few ticks: what is made for thousands a second would only take memory beside the engine's own.
    let engine = &mut own.engine;
    (engine.encoders, engine.receive, engine.pinning) = (1, Receive::Multiplexed, Pinning::Off);
    (engine.batch_bytes_max, engine.rcvbuf) = (BUFFER_BYTES, BUFFER_BYTES);
    // What the engine itself has on disk is not ours.
    own.engine.state_dir = config.engine.state_dir.join("validate");
    own.archive.dir = None;
    own.archive.flight = None;
    own.engine.ledger_every = None;
    INSTANCE.clone_into(&mut own.engine.instance);
    Ok(own)
}

/// Until everything is received and settled, or nobody has patience any more.
fn wait(run: &Run, patience: Duration, messages: u64) {
    let (view, clock) = (run.view(), OsClock::start());
    while u128::from(clock.mono().0) < patience.as_nanos() {
        let ledger = report(&view, Histograms::LeaveOut).ledger;
        if ledger.received >= messages && ledger.queued == 0 && ledger.in_flight == 0 && ledger.points > 0 {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Compares what is stored with what was sent.
fn read_back(admin: &Admin, marks: &[Mark], started_ns: i64) -> Result<(), String> {
    let Some(first) = marks.first() else { return Ok(()) };
    let policy = admin.write_policy().map_err(|error| error.to_string())?.name;
    let condition = format!("\"{}\" = '{}'", first.tag, first.tag_value.replace('\'', "\\'"));
    let hour_ns = 3_600_000_000_000;
    let span = Span {
        policy: &policy,
        measurement: &first.measurement,
        from_ns: started_ns - hour_ns,
        to_ns: started_ns + hour_ns,
        condition: &condition,
    };
    let mut found = Vec::new();
    let read = admin.read_points(&span, &mut |point| {
        let field = point.fields.iter().find(|(name, ..)| *name == first.field);
        found.extend(field.and_then(|(_, _, text)| text.parse::<f64>().ok()));
    });
    let read = read.map_err(|error| error.to_string())?;
    found.sort_by(f64::total_cmp);
    let mut wanted: Vec<f64> = marks.iter().map(|mark| mark.value).collect();
    wanted.sort_by(f64::total_cmp);
    if found != wanted {
        let (measurement, field) = (&first.measurement, &first.field);
        return Err(format!(
            "{measurement}.{field}: {} of {} values came back, of {read} points",
            found.len(),
            wanted.len()
        ));
    }
    Ok(())
}

/// A publisher of marked ticks of one feed.
struct Sender {
    socket: zmq::Socket,
    feed: Feed,
    endpoint: String,
}

impl Sender {
    fn open(context: &zmq::Context, feed: &Feed, patience: Duration) -> Result<Self, zmq::Error> {
        let socket = publisher(context, 1_000, 1_000)?;
        socket.set_rcvtimeo(i32::try_from(patience.as_millis()).unwrap_or(i32::MAX))?;
        socket.bind("tcp://127.0.0.1:*")?;
        let endpoint = socket.get_last_endpoint()?.unwrap_or_default();
        Ok(Self { socket, feed: feed.clone(), endpoint })
    }

    /// Waits for the engine's subscription and sends; what was sent: nothing if no tick of this feed can be told again.
    fn send(&mut self, place: usize, now: WallNanos) -> Result<Vec<Mark>, String> {
        let topic = if self.feed.topic == "*" { "validate" } else { self.feed.topic.as_str() };
        self.socket.recv_bytes(0).map_err(|error| format!("its subscription did not come: {error}"))?;
        let (mut writer, mut members) =
            (PayloadWriter::new(Decimals::Text), PayloadWriter::new(Decimals::Text));
        let mut sent = Vec::new();
        for n in 0..TICKS {
            let at = WallNanos(now.0 - now.0.rem_euclid(1_000_000) + n as i64 * 1_000_000);
            let Some(mark) = mark(&self.feed, place, n, at) else { break };
            members.clear();
            let integers = [KRAKEN_INTEGERS, OANDA_INTEGERS, BETFAIR_INTEGERS].concat();
            let keys =
                transcode_members(&mark.json, &integers, &mut members).map_err(|error| error.to_string())?;
            let times = Times { sent: now, recv: at, ..Times::default() };
            writer.clear();
            writer.begin(&Reserved { src: SRC, seq: n + 1, times, tie: 0 }, keys);
            writer.raw(members.bytes());
            let message = [topic.as_bytes(), writer.bytes()];
            self.socket.send_multipart(message, 0).map_err(|error| error.to_string())?;
            sent.push(mark);
        }
        Ok(sent)
    }
}
