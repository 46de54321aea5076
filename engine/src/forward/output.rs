//! The side of the subscribers. A subscriber that is behind loses messages and no one else does; libzmq would not tell, so
//! each message is first offered as one that must not be dropped, and where it would have been, that is counted.

use tickline_feeds::xpub::set_nodrop;
use zmq::{DONTWAIT, Error, SNDMORE};

/// An XPUB socket.
pub(super) struct Output {
    socket: zmq::Socket,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}

impl Output {
    pub(super) fn new(socket: zmq::Socket) -> Self {
        Self { socket }
    }

    pub(super) fn socket(&self) -> &zmq::Socket {
        &self.socket
    }

    /// Sends a message to everyone who has room for it. Returns whether a subscriber had none: from here on it misses
    /// messages, until it has read half of those that wait for it.
    pub(super) fn send<P: Into<zmq::Message>>(
        &mut self,
        first: &[u8],
        further: impl ExactSizeIterator<Item = P>,
    ) -> Result<bool, Error> {
        let mut left = further.len();
        let flags = |left: usize| if left > 0 { DONTWAIT | SNDMORE } else { DONTWAIT };
        // A part that is refused is gone: the first one, which is short, is sent as a copy.
        let full = match self.socket.send(first, flags(left)) {
            Ok(()) => false,
            Err(Error::EAGAIN) => {
                set_nodrop(&mut self.socket, false)?;
                self.socket.send(first, flags(left))?;
                true
            }
            Err(error) => return Err(error),
        };
        for part in further {
            left -= 1;
            self.socket.send(part, flags(left))?;
        }
        if full {
            set_nodrop(&mut self.socket, true)?;
        }
        Ok(full)
    }
}
