//! ZeroMQ sockets with the options that this project has settled on, for publishers and subscribers alike. It
//! promises that the load generator's publisher never drops a message silently and that a dead peer is noticed. It refuses to bind
//! or connect: the caller decides where and when.

use libsodium_sys as _; // linked in: libzmq's CURVE calls it

use crate::xpub::{set_nodrop, set_verboser};

/// Kernel buffer asked for on both sides; 4 MiB gave +50 % messages at the median over loopback.
pub const KERNEL_BUFFER_BYTES: i32 = 4 * 1024 * 1024;

/// Longest subscription that a forwarder takes: a longer one closes its connection.
const SUBSCRIPTION_BYTES_MAX: i64 = 64 * 1024;

/// Idle time after which TCP asks whether the peer still lives, s.
const KEEPALIVE_IDLE_S: i32 = 30;
/// Time between such questions, s.
const KEEPALIVE_INTERVAL_S: i32 = 10;
/// Unanswered questions that end the connection.
const KEEPALIVE_COUNT: i32 = 3;

/// An XPUB socket that refuses what it cannot queue, shows each subscription (also repeated ones), and at close
/// waits at most `linger_ms` for what is still queued. `sndhwm` is in messages a subscriber.
pub fn publisher(context: &zmq::Context, sndhwm: i32, linger_ms: i32) -> Result<zmq::Socket, zmq::Error> {
    let mut socket = fan_out(context, sndhwm, linger_ms)?;
    set_nodrop(&mut socket, true)?;
    Ok(socket)
}

/// An XPUB socket as live data needs it: a subscriber whose queue is full loses messages and no other waits for it.
pub fn fan_out(context: &zmq::Context, sndhwm: i32, linger_ms: i32) -> Result<zmq::Socket, zmq::Error> {
    let socket = context.socket(zmq::XPUB)?;
    socket.set_sndhwm(sndhwm)?;
    socket.set_sndbuf(KERNEL_BUFFER_BYTES)?;
    socket.set_linger(linger_ms)?;
    socket.set_xpub_verbose(true)?;
    set_keepalive(&socket)?;
    Ok(socket)
}

/// A SUB socket without subscriptions. `rcvhwm` is in messages.
pub fn subscriber(context: &zmq::Context, rcvhwm: i32, rcvbuf: i32) -> Result<zmq::Socket, zmq::Error> {
    let socket = context.socket(zmq::SUB)?;
    socket.set_rcvhwm(rcvhwm)?;
    // What it sends are subscriptions: beyond a mark, libzmq would drop some of them at each connection (libzmq#2258).
    socket.set_sndhwm(0)?;
    socket.set_rcvbuf(rcvbuf)?;
    socket.set_linger(0)?;
    set_keepalive(&socket)?;
    Ok(socket)
}

/// An XSUB socket without subscriptions, which takes publishers' messages for [`forward_out`]. `rcvhwm` is in messages.
pub fn forward_in(context: &zmq::Context, rcvhwm: i32, rcvbuf: i32) -> Result<zmq::Socket, zmq::Error> {
    let socket = context.socket(zmq::XSUB)?;
    socket.set_rcvhwm(rcvhwm)?;
    // As for a subscriber: no mark for what are subscriptions.
    socket.set_sndhwm(0)?;
    socket.set_rcvbuf(rcvbuf)?;
    socket.set_linger(0)?;
    set_keepalive(&socket)?;
    Ok(socket)
}

/// The other side of a forwarder: a [`publisher`] that shows every subscription and every end of one, so that both travel on,
/// and takes any number of them.
pub fn forward_out(context: &zmq::Context, sndhwm: i32, linger_ms: i32) -> Result<zmq::Socket, zmq::Error> {
    let mut socket = publisher(context, sndhwm, linger_ms)?;
    socket.set_rcvhwm(0)?;
    socket.set_maxmsgsize(SUBSCRIPTION_BYTES_MAX)?;
    set_verboser(&mut socket)?;
    Ok(socket)
}

/// A PUSH socket for one worker. `sndhwm` is in messages.
pub fn pusher(context: &zmq::Context, sndhwm: i32, linger_ms: i32) -> Result<zmq::Socket, zmq::Error> {
    let socket = context.socket(zmq::PUSH)?;
    socket.set_sndhwm(sndhwm)?;
    socket.set_sndbuf(KERNEL_BUFFER_BYTES)?;
    socket.set_linger(linger_ms)?;
    set_keepalive(&socket)?;
    Ok(socket)
}

/// A PULL socket, which takes its share of what a PUSH socket hands out. `rcvhwm` is in messages.
pub fn puller(context: &zmq::Context, rcvhwm: i32, rcvbuf: i32) -> Result<zmq::Socket, zmq::Error> {
    let socket = context.socket(zmq::PULL)?;
    socket.set_rcvhwm(rcvhwm)?;
    socket.set_rcvbuf(rcvbuf)?;
    socket.set_linger(0)?;
    set_keepalive(&socket)?;
    Ok(socket)
}

fn set_keepalive(socket: &zmq::Socket) -> Result<(), zmq::Error> {
    socket.set_tcp_keepalive(1)?;
    socket.set_tcp_keepalive_idle(KEEPALIVE_IDLE_S)?;
    socket.set_tcp_keepalive_intvl(KEEPALIVE_INTERVAL_S)?;
    socket.set_tcp_keepalive_cnt(KEEPALIVE_COUNT)
}

/// Whether this build of libzmq can encrypt (CURVE).
pub fn has_curve() -> bool {
    zmq::has("curve") == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encrypted_message_goes_from_publisher_to_subscriber() {
        assert!(has_curve(), "libzmq was built without CURVE: .cargo/config.toml is not in effect");
        let context = zmq::Context::new();
        let (server, client) = (zmq::CurveKeyPair::new().unwrap(), zmq::CurveKeyPair::new().unwrap());
        let publisher = publisher(&context, 10, 0).unwrap();
        publisher.set_curve_server(true).unwrap();
        publisher.set_curve_secretkey(&server.secret_key).unwrap();
        publisher.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = publisher.get_last_endpoint().unwrap().unwrap();
        let subscriber = subscriber(&context, 10, KERNEL_BUFFER_BYTES).unwrap();
        subscriber.set_curve_serverkey(&server.public_key).unwrap();
        subscriber.set_curve_publickey(&client.public_key).unwrap();
        subscriber.set_curve_secretkey(&client.secret_key).unwrap();
        subscriber.set_subscribe(b"kraken_tick").unwrap();
        subscriber.connect(&endpoint).unwrap();
        for socket in [&publisher, &subscriber] {
            socket.set_rcvtimeo(10_000).unwrap();
        }
        assert_eq!(publisher.recv_bytes(0).unwrap(), b"\x01kraken_tick");
        publisher.send_multipart([b"kraken_tick".as_slice(), b"sealed"], 0).unwrap();
        assert_eq!(subscriber.recv_multipart(0).unwrap(), [b"kraken_tick".to_vec(), b"sealed".to_vec()]);
    }
}
