//! A TCP connection, with TLS or without, as the links read and write it. It waits while it is being made, within a
//! limit, and never afterwards.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Longest wait for each step of a connection: TCP, TLS, the answer to the first request.
pub(super) const STEP_MAX: Duration = Duration::from_secs(10);

/// A connection.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// Connects to `host:port`, trying each of its addresses, and shakes hands if there is TLS.
    pub(super) fn connect(host: &str, port: u16, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        let mut refused = io::Error::new(io::ErrorKind::NotFound, format!("{host}: no address"));
        for address in (host.trim_matches(['[', ']']), port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, STEP_MAX) {
                Ok(tcp) => return Self::over(tcp, host, tls),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn over(tcp: TcpStream, host: &str, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(STEP_MAX))?;
        tcp.set_write_timeout(Some(STEP_MAX))?;
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

    fn tcp(&self) -> &TcpStream {
        match self {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => &tls.sock,
        }
    }

    /// Longest wait for what is read.
    pub(super) fn set_read_timeout(&self, time: Duration) -> io::Result<()> {
        self.tcp().set_read_timeout(Some(time))
    }

    /// From now on nothing waits.
    pub(super) fn set_nonblocking(&self) -> io::Result<()> {
        self.tcp().set_nonblocking(true)
    }

    pub(super) fn fd(&self) -> RawFd {
        self.tcp().as_raw_fd()
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
