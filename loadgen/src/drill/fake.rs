//! `fakeinflux`: a database double that speaks enough of InfluxDB 1 to be written to, stores every line, and refuses,
//! stalls, resets, lies and cuts on demand.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use tickline_feeds::clock::Clock;

use super::message;
use super::store::Store;
use crate::clock::OsClock;
use crate::spawn::spawn;

/// How a request is met. What has an answer of its own stores nothing unless it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Stored, 204.
    Store,
    /// Stored after a wait.
    StoreAfter(Duration),
    /// Status, `Retry-After`, body.
    Status(u16, Option<String>, String),
    /// Stored, but the connection is reset before the answer.
    StoreAndReset,
    /// Reset in the middle of the request.
    ResetRequest,
    /// Half of the body is stored, then the connection is reset.
    StoreHalfAndReset,
    /// Stored; the answer is cut.
    StoreAndCut,
    /// All but the messages whose number this divides, which are refused as InfluxDB 1 refuses another type.
    StoreBut(u64),
}

/// Decides about a request: the body and how many came before.
type Script = Box<dyn Fn(u64, &str, &Head) -> Reply + Send>;

/// The head of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    /// `Authorization`
    pub(super) authorization: String,
}

struct Shared {
    script: Mutex<Script>,
    store: Arc<Store>,
    requests: AtomicU64,
    faults: AtomicU64,
    /// Connections that are idle so long are closed, ms; 0: never.
    idle_ms: AtomicU64,
    stop: Arc<AtomicBool>,
    clock: OsClock,
}

/// A running double.
pub(super) struct Fake {
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
    address: SocketAddr,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fake").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Fake {
    pub(super) fn start(clock: OsClock) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(|_, _, _| Reply::Store)),
            store: Arc::default(),
            requests: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            idle_ms: AtomicU64::new(0),
            stop: Arc::default(),
            clock,
        });
        let own = Arc::clone(&shared);
        let accepting =
            spawn("fakeinflux".to_owned(), Arc::clone(&shared.stop), move || own.accept(&listener))?;
        Ok(Self { shared, accepting: Some(accepting), address })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn store(&self) -> &Store {
        &self.shared.store
    }

    /// From now on requests are met like this.
    pub(super) fn script(&self, script: impl Fn(u64, &str, &Head) -> Reply + Send + 'static) {
        *self.shared.script.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(script);
    }

    /// From the next connection on, idle ones are closed after this time, as proxies do.
    pub(super) fn close_idle(&self, after: Duration) {
        self.shared.idle_ms.store(after.as_millis() as u64, Ordering::Relaxed);
    }

    /// Requests so far.
    pub(super) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Requests that were not simply stored.
    pub(super) fn faults(&self) -> u64 {
        self.shared.faults.load(Ordering::Relaxed)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the accepting thread.
        TcpStream::connect(self.address).ok();
        if let Some(thread) = self.accepting.take() {
            thread.join().ok();
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let own = Arc::clone(self);
            // A connection ends with its engine.
            spawn("fake-conn".to_owned(), Arc::clone(&self.stop), move || own.serve(stream).ok()).ok();
        }
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut seen = Vec::new();
        let idle = self.idle_ms.load(Ordering::Relaxed);
        stream.set_read_timeout((idle > 0).then(|| Duration::from_millis(idle)))?;
        loop {
            let (head, body) = match read_request(&mut stream, &mut seen) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.faults.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                read => match read? {
                    Some(request) => request,
                    None => return Ok(()),
                },
            };
            let number = self.requests.fetch_add(1, Ordering::Relaxed);
            let body = String::from_utf8_lossy(&body).into_owned();
            let reply = (self.script.lock().unwrap_or_else(PoisonError::into_inner))(number, &body, &head);
            if reply != Reply::Store {
                self.faults.fetch_add(1, Ordering::Relaxed);
            }
            if !self.answer(&mut stream, reply, &body)? {
                return Ok(());
            }
        }
    }

    /// True if the connection stays.
    fn answer(&self, stream: &mut TcpStream, reply: Reply, body: &str) -> io::Result<bool> {
        let store = |body: &str| self.store.add(body, self.clock.mono().0);
        match reply {
            Reply::Store => store(body),
            Reply::StoreAfter(wait) => {
                std::thread::park_timeout(wait);
                store(body);
            }
            Reply::Status(status, retry_after, text) => {
                let retry = retry_after.map_or_else(String::new, |value| format!("Retry-After: {value}\r\n"));
                let head =
                    format!("HTTP/1.1 {status} X\r\n{retry}Content-Length: {}\r\n\r\n{text}", text.len());
                stream.write_all(head.as_bytes())?;
                return Ok(true);
            }
            Reply::StoreAndReset => {
                store(body);
                return reset(stream);
            }
            Reply::StoreHalfAndReset => {
                let half = body.len() / 2;
                let cut = body.get(..half).and_then(|half| half.rfind('\n')).map_or(0, |at| at + 1);
                store(body.get(..cut).unwrap_or_default());
                return reset(stream);
            }
            Reply::ResetRequest => return reset(stream),
            Reply::StoreBut(divisor) => {
                let poisoned = |line: &&str| message::number(line).is_some_and(|n| n.is_multiple_of(divisor));
                let (bad, good): (Vec<&str>, Vec<&str>) = body.lines().partition(poisoned);
                store(&good.join("\n"));
                if !bad.is_empty() {
                    let words = "partial write: field type conflict: input field p is type string";
                    let text = format!("{{\"error\":\"{words} dropped={}\"}}", bad.len());
                    return self.answer(stream, Reply::Status(400, None, text), body);
                }
            }
            Reply::StoreAndCut => {
                store(body);
                stream.write_all(b"HTTP/1.1 20")?;
                stream.shutdown(Shutdown::Both)?;
                return Ok(false);
            }
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        Ok(true)
    }
}

/// Closes so that the peer sees a reset: what it has sent is not read.
fn reset(stream: &TcpStream) -> io::Result<bool> {
    stream.shutdown(Shutdown::Both)?;
    Ok(false)
}

/// One request: its head and its body; none at the end of the connection. `seen` keeps what was read beyond it.
fn read_request(stream: &mut TcpStream, seen: &mut Vec<u8>) -> io::Result<Option<(Head, Vec<u8>)>> {
    let mut chunk = [0; 64 * 1024];
    loop {
        if let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(seen.get(..end).unwrap_or_default()).into_owned();
            let header = |name: &str| {
                let mut lines = text.lines().filter_map(|line| line.split_once(':'));
                lines
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.trim().to_owned())
            };
            let length = header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
            let whole = end + 4 + length;
            while seen.len() < whole {
                let read = stream.read(&mut chunk)?;
                if read == 0 {
                    return Ok(None);
                }
                seen.extend_from_slice(chunk.get(..read).unwrap_or_default());
            }
            let body = seen.get(end + 4..whole).unwrap_or_default().to_vec();
            seen.drain(..whole);
            let authorization = header("authorization").unwrap_or_default();
            return Ok(Some((Head { authorization }, body)));
        }
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Ok(None);
        }
        seen.extend_from_slice(chunk.get(..read).unwrap_or_default());
    }
}
