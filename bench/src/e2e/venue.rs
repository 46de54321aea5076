//! `tickline-bench venue`: a publisher beside a bare loop that reads the same socket and sends the same bytes. A server in
//! this process says a book's updates over a WebSocket; a subscriber takes the time from the server's write to its own
//! read, so that whoever stands between is all that differs. Then the publisher alone, flat out: its CPU an update; and
//! a venue that hangs up again and again: the time from its next accept to the first book.

use std::io::{BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tickline::latency::Latencies;
use tickline::publish::Group;
use tickline_bench::venue::Market;
use tickline_config::model::Config;
use tickline_feeds::clock::{Clock, MonoNanos};
use tickline_feeds::socket::{KERNEL_BUFFER_BYTES, fan_out, subscriber};
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::host::{build, host};
use tungstenite::Message;

use super::{Code, median, quantiles};

const SILENCE_MAX_MS: i32 = 30_000;
const SUBSCRIBER_WAIT: Duration = Duration::from_secs(5);
const TOPIC: &str = "kr_depth";

/// Arguments of `venue`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Pairs of runs.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pairs: u16,
    /// Updates of a run.
    #[arg(long, default_value_t = 20_000)]
    messages: u64,
    /// Updates a second of the runs that are timed.
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    /// Updates of the run that is flat out.
    #[arg(long, default_value_t = 500_000)]
    flat_out: u64,
    /// Times that the venue hangs up; the waits double from half a second to half a minute.
    #[arg(long, default_value_t = 5)]
    reconnections: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Code> {
    let mut pairs = Vec::new();
    for at in 0..arguments.pairs {
        let load = Load { messages: arguments.messages, rate: Some(arguments.rate) };
        let order =
            if at % 2 == 0 { [Between::Bare, Between::Tickline] } else { [Between::Tickline, Between::Bare] };
        let mut measured = [(0, 0); 2];
        for between in order {
            let ran = once(load, between)?;
            measured[between as usize] = quantiles(&ran.latencies).context("nothing was measured")?;
        }
        eprintln!(
            "pair {}: bare p99 {} us, tickline p99 {} us",
            at + 1,
            measured[0].1 / 1_000,
            measured[1].1 / 1_000
        );
        pairs.push(measured);
    }
    let flat_out = once(Load { messages: arguments.flat_out, rate: None }, Between::Tickline)?;
    let again = reconnections(arguments.reconnections)?;
    let of = |contender: usize, quantile: fn(&(u64, u64)) -> u64| {
        median(pairs.iter().map(|pair| quantile(&pair[contender]) as f64))
    };
    let (cpu_s, messages) = (flat_out.cpu_s, arguments.flat_out as f64);
    let object = json!({
        "command": "venue", "messages": arguments.messages, "rate": arguments.rate,
        "pairs_bare_p50_p99_ns_and_tickline": pairs,
        "bare_p50_ns": of(0, |q| q.0), "bare_p99_ns": of(0, |q| q.1),
        "tickline_p50_ns": of(1, |q| q.0), "tickline_p99_ns": of(1, |q| q.1),
        "p99_ratio": median(pairs.iter().map(|pair| pair[1].1 as f64 / pair[0].1 as f64)),
        "flat_out": { "messages": messages, "updates_per_s": messages / flat_out.elapsed_s, "publisher_cpu_s": cpu_s,
            "updates_per_core_second": messages / cpu_s },
        "reconnections_wait_ns_and_accept_to_first_book_ns": again,
        "accept_to_first_book_max_ns": again.iter().map(|(_, first)| first).max(),
        "build": build(env!("CARGO_PKG_VERSION"), option_env!("TICKLINE_COMMIT")), "host": host(),
    });
    println!("{object:#}");
    Ok(Code::Ok)
}

/// For each time that the venue has hung up: how long until it accepted again, and from then to the first book, ns.
fn reconnections(count: usize) -> Result<Vec<(u64, u64)>> {
    let clock = OsClock::start();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("ws://{}", listener.local_addr()?);
    let (accepts, accepted) = mpsc::channel();
    let (heard, hang_up) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let venue = scope.spawn(move || -> Result<()> {
            for _ in 0..=count {
                let (stream, _) = listener.accept()?;
                accepts.send(clock.mono())?;
                stream.set_nodelay(true)?;
                let mut socket = tungstenite::accept(stream).map_err(|error| anyhow::anyhow!("{error}"))?;
                socket.read()?;
                socket.send(Message::text(Market::default().snapshot()))?;
                hang_up.recv()?;
            }
            Ok(())
        });
        let context = zmq::Context::new();
        let socket = subscriber(&context, 0, KERNEL_BUFFER_BYTES)?;
        socket.set_rcvtimeo(SILENCE_MAX_MS)?;
        socket.set_subscribe(TOPIC.as_bytes())?;
        let mut group = publisher(&url, clock)?;
        socket.connect(&group.views()[0].endpoints[0])?;
        let (mut all, mut closed) = (Vec::new(), MonoNanos(0));
        for _ in 0..=count {
            let first = book(&socket, clock)?;
            let accepted = accepted.recv()?;
            all.push((accepted.since(closed), first.since(accepted)));
            closed = clock.mono();
            heard.send(())?;
        }
        group.end();
        venue.join().expect("the venue")?;
        all.remove(0);
        Ok(all)
    })
}

/// When the next book comes.
fn book(socket: &zmq::Socket, clock: OsClock) -> Result<MonoNanos> {
    let (mut topic, mut payload) = (zmq::Message::new(), zmq::Message::new());
    loop {
        socket.recv(&mut topic, 0)?;
        socket.recv(&mut payload, 0)?;
        let has = |key: &[u8]| payload.windows(key.len()).take(2_000).any(|bytes| bytes == key);
        if !has(b"_event") && !has(b"_hb") {
            return Ok(clock.mono());
        }
    }
}

fn publisher(url: &str, clock: OsClock) -> Result<Group> {
    let sets = [
        format!("publishers.kraken_depth.url={url:?}"),
        "publishers.kraken_depth.endpoint=\"tcp://127.0.0.1:*\"".to_owned(),
        "publishers.kraken_depth.symbols=[\"BTC/USD\"]".to_owned(),
        "publishers.kraken_depth.rest_fallback=false".to_owned(),
    ];
    let config = Config::load(&[], &sets, &|_| None)?.config;
    let shared: Arc<dyn Clock> = Arc::new(clock);
    Ok(Group::start(&config, &shared, SUBSCRIBER_WAIT, |_| true)?)
}

/// What a run says.
#[derive(Clone, Copy, Debug)]
struct Load {
    messages: u64,
    /// A second; none: as fast as it is read.
    rate: Option<u64>,
}

/// Who stands between venue and subscriber.
#[derive(Clone, Copy, Debug)]
enum Between {
    Bare,
    Tickline,
}

struct Ran {
    latencies: Latencies,
    elapsed_s: f64,
    /// CPU time of whoever stands between.
    cpu_s: f64,
}

fn once(load: Load, between: Between) -> Result<Ran> {
    let clock = OsClock::start();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("ws://{}", listener.local_addr()?);
    let written: Arc<Vec<AtomicU64>> = Arc::new((0..load.messages).map(|_| AtomicU64::new(0)).collect());
    let times = Arc::clone(&written);
    std::thread::scope(|scope| -> Result<Ran> {
        let venue = scope.spawn(move || say(&listener, load, &times, clock));
        let context = zmq::Context::new();
        let socket = subscriber(&context, 0, KERNEL_BUFFER_BYTES)?;
        socket.set_rcvtimeo(SILENCE_MAX_MS)?;
        socket.set_subscribe(TOPIC.as_bytes())?;
        let ran = match between {
            Between::Bare => {
                let (give, take) = mpsc::channel();
                let bare = scope.spawn(move || pass_on(&url, load.messages, &give));
                socket.connect(&take.recv()?)?;
                let mut ran = listen(&socket, load, &written, clock)?;
                ran.cpu_s = bare.join().expect("the loop")?;
                ran
            }
            Between::Tickline => {
                let mut group = publisher(&url, clock)?;
                socket.connect(&group.views()[0].endpoints[0])?;
                let mut ran = listen(&socket, load, &written, clock)?;
                ran.cpu_s = thread_cpu_s("pub-kraken_dept").context("the publisher's thread")?;
                group.end();
                ran
            }
        };
        venue.join().expect("the venue")?;
        Ok(ran)
    })
}

/// The venue: a snapshot, then updates when they are due.
fn say(listener: &TcpListener, load: Load, written: &[AtomicU64], clock: OsClock) -> Result<()> {
    let mut market = Market::default();
    let opening = market.snapshot();
    let updates: Vec<String> = (0..load.messages as usize).map(|at| market.update(at)).collect();
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let mut socket = tungstenite::accept(stream).map_err(|error| anyhow::anyhow!("{error}"))?;
    // The client's subscription, which the bare loop sends, too.
    socket.read()?;
    socket.send(Message::text(opening))?;
    let began = clock.mono();
    for (at, update) in updates.into_iter().enumerate() {
        if let Some(rate) = load.rate {
            let due = MonoNanos(began.0 + (at as u64 + 1) * 1_000_000_000 / rate);
            while clock.mono() < due {
                std::thread::park_timeout(Duration::from_nanos(due.since(clock.mono())));
            }
        }
        written[at].store(clock.mono().0, Ordering::Relaxed);
        socket.write(Message::text(update))?;
        if load.rate.is_some() || at % 64 == 0 {
            socket.flush()?;
        }
    }
    socket.flush()?;
    // Until the client has gone.
    while socket.read().is_ok() {}
    Ok(())
}

/// The subscriber: the n-th book is the n-th update's.
fn listen(socket: &zmq::Socket, load: Load, written: &[AtomicU64], clock: OsClock) -> Result<Ran> {
    let mut latencies = Latencies::default();
    let (mut seen, mut first, mut last) = (0, None, MonoNanos(0));
    // One more than updates: the snapshot, which has no time.
    while seen <= load.messages {
        last = book(socket, clock)?;
        if let Some(at) = usize::try_from(seen).ok().and_then(|seen| seen.checked_sub(1)) {
            let sent = written.get(at).map_or(0, |time| time.load(Ordering::Relaxed));
            latencies.record(sent as i64, last.0 as i64, 1);
        }
        first.get_or_insert(last);
        seen += 1;
    }
    let elapsed_s = last.since(first.context("nothing came")?) as f64 / 1e9;
    Ok(Ran { latencies, elapsed_s, cpu_s: 0.0 })
}

/// The floor: each frame's bytes as they come, to ZeroMQ, and nothing else.
fn pass_on(url: &str, messages: u64, bound: &mpsc::Sender<String>) -> Result<f64> {
    let context = zmq::Context::new();
    let socket = fan_out(&context, 0, 5_000)?;
    socket.bind("tcp://127.0.0.1:*")?;
    bound.send(socket.get_last_endpoint()?.unwrap_or_default())?;
    ensure!(socket.poll(zmq::POLLIN, i64::from(SILENCE_MAX_MS))? > 0, "no subscriber");
    let address = url.trim_start_matches("ws://");
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (mut client, _) = tungstenite::client(url, stream).map_err(|error| anyhow::anyhow!("{error}"))?;
    client.send(Message::text("subscribe"))?;
    let frame_bytes = 64 * 1024;
    let mut stream = BufReader::with_capacity(frame_bytes, client.get_mut());
    let mut frame = vec![0; frame_bytes];
    for _ in 0..=messages {
        // A server's frame: two bytes, and two more of length where the first says 126 (RFC 6455 §5.2).
        stream.read_exact(&mut frame[..2])?;
        let bytes = match frame[1] & 0x7f {
            126 => {
                stream.read_exact(&mut frame[..2])?;
                usize::from(u16::from_be_bytes([frame[0], frame[1]]))
            }
            short => usize::from(short),
        };
        stream.read_exact(&mut frame[..bytes])?;
        socket.send(TOPIC, zmq::SNDMORE)?;
        socket.send(&frame[..bytes], 0)?;
    }
    thread_cpu_s("").context("this thread")
}

/// CPU time of a thread of this process by its name as the kernel cuts it; of this thread for an empty one.
fn thread_cpu_s(name: &str) -> Option<f64> {
    let stat = if name.is_empty() {
        std::fs::read_to_string("/proc/thread-self/stat").ok()?
    } else {
        let tasks = std::fs::read_dir("/proc/self/task").ok()?.filter_map(Result::ok);
        let mut stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
        stats.find(|stat| stat.contains(&format!("({name}")))?
    };
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // utime and stime are the 14th and 15th field, in hundredths of a second (man 5 proc).
    let ticks = [11, 12].map(|at| fields.get(at).and_then(|field| field.parse::<f64>().ok()));
    Some((ticks[0]? + ticks[1]?) / 100.0)
}
