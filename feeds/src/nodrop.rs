//! The one libzmq option that the safe interface lacks: `ZMQ_XPUB_NODROP`. With it a publisher whose queue is
//! full gets `EAGAIN` instead of losing the message silently.
#![expect(unsafe_code, reason = "zmq 0.10 has no safe way to set ZMQ_XPUB_NODROP")]

use std::ffi::c_int;

/// Makes an XPUB or PUB socket refuse what it cannot queue instead of dropping it.
pub fn set_xpub_nodrop(socket: &mut zmq::Socket) -> Result<(), zmq::Error> {
    let on: c_int = 1;
    let (handle, value) = (socket.as_mut_ptr(), std::ptr::from_ref(&on).cast());
    // SAFETY: `handle` is a live socket because `socket` is borrowed for the whole call (zmq::Socket closes it
    // in its Drop only), and `value` points to a `c_int`, whose size is given.
    let rc = unsafe {
        zmq_sys::zmq_setsockopt(handle, zmq_sys::ZMQ_XPUB_NODROP as c_int, value, size_of::<c_int>())
    };
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
        set_xpub_nodrop(&mut publisher).unwrap();
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
