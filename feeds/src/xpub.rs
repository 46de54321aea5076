//! The libzmq options of an XPUB socket that the safe interface lacks: `ZMQ_XPUB_NODROP`, with which a publisher whose queue
//! is full gets `EAGAIN` instead of losing the message silently, and `ZMQ_XPUB_VERBOSER`.
#![expect(unsafe_code, reason = "zmq 0.10 has no safe way to set these options")]

use std::ffi::c_int;

/// Whether an XPUB or PUB socket refuses what it cannot queue, or drops it for the subscribers that are behind.
pub fn set_nodrop(socket: &mut zmq::Socket, on: bool) -> Result<(), zmq::Error> {
    set(socket, zmq_sys::ZMQ_XPUB_NODROP, on)
}

/// Makes an XPUB socket show each subscription and each end of one, also repeated ones.
pub fn set_verboser(socket: &mut zmq::Socket) -> Result<(), zmq::Error> {
    set(socket, zmq_sys::ZMQ_XPUB_VERBOSER, true)
}

fn set(socket: &mut zmq::Socket, option: u32, on: bool) -> Result<(), zmq::Error> {
    let on = c_int::from(on);
    let (handle, value) = (socket.as_mut_ptr(), std::ptr::from_ref(&on).cast());
    // SAFETY: `handle` is a live socket because `socket` is borrowed for the whole call (zmq::Socket closes it
    // in its Drop only), and `value` points to a `c_int`, whose size is given.
    let rc = unsafe { zmq_sys::zmq_setsockopt(handle, option as c_int, value, size_of::<c_int>()) };
    if rc == 0 { Ok(()) } else { Err(zmq::Error::EINVAL) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_publisher_says_so_instead_of_dropping() {
        let context = zmq::Context::new();
        let mut publisher = context.socket(zmq::XPUB).unwrap();
        publisher.set_sndhwm(5).unwrap();
        set_nodrop(&mut publisher, true).unwrap();
        publisher.bind("inproc://nodrop").unwrap();
        let subscriber = context.socket(zmq::SUB).unwrap();
        subscriber.set_rcvhwm(5).unwrap();
        subscriber.set_subscribe(b"").unwrap();
        subscriber.connect("inproc://nodrop").unwrap();
        assert_eq!(publisher.recv_bytes(0).unwrap(), [1]);
        let accepted = (0..1_000).take_while(|_| publisher.send("x", zmq::DONTWAIT).is_ok()).count();
        assert!((5..=20).contains(&accepted), "{accepted}");
        let received = (0..accepted).filter(|_| subscriber.recv_bytes(0).is_ok()).count();
        assert_eq!(received, accepted);
        assert_eq!(subscriber.recv_bytes(zmq::DONTWAIT), Err(zmq::Error::EAGAIN));
    }
}
