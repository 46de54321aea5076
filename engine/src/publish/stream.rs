//! A TCP connection, with TLS or without, as the links read and write it. It waits while it is being made, all steps
//! together within one limit, and never afterwards.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tickline_feeds::clock::{Clock, MonoNanos};

/// Longest wait for TCP, TLS and the head of the first answer together: who sends a byte now and then is no venue.
const CONNECT_NS_MAX: u64 = 10_000_000_000;

/// When to wait no longer.
#[derive(Clone)]
pub(super) struct Deadline {
    clock: Arc<dyn Clock>,
    at: MonoNanos,
}

impl Deadline {
    /// Of a connection that is begun now.
    pub(super) fn of(clock: &Arc<dyn Clock>) -> Self {
        Self { clock: Arc::clone(clock), at: MonoNanos(clock.mono().0.saturating_add(CONNECT_NS_MAX)) }
    }

    /// What is left of it.
    fn left(&self) -> io::Result<Duration> {
        match self.at.since(self.clock.mono()) {
            0 => Err(io::Error::new(io::ErrorKind::TimedOut, "not connected within 10 s")),
            ns => Ok(Duration::from_nanos(ns)),
        }
    }
}

/// TCP that waits until its deadline; without one, it does not wait.
pub(super) struct Tcp {
    stream: TcpStream,
    deadline: Option<Deadline>,
}

/// A connection.
pub(super) enum Stream {
    Plain(Tcp),
    Tls(Box<StreamOwned<ClientConnection, Tcp>>),
}

impl Stream {
    /// Connects to `host:port`, trying each of its addresses, and shakes hands if there is TLS.
    pub(super) fn connect(
        host: &str,
        port: u16,
        tls: Option<&Arc<ClientConfig>>,
        deadline: &Deadline,
    ) -> io::Result<Self> {
        let mut refused = io::Error::new(io::ErrorKind::NotFound, format!("{host}: no address"));
        for address in (host.trim_matches(['[', ']']), port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, deadline.left()?) {
                Ok(stream) => return Self::over(Tcp { stream, deadline: Some(deadline.clone()) }, host, tls),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn over(tcp: Tcp, host: &str, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        tcp.stream.set_nodelay(true)?;
        let Some(config) = tls else { return Ok(Stream::Plain(tcp)) };
        let name =
            ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Stream::Tls(Box::new(stream)))
    }

    fn tcp(&self) -> &Tcp {
        match self {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => &tls.sock,
        }
    }

    fn tcp_mut(&mut self) -> &mut Tcp {
        match self {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => &mut tls.sock,
        }
    }

    /// Waits `ns` more, if its deadline is not nearer.
    pub(super) fn hurry(&mut self, ns: u64) {
        if let Some(deadline) = &mut self.tcp_mut().deadline {
            let at = deadline.clock.mono().0.saturating_add(ns);
            deadline.at = deadline.at.min(MonoNanos(at));
        }
    }

    /// From now on nothing waits.
    pub(super) fn set_nonblocking(&mut self) -> io::Result<()> {
        let tcp = self.tcp_mut();
        tcp.deadline = None;
        tcp.stream.set_nonblocking(true)
    }

    pub(super) fn fd(&self) -> RawFd {
        self.tcp().stream.as_raw_fd()
    }
}

impl Read for Tcp {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(deadline) = &self.deadline {
            self.stream.set_read_timeout(Some(deadline.left()?))?;
        }
        self.stream.read(buffer)
    }
}

impl Write for Tcp {
    #[expect(clippy::disallowed_methods, reason = "this is write itself")]
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if let Some(deadline) = &self.deadline {
            self.stream.set_write_timeout(Some(deadline.left()?))?;
        }
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(tcp) => tcp.read(buffer),
            Stream::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    #[expect(clippy::disallowed_methods, reason = "this is write itself")]
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(tcp) => tcp.write(buffer),
            Stream::Tls(tls) => tls.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(tcp) => tcp.flush(),
            Stream::Tls(tls) => tls.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tickline_feeds::clock::WallNanos;

    use super::*;

    /// Two seconds pass with each look.
    #[derive(Debug, Default)]
    struct Passing(AtomicU64);

    impl Clock for Passing {
        fn wall(&self) -> WallNanos {
            WallNanos(0)
        }

        fn mono(&self) -> MonoNanos {
            MonoNanos(self.0.fetch_add(2_000_000_000, Ordering::Relaxed))
        }
    }

    #[test]
    fn who_answers_a_byte_at_a_time_is_left_after_ten_seconds() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let clock: Arc<dyn Clock> = Arc::new(Passing::default());
        let mut stream = Stream::connect("127.0.0.1", port, None, &Deadline::of(&clock)).unwrap();
        listener.accept().unwrap().0.write_all(b"HTTP/1.1 200").unwrap();
        let mut read = 0;
        let error = loop {
            match stream.read(&mut [0]) {
                Ok(bytes) => read += bytes,
                Err(error) => break error,
            }
        };
        assert_eq!((read, error.kind()), (3, io::ErrorKind::TimedOut));
    }
}
