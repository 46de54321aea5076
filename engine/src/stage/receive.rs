//! The receive stage, one blocking thread an endpoint: wait for one message, take what else is there, stamp the
//! burst, hand it over. It parses nothing. At the end of the run it takes what libzmq still holds.

use std::sync::Arc;

use crossbeam_channel::Receiver;
use tickline_feeds::clock::{Clock, MonoNanos};

use crate::channel::{Block, FrameSender};
use crate::stage::archive::Tap;
use crate::stage::encode::Encoder;
use crate::stage::socket::{BurstEnd, Subscriber, TopicRoute};
use crate::stats::{MergeTimer, RxCell, RxCounters, thread_cpu_ns};
use crate::stop::Stop;

/// Where a receiver's bursts go.
#[derive(Debug)]
pub enum Output {
    /// Into the queues of the encoders.
    Queues(Vec<FrameSender>),
    /// They are encoded at once, on this thread.
    Inline(Box<Encoder>),
}

/// An order to a receiver, when the configuration has changed.
#[derive(Debug)]
pub enum Order {
    /// Serve another endpoint.
    Open(Box<Subscriber>),
    /// Change the topics of an endpoint; without topics it is closed.
    Routes(u16, Vec<TopicRoute>),
}

/// What every receiver has, blocking or multiplexed.
#[derive(Debug)]
#[expect(clippy::vec_box, reason = "a block goes through the queue and comes back as the box it is")]
pub struct Receiving {
    output: Output,
    blocks: Vec<Box<Block>>,
    clock: Arc<dyn Clock>,
    stop: Arc<Stop>,
    cell: Arc<RxCell>,
    counters: RxCounters,
    cpu: MergeTimer,
    /// Copies bursts for the archive.
    tap: Option<Tap>,
}

impl Receiving {
    /// A receiver in front of `output`.
    pub fn new(output: Output, clock: Arc<dyn Clock>, stop: Arc<Stop>, cell: Arc<RxCell>) -> Self {
        let blocks = match &output {
            Output::Queues(queues) => queues.iter().map(FrameSender::take_empty).collect(),
            Output::Inline(_) => vec![Box::default()],
        };
        let counters = RxCounters::default();
        Self { output, blocks, clock, stop, cell, counters, cpu: MergeTimer::default(), tap: None }
    }

    /// The same, with an archive beside it.
    pub fn with_tap(self, tap: Option<Tap>) -> Self {
        Self { tap, ..self }
    }

    /// The run's end.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Takes one burst from a socket and hands it over.
    pub fn burst(&mut self, socket: &mut Subscriber, wait: bool) -> Result<BurstEnd, zmq::Error> {
        let end = socket.burst(wait, &mut self.blocks, &mut self.counters);
        let wall = self.clock.wall();
        for block in &mut self.blocks {
            block.frames.stamp(wall);
            if let Some(tap) = &mut self.tap {
                tap.copy(&block.frames, &self.stop);
            }
        }
        self.hand_over();
        end
    }

    /// The blocks to be filled, one a queue, by someone who is no socket.
    pub fn blocks(&mut self) -> (&mut [Box<Block>], &mut RxCounters) {
        (&mut self.blocks, &mut self.counters)
    }

    /// Hands over what has been taken, and sees to the time-driven work of an inline encoder.
    pub fn hand_over(&mut self) {
        match &mut self.output {
            Output::Queues(queues) => {
                for (queue, block) in queues.iter_mut().zip(&mut self.blocks) {
                    if !block.frames.is_empty() {
                        let full = std::mem::replace(block, queue.take_empty());
                        queue.send(full, &mut self.counters, &self.cell, &self.stop);
                    }
                }
            }
            Output::Inline(encoder) => {
                for block in &mut self.blocks {
                    block.each_feed(|feed, frames| self.counters.feed(feed).handed += frames);
                    self.counters.publish(&self.cell);
                    encoder.encode(block);
                    encoder.after_burst();
                    block.frames.clear();
                }
            }
        }
    }

    /// How long an inline encoder can be left alone; none: for ever.
    pub fn encoder_wait(&self) -> Option<std::time::Duration> {
        match &self.output {
            Output::Queues(_) => None,
            Output::Inline(encoder) => Some(encoder.wait()),
        }
    }

    /// Publishes the numbers that no burst has published, and the thread's CPU time.
    pub fn publish(&mut self) {
        self.counters.publish(&self.cell);
        let now: MonoNanos = self.clock.mono();
        if self.cpu.due(now) {
            *self.cell.cpu_ns.lock() = thread_cpu_ns();
        }
    }

    /// Announces the last drops and ends the inline encoder.
    pub fn finish(self) {
        match self.output {
            Output::Queues(queues) => queues.into_iter().for_each(|mut queue| queue.finish(&self.stop)),
            Output::Inline(encoder) => encoder.finish(),
        }
        self.counters.publish(&self.cell);
        *self.cell.cpu_ns.lock() = thread_cpu_ns();
    }
}

/// Takes what libzmq holds when the run ends: until the socket is empty, or as much as it can hold.
pub fn drain_socket(receiving: &mut Receiving, socket: &mut Subscriber, rcvhwm: i32, burst_max: usize) {
    let bursts = usize::try_from(rcvhwm).unwrap_or(0) / burst_max.max(1) + 1;
    for _ in 0..bursts {
        if receiving.stop().aborted() || receiving.burst(socket, false) != Ok(BurstEnd::More) {
            break;
        }
    }
}

/// A thread for one endpoint.
#[derive(Debug)]
pub struct Blocking {
    /// Where the bursts go.
    pub receiving: Receiving,
    /// The endpoint.
    pub socket: Subscriber,
    /// Changes of the topics.
    pub orders: Receiver<Order>,
    /// Most messages that libzmq may hold.
    pub rcvhwm: i32,
    /// Frames of a full burst.
    pub burst_max: usize,
}

impl Blocking {
    /// The loop; ends when the run ends or the endpoint has no topic left.
    pub fn run(mut self) {
        while self.receiving.stop().running() {
            while let Ok(order) = self.orders.try_recv() {
                if let Order::Routes(_, routes) = order {
                    let closed = routes.is_empty();
                    if let Err(error) = self.socket.set_routes(routes) {
                        self.receiving.stop().fail(format!("receive: changing topics failed, found {error}"));
                    }
                    if closed {
                        return self.receiving.finish();
                    }
                }
            }
            if let Err(error) = self.burst() {
                self.receiving.stop().fail(format!("receive: {error}"));
            }
            self.receiving.publish();
        }
        drain_socket(&mut self.receiving, &mut self.socket, self.rcvhwm, self.burst_max);
        self.receiving.finish();
    }

    /// One burst. An inline encoder with an open batch is not left alone for longer than it allows.
    fn burst(&mut self) -> Result<(), zmq::Error> {
        match self.receiving.encoder_wait() {
            None => self.receiving.burst(&mut self.socket, true)?,
            Some(wait) => {
                self.socket.wait(wait)?;
                self.receiving.burst(&mut self.socket, false)?
            }
        };
        Ok(())
    }
}
