//! One client's connection, plain or TLS: a thread may read while another writes. What is written in one call stays
//! together; a muted connection takes what is written and sends nothing.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection};

/// How long a client may take for its TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Bytes taken from the socket at once; less than what rustls may hold decrypted.
const CHUNK_BYTES: usize = 4_096;

#[derive(Debug)]
pub(super) struct Duplex {
    socket: TcpStream,
    tls: Option<Mutex<ServerConnection>>,
    writing: Mutex<()>,
    muted: AtomicBool,
}

impl Duplex {
    /// Takes a connection in; over TLS the handshake is done here.
    pub(super) fn accept(socket: TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let mut secured = match tls {
            Some(config) => Some(ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?),
            None => None,
        };
        if let Some(secured) = &mut secured {
            socket.set_read_timeout(Some(HANDSHAKE_MAX))?;
            secured.complete_io(&mut &socket)?;
            socket.set_read_timeout(None)?;
        }
        Ok(Self {
            socket,
            tls: secured.map(Mutex::new),
            writing: Mutex::default(),
            muted: AtomicBool::new(false),
        })
    }

    /// Reads fail after this time.
    pub(super) fn read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(limit)
    }

    /// From now on nothing is sent.
    pub(super) fn mute(&self, muted: bool) {
        self.muted.store(muted, Ordering::Relaxed);
    }

    /// The certificate that the client showed.
    pub(super) fn has_client_certificate(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| lock(tls).peer_certificates().is_some())
    }

    /// Ends our half; what was sent before arrives.
    pub(super) fn finish(&self) {
        self.socket.shutdown(Shutdown::Write).ok();
    }

    /// Ends both halves.
    pub(super) fn close(&self) {
        self.socket.shutdown(Shutdown::Both).ok();
    }

    /// Sends all bytes, or none where the connection is muted.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        if self.muted.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Some(tls) = &self.tls else {
            let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            return (&self.socket).write_all(bytes);
        };
        let mut tls = lock(tls);
        // rustls buffers only so much at once.
        for part in bytes.chunks(CHUNK_BYTES) {
            tls.writer().write_all(part)?;
            while tls.wants_write() {
                tls.write_tls(&mut &self.socket)?;
            }
        }
        Ok(())
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else { return (&self.socket).read(buffer) };
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            match lock(tls).reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            let bytes = (&self.socket).read(&mut chunk)?;
            let mut rest = chunk.get(..bytes).unwrap_or_default();
            let mut tls = lock(tls);
            if bytes == 0 {
                // rustls learns of the end.
                tls.read_tls(&mut rest)?;
            }
            while !rest.is_empty() {
                tls.read_tls(&mut rest)?;
                tls.process_new_packets().map_err(io::Error::other)?;
            }
            while tls.wants_write() {
                tls.write_tls(&mut &self.socket)?;
            }
        }
    }
}

fn lock(tls: &Mutex<ServerConnection>) -> MutexGuard<'_, ServerConnection> {
    tls.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A way to the connection for what reads and writes.
#[derive(Clone, Debug)]
pub(super) struct Line(pub(super) Arc<Duplex>);

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.receive(buffer)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
