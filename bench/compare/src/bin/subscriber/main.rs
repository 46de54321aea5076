//! A whole subscriber as one would write it in Rust without tickline: libzmq, rmp-serde into structs that borrow,
//! the builder of the crate influxdb-line-protocol, 5,000 lines a request with ureq over a connection that stays.
//! `raw` receives and counts only: the limit. Prints one line of JSON: messages, points, cpu_s, elapsed_s.
//!   subscriber write|raw ENDPOINT TOPIC URL DATABASE MESSAGES

mod lines;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tickline_feeds::socket::{KERNEL_BUFFER_BYTES, subscriber};

use crate::lines::Kind;

const BATCH_LINES: u64 = 5_000;
/// As tickline has it.
const RCVHWM: i32 = 100_000;
/// The longest silence that is not an end, ms.
const SILENCE_MAX_MS: i32 = 30_000;
const TIMEOUT: Duration = Duration::from_secs(10);
const USAGE: &str = "usage: subscriber write|raw ENDPOINT TOPIC URL DATABASE MESSAGES";

/// What is done with a payload.
enum Work {
    Count,
    Write(Kind, Writer),
}

/// Collects lines and posts them.
struct Writer {
    agent: ureq::Agent,
    url: String,
    lines: Vec<u8>,
    waiting: u64,
    sent: u64,
}

impl Writer {
    fn new(url: &str, database: &str) -> Self {
        let config = ureq::Agent::config_builder().proxy(None).timeout_global(Some(TIMEOUT));
        let url = format!("{url}/write?db={database}");
        Self { agent: config.build().into(), url, lines: Vec::new(), waiting: 0, sent: 0 }
    }

    fn added(&mut self, points: u64) -> Result<()> {
        self.waiting += points;
        if self.waiting >= BATCH_LINES { self.post() } else { Ok(()) }
    }

    fn post(&mut self) -> Result<()> {
        if self.waiting > 0 {
            let answer = self.agent.post(&self.url).send(self.lines.as_slice())?;
            ensure!(answer.status() == 204, "{}: {}", self.url, answer.status());
            self.lines.clear();
            self.sent += std::mem::take(&mut self.waiting);
        }
        Ok(())
    }
}

/// CPU time of all threads of this process.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.try_into().unwrap_or(0))
}

#[expect(clippy::disallowed_methods, reason = "this program measures, and has no clock to be given")]
fn now() -> Instant {
    Instant::now()
}

/// Messages taken, and when the first one came.
fn receive(socket: &zmq::Socket, messages: u64, work: &mut Work) -> Result<(u64, Instant)> {
    let (mut topic, mut payload) = (zmq::Message::new(), zmq::Message::new());
    let (mut received, mut first, mut flags) = (0, None, 0);
    while received < messages {
        // Waits once, then takes what is there.
        match socket.recv(&mut topic, flags) {
            Ok(()) => flags = zmq::DONTWAIT,
            Err(zmq::Error::EAGAIN) if flags != 0 => {
                flags = 0;
                continue;
            }
            Err(zmq::Error::EINTR) => continue,
            Err(error) => bail!("{received} of {messages} messages received, then {error}"),
        }
        socket.recv(&mut payload, 0)?;
        if first.is_none() {
            first = Some(now());
        }
        received += 1;
        if let Work::Write(kind, writer) = work {
            let points = kind.append(&payload, &mut writer.lines)?;
            writer.added(points)?;
        }
    }
    Ok((received, first.context("MESSAGES: must be at least 1")?))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, endpoint, topic, url, database, messages] = arguments.as_slice() else { bail!(USAGE) };
    let messages = messages.parse().context("MESSAGES: must be a number")?;
    let mut work = match mode.as_str() {
        "raw" => Work::Count,
        "write" => Work::Write(Kind::named(topic)?, Writer::new(url, database)),
        _ => bail!(USAGE),
    };
    let context = zmq::Context::new();
    let socket = subscriber(&context, RCVHWM, KERNEL_BUFFER_BYTES)?;
    socket.set_rcvtimeo(SILENCE_MAX_MS)?;
    socket.set_subscribe(topic.as_bytes())?;
    let cpu_start = cpu();
    socket.connect(endpoint)?;
    let (received, first) = receive(&socket, messages, &mut work)?;
    let mut points = 0;
    if let Work::Write(_, writer) = &mut work {
        writer.post()?;
        points = writer.sent;
    }
    let (cpu_s, elapsed_s) = ((cpu() - cpu_start).as_secs_f64(), first.elapsed().as_secs_f64());
    println!("{}", json!({"messages": received, "points": points, "cpu_s": cpu_s, "elapsed_s": elapsed_s}));
    Ok(())
}
