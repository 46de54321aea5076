//! A TCP connection in the middle that can fall silent: what it took is not passed on, nothing is closed, and neither
//! side is told. A new connection is passed on again.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::spawn::spawn;

#[derive(Debug, Default)]
struct Shared {
    /// Connections that came before this one are silent.
    silent_before: AtomicU64,
    accepted: AtomicU64,
    stop: Arc<AtomicBool>,
    open: Mutex<Vec<TcpStream>>,
}

/// A running proxy.
#[derive(Debug)]
pub(super) struct Proxy {
    shared: Arc<Shared>,
    pub(super) endpoint: String,
}

impl Proxy {
    /// In front of a publisher.
    pub(super) fn start(endpoint: &str) -> Result<Self> {
        let target = endpoint.strip_prefix("tcp://").context("tcp")?.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = format!("tcp://{}", listener.local_addr()?);
        listener.set_nonblocking(true)?;
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        spawn("drill-proxy".to_owned(), Arc::clone(&shared.stop), move || own.accept(&listener, &target))?;
        Ok(Self { shared, endpoint })
    }

    /// Every connection that is open now falls silent.
    pub(super) fn fall_silent(&self) {
        self.shared.silent_before.store(self.connections(), Ordering::Relaxed);
    }

    /// Connections so far.
    pub(super) fn connections(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.close_all();
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener, target: &str) -> Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            let Ok((client, _)) = listener.accept() else {
                std::thread::park_timeout(Duration::from_millis(5));
                continue;
            };
            client.set_nonblocking(false)?;
            // Whoever sat behind a silent connection is told only now.
            self.close_all();
            let server = TcpStream::connect(target)?;
            let number = self.accepted.fetch_add(1, Ordering::Relaxed) + 1;
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.extend([client.try_clone()?, server.try_clone()?]);
            drop(open);
            for (from, to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
                let own = Arc::clone(&self);
                let pass = move || own.pass(number, from, to);
                spawn("drill-proxy".to_owned(), Arc::clone(&self.stop), pass)?;
            }
        }
        Ok(())
    }

    /// Passes bytes on until one side ends; a silent connection takes nothing more.
    fn pass(&self, number: u64, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(bytes @ 1..) = from.read(&mut buffer) {
            while self.silent_before.load(Ordering::Relaxed) >= number {
                if self.stop.load(Ordering::Relaxed) || self.accepted.load(Ordering::Relaxed) > number {
                    return;
                }
                std::thread::park_timeout(Duration::from_millis(5));
            }
            if to.write_all(buffer.get(..bytes).unwrap_or_default()).is_err() {
                break;
            }
        }
        to.shutdown(Shutdown::Both).ok();
    }

    fn close_all(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }
}
