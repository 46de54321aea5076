//! Who may subscribe where we bind: encrypted connections, and only from those whose public key is on a list.
//! libzmq asks over ZAP, an in-process request for each handshake, which one small thread a context answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tickline_feeds::curve::{self, CurveError, KeyPair, ZAP_ENDPOINT};

use crate::spawn::spawn;

/// How often the thread looks whether it should end.
const LOOK_MS: i32 = 100;

/// Our keys and those that we let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    keys: KeyPair,
    list: PathBuf,
    allowed: Vec<String>,
}

/// Why there is no door.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// A file cannot be read.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// Encryption cannot be used.
    #[error(transparent)]
    Curve(#[from] CurveError),
    /// A key is none.
    #[error("{path}: {error}")]
    Key {
        /// File it stands in.
        path: String,
        /// Why.
        error: CurveError,
    },
    /// An empty list lets nobody in.
    #[error("{0}: must have at least one public key, found none")]
    Nobody(String),
    /// The thread cannot be started.
    #[error("zap: {0}")]
    Thread(#[from] std::io::Error),
    /// Its socket cannot be bound.
    #[error("zap: {0}")]
    Zmq(#[from] zmq::Error),
}

/// The key of a secret-key file.
pub fn keys(path: &Path) -> Result<KeyPair, DoorError> {
    let text = read(path)?;
    KeyPair::of_secret(text.trim())
        .map_err(|error| DoorError::Key { path: path.display().to_string(), error })
}

/// The public keys of a list.
fn listed(path: &Path) -> Result<Vec<String>, DoorError> {
    let text = read(path)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<String> = lines.map(str::to_owned).collect();
    let path = path.display().to_string();
    match keys.iter().find_map(|key| curve::check(key).err()) {
        Some(error) => Err(DoorError::Key { path, error }),
        None if keys.is_empty() => Err(DoorError::Nobody(path)),
        None => Ok(keys),
    }
}

fn read(path: &Path) -> Result<String, DoorError> {
    std::fs::read_to_string(path).map_err(|error| DoorError::File { path: path.display().to_string(), error })
}

impl Door {
    /// Reads our secret key and the list: a public key a line, empty lines and those with `#` left out.
    pub fn read(secret: &Path, allowed: &Path) -> Result<Self, DoorError> {
        Self::new(keys(secret)?, allowed)
    }

    /// A door with these keys, and the list of a file as in [`Door::read`].
    pub fn new(keys: KeyPair, allowed: &Path) -> Result<Self, DoorError> {
        Ok(Self { keys, list: allowed.to_owned(), allowed: listed(allowed)? })
    }

    /// Those who may come in now: a list that was changed counts at once, one that cannot be used changes nothing.
    fn allowed(&mut self) -> &[String] {
        if let Ok(allowed) = listed(&self.list) {
            self.allowed = allowed;
        }
        &self.allowed
    }

    /// Makes a socket take encrypted connections only; before it binds.
    pub fn guard(&self, socket: &zmq::Socket) -> Result<(), zmq::Error> {
        self.keys.serve(socket).map_err(|error| match error {
            CurveError::Zmq(error) => error,
            CurveError::Missing | CurveError::Key => zmq::Error::ENOTSUP,
        })
    }

    /// Answers for every socket of the context until the porter is dropped; before any of them binds.
    pub fn open(&self, context: &zmq::Context) -> Result<Porter, DoorError> {
        let socket = context.socket(zmq::REP)?;
        socket.set_linger(0)?;
        socket.set_rcvtimeo(LOOK_MS)?;
        socket.bind(ZAP_ENDPOINT)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (ended, mut door) = (Arc::clone(&stop), self.clone());
        let answer = move || {
            while !ended.load(Ordering::Relaxed) {
                if let Ok(request) = socket.recv_multipart(0) {
                    // Whoever asked has gone if it fails.
                    socket.send_multipart(curve::answer(&request, door.allowed()), 0).ok();
                }
            }
        };
        let thread = spawn("zap".to_owned(), Arc::clone(&stop), answer)?;
        Ok(Porter { stop, thread: Some(thread) })
    }
}

/// The thread that answers.
#[derive(Debug)]
pub struct Porter {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Porter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use tickline_feeds::socket::{KERNEL_BUFFER_BYTES, publisher, subscriber};

    use super::*;

    /// Whether a subscriber with these keys gets through to a publisher that lets in `listed` only.
    fn comes_in(listed: &KeyPair, own: Option<&KeyPair>, server: Option<&KeyPair>) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyPair::generate().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("secret"), keys.expose_secret()).unwrap();
        std::fs::write(path("list"), format!("# who\n\n{}\n", listed.public)).unwrap();
        let door = Door::read(&path("secret"), &path("list")).unwrap();
        let context = zmq::Context::new();
        let _porter = door.open(&context).unwrap();
        let publisher = publisher(&context, 10, 0).unwrap();
        door.guard(&publisher).unwrap();
        publisher.bind("tcp://127.0.0.1:*").unwrap();
        // The subscriber is another process: it has a context of its own.
        let other = zmq::Context::new();
        let subscriber = subscriber(&other, 10, KERNEL_BUFFER_BYTES).unwrap();
        if let Some(own) = own {
            own.connect_to(&subscriber, &server.unwrap_or(&keys).public).unwrap();
        }
        subscriber.set_subscribe(b"t").unwrap();
        subscriber.monitor("inproc://seen", i32::from(u16::MAX)).unwrap();
        let monitor = other.socket(zmq::PAIR).unwrap();
        monitor.connect("inproc://seen").unwrap();
        subscriber.connect(&publisher.get_last_endpoint().unwrap().unwrap()).unwrap();
        loop {
            let event = monitor.recv_multipart(0).unwrap();
            match zmq::SocketEvent::from_raw(u16::from_le_bytes([event[0][0], event[0][1]])) {
                zmq::SocketEvent::HANDSHAKE_SUCCEEDED => break,
                zmq::SocketEvent::DISCONNECTED
                | zmq::SocketEvent::HANDSHAKE_FAILED_AUTH
                | zmq::SocketEvent::HANDSHAKE_FAILED_PROTOCOL
                | zmq::SocketEvent::HANDSHAKE_FAILED_NO_DETAIL => return false,
                _ => {}
            }
        }
        publisher.set_rcvtimeo(10_000).unwrap();
        publisher.recv_bytes(0).unwrap() == b"\x01t"
    }

    #[test]
    fn only_a_listed_key_that_knows_ours_comes_in_and_nobody_in_plain_text() {
        let (listed, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        assert!(comes_in(&listed, Some(&listed), None));
        assert!(!comes_in(&listed, Some(&other), None), "not on the list");
        assert!(!comes_in(&listed, Some(&listed), Some(&other)), "takes us for someone else");
        assert!(!comes_in(&listed, None, None), "in plain text");
    }

    #[test]
    fn a_key_that_is_added_to_the_list_comes_in_from_then_on_and_a_broken_list_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (secret, list) = (dir.path().join("secret"), dir.path().join("list"));
        let [one, two] = [0, 1].map(|_| KeyPair::generate().unwrap());
        std::fs::write(&secret, KeyPair::generate().unwrap().expose_secret()).unwrap();
        std::fs::write(&list, &one.public).unwrap();
        let mut door = Door::read(&secret, &list).unwrap();
        assert_eq!(door.allowed(), std::slice::from_ref(&one.public));
        std::fs::write(&list, format!("{}\n{}\n", one.public, two.public)).unwrap();
        assert_eq!(door.allowed(), [one.public.clone(), two.public.clone()]);
        for broken in ["", "short\n"] {
            std::fs::write(&list, broken).unwrap();
            assert_eq!(door.allowed().len(), 2, "{broken:?}");
        }
    }

    #[test]
    fn a_list_without_keys_or_with_something_else_opens_no_door() {
        let dir = tempfile::tempdir().unwrap();
        let (secret, list) = (dir.path().join("secret"), dir.path().join("list"));
        std::fs::write(&secret, KeyPair::generate().unwrap().expose_secret()).unwrap();
        for (text, rule) in [("# nobody\n", "at least one public key"), ("short\n", "40 characters")] {
            std::fs::write(&list, text).unwrap();
            let error = Door::read(&secret, &list).unwrap_err().to_string();
            assert!(error.contains(rule) && error.starts_with(&list.display().to_string()), "{error}");
        }
    }
}
