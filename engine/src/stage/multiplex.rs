//! The receive stage on one thread for all endpoints: one poll over the descriptors of many sockets. A ZeroMQ
//! descriptor only says that something has happened, once: a socket that was not emptied stays on the ready
//! list and is visited again before the next poll.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::stage::receive::{Order, Receiving, drain_socket};
use crate::stage::socket::{BurstEnd, Subscriber};
use crate::stop::LOOK_EVERY;

const ORDERS: Token = Token(usize::MAX);

/// The thread of all endpoints.
#[derive(Debug)]
pub struct Multiplexed {
    receiving: Receiving,
    poll: Poll,
    sockets: Vec<Option<Subscriber>>,
    ready: Vec<usize>,
    orders: Receiver<Order>,
    rcvhwm: i32,
    burst_max: usize,
}

/// Wakes the thread when an order waits for it.
pub type OrderWaker = Arc<Waker>;

impl Multiplexed {
    /// A thread without endpoints; they come as orders.
    pub fn new(
        receiving: Receiving,
        orders: Receiver<Order>,
        rcvhwm: i32,
        burst_max: usize,
    ) -> std::io::Result<(Self, OrderWaker)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), ORDERS)?);
        let ready = Vec::new();
        Ok((Self { receiving, poll, sockets: Vec::new(), ready, orders, rcvhwm, burst_max }, waker))
    }

    /// The loop; ends when the run ends.
    pub fn run(mut self) {
        if let Err(error) = self.serve() {
            self.receiving.stop().fail(format!("receive: {error}"));
        }
        for socket in self.sockets.iter_mut().flatten() {
            drain_socket(&mut self.receiving, socket, self.rcvhwm, self.burst_max);
        }
        self.receiving.finish();
    }

    fn serve(&mut self) -> std::io::Result<()> {
        let mut events = Events::with_capacity(64);
        while self.receiving.stop().running() {
            self.take_orders()?;
            self.visit_ready()?;
            let wait = if self.ready.is_empty() { self.wait() } else { Duration::ZERO };
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in events.iter().filter(|event| event.token() != ORDERS) {
                if !self.ready.contains(&event.token().0) {
                    self.ready.push(event.token().0);
                }
            }
            if self.ready.is_empty() {
                // Nothing came: an inline encoder may have a batch to close.
                self.receiving.hand_over();
            }
            self.receiving.publish();
        }
        Ok(())
    }

    fn wait(&self) -> Duration {
        self.receiving.encoder_wait().unwrap_or(LOOK_EVERY).min(LOOK_EVERY)
    }

    /// One burst from each ready socket; those that have more stay on the list.
    fn visit_ready(&mut self) -> std::io::Result<()> {
        for at in std::mem::take(&mut self.ready) {
            let Some(Some(socket)) = self.sockets.get_mut(at) else { continue };
            if self.receiving.burst(socket, false)? == BurstEnd::More {
                self.ready.push(at);
            }
        }
        Ok(())
    }

    fn take_orders(&mut self) -> std::io::Result<()> {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Open(socket) => self.open(*socket)?,
                Order::Routes(at, routes) => {
                    let Some(slot) = self.sockets.get_mut(usize::from(at)) else { continue };
                    let Some(socket) = slot else { continue };
                    let closed = routes.is_empty();
                    socket.set_routes(routes)?;
                    if closed {
                        self.poll.registry().deregister(&mut SourceFd(&socket.fd()?))?;
                        *slot = None;
                    }
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, socket: Subscriber) -> std::io::Result<()> {
        let at = usize::from(socket.at());
        self.poll.registry().register(&mut SourceFd(&socket.fd()?), Token(at), Interest::READABLE)?;
        if self.sockets.len() <= at {
            self.sockets.resize_with(at + 1, || None);
        }
        self.sockets[at] = Some(socket);
        // What came before the registration raises no event.
        self.ready.push(at);
        Ok(())
    }
}
