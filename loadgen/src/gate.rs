//! A gate before a server: shut, connections are closed at once, as by a server that is away; open, bytes pass both
//! ways untouched.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::spawn::spawn;

/// How often the gate looks whether someone knocks.
const LOOK: Duration = Duration::from_millis(5);

/// A gate; gone with its value.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    open: AtomicBool,
    stop: Arc<AtomicBool>,
    /// What passes at the moment.
    passing: Mutex<Vec<TcpStream>>,
}

impl Gate {
    /// Before `server`, such as `127.0.0.1:8086`; shut.
    pub fn before(server: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let shared = Arc::<Shared>::default();
        let (own, server) = (Arc::clone(&shared), server.to_owned());
        spawn("gate".to_owned(), Arc::clone(&shared.stop), move || own.accept(&listener, &server))?;
        Ok(Self { address, shared })
    }

    /// Where clients connect instead.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets everyone through from now on.
    pub fn open(&self) {
        self.shared.open.store(true, Ordering::Relaxed);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut passing = self.shared.passing.lock().unwrap_or_else(PoisonError::into_inner);
        passing.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener, server: &str) {
        while !self.stop.load(Ordering::Relaxed) {
            let Ok((client, _)) = listener.accept() else {
                std::thread::park_timeout(LOOK);
                continue;
            };
            // A client that is not let through, or whose server is away, sees its connection end.
            if self.open.load(Ordering::Relaxed) {
                self.pass(client, server).ok();
            }
        }
    }

    fn pass(&self, client: TcpStream, server: &str) -> io::Result<()> {
        client.set_nonblocking(false)?;
        let server = TcpStream::connect(server)?;
        let mut passing = self.passing.lock().unwrap_or_else(PoisonError::into_inner);
        passing.extend([client.try_clone()?, server.try_clone()?]);
        drop(passing);
        for (mut from, mut to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
            let copy = move || {
                io::copy(&mut from, &mut to).ok();
                to.shutdown(Shutdown::Both).ok();
            };
            spawn("gate-pass".to_owned(), Arc::clone(&self.stop), copy)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_shut_gate_ends_connections_and_an_open_one_passes_bytes_both_ways() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Gate::before(&server.local_addr().unwrap().to_string()).unwrap();
        let mut refused = TcpStream::connect(gate.address()).unwrap();
        assert_eq!(refused.read(&mut [0; 1]).unwrap_or(0), 0);
        gate.open();
        let mut client = TcpStream::connect(gate.address()).unwrap();
        client.write_all(b"ask").unwrap();
        let (mut behind, _) = server.accept().unwrap();
        let mut asked = [0; 3];
        behind.read_exact(&mut asked).unwrap();
        behind.write_all(b"answer").unwrap();
        drop(behind);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!((&asked, answer.as_str()), (b"ask", "answer"));
    }
}
