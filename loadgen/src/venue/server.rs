//! Listens on an address and gives each connection a thread. It promises that after `stop` no thread of its own and no
//! socket is left.

use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustls::ServerConfig;

use super::duplex::{Duplex, Line};
use crate::spawn::spawn;

#[derive(Debug, Default)]
struct Open {
    next: u64,
    sockets: BTreeMap<u64, TcpStream>,
    threads: Vec<JoinHandle<()>>,
}

/// A listening address.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    stop: Arc<AtomicBool>,
    open: Arc<Mutex<Open>>,
    accepting: Option<JoinHandle<()>>,
}

/// What is done with connections.
pub(super) struct Service {
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// False: the connection is closed before a byte is said.
    pub(super) admit: Box<dyn Fn() -> bool + Send + Sync>,
    /// Serves one until it ends.
    pub(super) serve: Box<dyn Fn(Line) + Send + Sync>,
}

impl Server {
    pub(super) fn start(address: SocketAddr, service: Service) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let (stop, open) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Open>>::default());
        let (own_stop, own_open) = (Arc::clone(&stop), Arc::clone(&open));
        let accept = move || accept(&listener, &Arc::new(service), &own_stop, &own_open);
        let accepting = Some(spawn("venue-accept".to_owned(), Arc::clone(&stop), accept)?);
        Ok(Self { address, stop, open, accepting })
    }

    /// Closes every connection and waits for their threads.
    pub(super) fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the accepting thread.
        TcpStream::connect(self.address).ok();
        self.accepting.take().map(JoinHandle::join);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.sockets.values().for_each(|socket| drop(socket.shutdown(Shutdown::Both)));
        let threads = std::mem::take(&mut open.threads);
        drop(open);
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

fn accept(listener: &TcpListener, service: &Arc<Service>, stop: &Arc<AtomicBool>, open: &Arc<Mutex<Open>>) {
    for socket in listener.incoming() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let Ok(socket) = socket else { continue };
        if !(service.admit)() {
            continue;
        }
        let Ok(second) = socket.try_clone() else { continue };
        let mut all = open.lock().unwrap_or_else(PoisonError::into_inner);
        all.next += 1;
        let number = all.next;
        all.sockets.insert(number, second);
        all.threads.retain(|thread| !thread.is_finished());
        let (own, rest) = (Arc::clone(service), Arc::clone(open));
        let thread = spawn("venue-conn".to_owned(), Arc::clone(stop), move || {
            if let Ok(duplex) = Duplex::accept(socket, own.tls.as_ref()) {
                (own.serve)(Line(Arc::new(duplex)));
            }
            rest.lock().unwrap_or_else(PoisonError::into_inner).sockets.remove(&number);
        });
        all.threads.extend(thread.ok());
    }
}
