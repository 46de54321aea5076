//! `tickline forward`

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::signal::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use tickline_loadgen::clock::OsClock;

use super::{ConfigArgs, Exit, Failure};
use crate::forward::pages::pages;
use crate::forward::{ForwardReport, Forwarder};
use crate::http::{Server, bind};
use crate::spawn::{Thread, spawn};
use crate::stop::Stop;

/// How often the end of the thread is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Arguments of `forward`. Each but --http, --json and --report stands for a key of [forward].
#[derive(Debug, clap::Args)]
pub(super) struct ForwardArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Where publishers connect to.
    #[arg(long = "in", value_name = "ENDPOINT")]
    input: Option<String>,
    /// Publisher to connect to; may be repeated.
    #[arg(long, value_name = "ENDPOINT")]
    from: Vec<String>,
    /// Where subscribers connect to.
    #[arg(long = "out", value_name = "ENDPOINT")]
    output: Option<String>,
    /// Worker that gets the symbols of its share; may be repeated.
    #[arg(long, value_name = "ENDPOINT")]
    push: Vec<String>,
    /// Keep the last message of each topic and symbol for subscribers that come late.
    #[arg(long)]
    cache: bool,
    /// Answer /health, /status and /metrics on this address.
    #[arg(long, value_name = "IP:PORT")]
    http: Option<std::net::SocketAddr>,
    /// Print the report as JSON, alone, on standard output.
    #[arg(long)]
    json: bool,
    /// Also write the report as JSON to this file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl ForwardArgs {
    /// The configuration with what the command line says of it.
    fn config(&self) -> ConfigArgs {
        let ConfigArgs { files, mut sets } = self.config.clone();
        let one = [("in", &self.input), ("out", &self.output)];
        sets.extend(one.into_iter().filter_map(|(key, endpoint)| {
            endpoint.as_ref().map(|endpoint| format!("forward.{key}={endpoint:?}"))
        }));
        let several = [("from", &self.from), ("push", &self.push)].into_iter();
        let named = several.filter(|(_, endpoints)| !endpoints.is_empty());
        sets.extend(named.map(|(key, endpoints)| format!("forward.{key}={endpoints:?}")));
        sets.extend(self.cache.then(|| "forward.cache=true".to_owned()));
        ConfigArgs { files, sets }
    }

    fn give(&self, report: &ForwardReport) -> Result<(), Failure> {
        let json = serde_json::to_string_pretty(report).map_err(Failure::failed)?;
        if let Some(path) = &self.report {
            let written = std::fs::write(path, format!("{json}\n"));
            written.map_err(|error| Failure::failed(format!("--report {}: {error}", path.display())))?;
        }
        super::print_text(&if self.json { json + "\n" } else { report.text() })
    }
}

pub(super) fn run(args: &ForwardArgs) -> Result<Exit, Failure> {
    let config = args.config().load()?.config;
    let socket = args.http.map(bind).transpose().map_err(Failure::configuration)?;
    // Caught from now on: a signal before the first message ends it as one behind the last does.
    let mut poll = Poll::new().map_err(Failure::failed)?;
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(Failure::failed)?;
    poll.registry().register(&mut signals, Token(0), Interest::READABLE).map_err(Failure::failed)?;
    let stop = Arc::new(Stop::default());
    let forwarder = Forwarder::open(&config, Arc::new(OsClock::start()), Arc::clone(&stop));
    let forwarder = forwarder.map_err(Failure::configuration)?;
    let cell = forwarder.cell();
    let pages = pages(Arc::clone(&cell), Arc::clone(&stop));
    let server = socket.map(|socket| Server::with_pages(socket, &stop, pages)).transpose();
    let server = server.map_err(Failure::failed)?;
    if let Some(server) = &server {
        tracing::info!("http: listening on http://{}", server.address);
    }
    for (key, endpoint) in forwarder.bound() {
        tracing::info!("{key}: bound to {endpoint}");
    }
    let thread = spawn("forward", None, &stop, move || forwarder.run()).map_err(Failure::failed)?;
    if watch(&mut poll, &mut signals, &stop, &thread).map_err(Failure::failed)? {
        thread.join();
    }
    if let Some(server) = server {
        server.stop();
    }
    let report = cell.lock().clone();
    args.give(&report)?;
    Ok(match stop.failure() {
        Some(_) => Exit::Failed,
        None if report.balanced => Exit::Ok,
        None => Exit::Ledger,
    })
}

/// Waits for the end of the thread, and hands on a signal to it. Returns false if a second SIGINT does not want to wait for
/// what subscribers have not taken yet.
fn watch(poll: &mut Poll, signals: &mut Signals, stop: &Stop, thread: &Thread) -> io::Result<bool> {
    let mut events = Events::with_capacity(4);
    while !thread.ended_within(Duration::ZERO) {
        match poll.poll(&mut events, Some(LOOK_EVERY)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for signal in signals.pending() {
            if stop.running() {
                tracing::info!("stopping: passing on what has come");
                stop.drain();
            } else if signal == SIGINT {
                tracing::warn!("stopping at once");
                return Ok(false);
            }
        }
    }
    Ok(true)
}
