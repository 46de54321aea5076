//! What the tests of the engine share: a publisher that waits for its subscriber, sinks that can be held, and a
//! run without files. Payloads are those of a `custom` feed with one integer, so that each line can be known.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use tickline::plan::Plan;
use tickline::report::{Histograms, report};
use tickline::run::{OpenSink, Run, Setup, Source, StartError};
use tickline_config::model::{Config, Durability};
use tickline_config::report::Report;
use tickline_feeds::clock::{Clock, WallNanos};
use tickline_feeds::instruments::Instruments;
use tickline_feeds::payload::{Decimals, PayloadWriter, Reserved, Times};
use tickline_feeds::socket::publisher;
use tickline_loadgen::clock::OsClock;
use tickline_sinks::sink::{Fault, FaultKind, Outcome, Request, Sink};

/// Longest wait for anything; it is reached only when a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A publisher of one topic on a free port.
pub(crate) struct Publisher {
    socket: zmq::Socket,
    pub(crate) endpoint: String,
    topic: String,
    pub(crate) sent: u64,
    writer: PayloadWriter,
}

impl Publisher {
    pub(crate) fn bind(context: &zmq::Context, topic: &str) -> Self {
        let socket = publisher(context, 1_000_000, 0).unwrap();
        socket.set_rcvtimeo(PATIENCE.as_millis() as i32).unwrap();
        socket.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = socket.get_last_endpoint().unwrap().unwrap();
        let writer = PayloadWriter::new(Decimals::Text);
        Self { socket, endpoint, topic: topic.into(), sent: 0, writer }
    }

    /// Waits until someone has subscribed, or has ended that.
    pub(crate) fn wait_subscription(&self, subscribed: bool) {
        let expected = [&[u8::from(subscribed)], self.topic.as_bytes()].concat();
        loop {
            if self.socket.recv_bytes(0).expect("nobody subscribes") == expected {
                return;
            }
        }
    }

    /// Sends `count` messages; the field `n` counts them from 1.
    pub(crate) fn send(&mut self, count: u64) {
        for _ in 0..count {
            self.sent += 1;
            let now = OsClock::start().wall();
            // Without `_recv` the venue's time stands, however old it is.
            let times = Times { sent: now, recv: WallNanos(0), due: WallNanos(0) };
            self.writer.clear();
            self.writer.begin(&Reserved { src: 7, seq: self.sent, times, tie: 0 }, 2);
            self.writer.text("ts");
            self.writer.int(time_of(self.sent));
            self.writer.text("n");
            self.writer.int(self.sent as i64);
            self.socket.send_multipart([self.topic.as_bytes(), self.writer.bytes()], 0).unwrap();
        }
    }
}

/// Venue time of message `n`, ns.
pub(crate) fn time_of(n: u64) -> i64 {
    1_767_225_600_000_000_000 + n as i64 * 1_000
}

/// The line that message `n` of a feed makes.
pub(crate) fn line_of(feed: &str, n: u64) -> String {
    format!("{feed} n={n}i {}", time_of(n))
}

/// Messages 1 to `count` of a feed, and nothing else, in order; a failure shows the first difference.
pub(crate) fn assert_all_in_order(lines: &[impl AsRef<str>], feed: &str, count: u64, case: &str) {
    let lines = || lines.iter().map(AsRef::as_ref);
    let differs = lines().zip(1..).find(|(line, n)| *line != line_of(feed, *n));
    assert_eq!(differs, None, "{case}: line and its place");
    assert_eq!(lines().count() as u64, count, "{case}");
}

/// The keys of a custom feed without system fields, whose measurement is its name.
pub(crate) fn feed(name: &str, endpoint: &str) -> Vec<String> {
    vec![
        format!("feeds.{name}.endpoint=\"{endpoint}\""),
        format!("feeds.{name}.topic=\"{name}\""),
        format!("feeds.{name}.decoder=\"custom\""),
        format!("feeds.{name}.system_fields=[]"),
        format!("feeds.{name}.custom.measurement=\"{name}\""),
        format!("feeds.{name}.custom.time={{path=\"ts\",unit=\"ns\"}}"),
        format!("feeds.{name}.custom.fields={{n=\"n:int\"}}"),
    ]
}

/// No server, and no rows at the end but those about what happened.
const QUIET: [&str; 2] = ["http.listen=\"off\"", "engine.ledger_every=\"inf\""];

/// A configuration out of keys.
pub(crate) fn config(sets: &[Vec<String>]) -> Config {
    let sets: Vec<String> = sets.iter().flatten().cloned().chain(QUIET.map(String::from)).collect();
    let mut config = Config::load(&[], &sets, &|_| None).unwrap_or_else(|errors| panic!("{errors}")).config;
    // What is not about the spool leaves nothing on disk.
    let spilling = config.sinks.values_mut().filter(|sink| sink.durability == Durability::Spill);
    spilling.for_each(|sink| sink.durability = Durability::Memory);
    config
}

/// One key or several.
pub(crate) fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// A sink that keeps its lines, and waits before each write until its gate is open.
#[derive(Clone)]
pub(crate) struct Gated {
    lines: Arc<Mutex<Vec<String>>>,
    gate: Receiver<()>,
}

impl Gated {
    /// Open as soon as the other end of `gate` is dropped.
    pub(crate) fn new(gate: Receiver<()>) -> Self {
        Self { lines: Arc::default(), gate }
    }

    /// Always open.
    pub(crate) fn open() -> Self {
        Self::new(crossbeam_channel::bounded(0).1)
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

impl Sink for Gated {
    fn write(&mut self, request: &Request) -> Outcome {
        assert_eq!(self.gate.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected), "the gate opens");
        let text = std::str::from_utf8(&request.lines).unwrap();
        assert_eq!(text.lines().count() as u64, request.points);
        self.lines.lock().unwrap().extend(text.lines().map(str::to_owned));
        Outcome::accepted()
    }
}

/// A sink that keeps its lines, and refuses them as long as it is closed.
#[derive(Clone)]
pub(crate) struct Refusing {
    lines: Arc<Mutex<Vec<String>>>,
    closed: Arc<AtomicBool>,
}

impl Refusing {
    pub(crate) fn new(closed: Arc<AtomicBool>) -> Self {
        Self { lines: Arc::default(), closed }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

impl Sink for Refusing {
    fn write(&mut self, request: &Request) -> Outcome {
        if self.closed.load(Ordering::Relaxed) {
            let (kind, detail) = (FaultKind::Transient, "closed".to_owned());
            return Outcome::NotSent(Fault { kind, code: 503, detail, retry_after_ms: None });
        }
        let text = std::str::from_utf8(&request.lines).unwrap();
        self.lines.lock().unwrap().extend(text.lines().map(str::to_owned));
        Outcome::accepted()
    }
}

/// Starts a run; each sink of the configuration is opened by `open`.
pub(crate) fn start(config: &Config, open: OpenSink<'_>) -> Run {
    try_start(config, open).unwrap_or_else(|error| panic!("{error}"))
}

/// Starts a run, if it can be started.
pub(crate) fn try_start(config: &Config, open: OpenSink<'_>) -> Result<Run, StartError> {
    started(config, Arc::new(OsClock::start()), open)
}

/// Starts a run with a clock of the test's own.
pub(crate) fn start_at(config: &Config, clock: Arc<dyn Clock>, open: OpenSink<'_>) -> Run {
    started(config, clock, open).unwrap_or_else(|error| panic!("{error}"))
}

fn started(config: &Config, clock: Arc<dyn Clock>, open: OpenSink<'_>) -> Result<Run, StartError> {
    Run::start(Setup {
        command: "test",
        config,
        config_text: (String::new(), None),
        plan: Plan::new(config, &[]).unwrap(),
        clock,
        open_sink: open,
        instruments: Arc::new(Instruments::default()),
        resume: BTreeMap::new(),
        source: Source::Sockets,
        rejects: None,
    })
}

/// The report as it is now.
pub(crate) fn look(run: &Run) -> Report {
    report(&run.view(), Histograms::LeaveOut)
}

/// Looks again and again until the report is as wanted.
pub(crate) fn wait_until(run: &Run, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
    let clock = OsClock::start();
    loop {
        let seen = look(run);
        if wanted(&seen) {
            return seen;
        }
        assert!(clock.mono().0 < PATIENCE.as_nanos() as u64, "{what}: {:#?}", seen.ledger);
        // Paces the looks; nothing depends on how long it takes.
        run.stop().wait(Duration::from_millis(2));
    }
}

/// Ends a run and gives its last report.
pub(crate) fn end(mut run: Run) -> Report {
    run.drain(PATIENCE);
    look(&run)
}
