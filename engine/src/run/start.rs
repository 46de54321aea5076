//! Starting a run: queues, then sockets and sinks (whose own threads must not inherit a pin), then our threads,
//! from the sinks back to the sockets, so that no stage ever speaks to one that is not there.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crossbeam_channel::{Sender, bounded, unbounded};
use tickline_config::model::{Config, Encode, Receive, SinkKind};
use tickline_feeds::clock::Clock;
use tickline_feeds::decoder::{Decoder, DecoderSpec};
use tickline_feeds::instruments::Instruments;

use super::sinks::{self, SPOOLER_BATCHES, SinkQueues};
use super::{Captures, ReceiverHandle, Run, Setup, Source, StartError};
use crate::channel::{FrameLimits, FrameQueue, FrameSender};
use crate::health::min_free_bytes;
use crate::plan::{FeedPlan, Plan, ReceiverPlan, ThreadPlan};
use crate::quarantine::SUSPECTS_MAX;
use crate::queue::BatchPool;
use crate::rejects::Rejects;
use crate::spawn::spawn;
use crate::stage::batcher::BatchLimits;
use crate::stage::encode::{Encoder, EncoderSpec, NewFeed, run_ordinal};
use crate::stage::multiplex::Multiplexed;
use crate::stage::receive::{Blocking, Order, Output, Receiving};
use crate::stage::replay::Replay;
use crate::stage::socket::Subscriber;
use crate::stage::write::{HoldLimits, Writer, WriterSpec};
use crate::state::Resume;
use crate::stats::{Cell, EncCell, RxCell, Stats, WrCell};
use crate::stop::Stop;
use crate::uptime::Uptime;
use crate::view::{FeedView, SinkView, View};

/// Empty batches kept beyond those that the queues can hold.
const BATCHES_SPARE: usize = 8;

pub(super) fn start(setup: Setup<'_>) -> Result<Run, StartError> {
    let (config, plan) = (setup.config, &setup.plan);
    let waiting = plan.sinks.iter().map(|sink| sink.sink.queue_batches_max + SPOOLER_BATCHES);
    let pool = BatchPool::new(waiting.sum::<usize>() + BATCHES_SPARE);
    let open = |sink| sinks::open(sink, &config.engine.state_dir, &pool, setup.source == Source::Sockets);
    let queues = plan.sinks.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    sinks::warn_of_orphans(&plan.sinks, &config.engine.state_dir);
    let resume = sinks::resume(&queues, &plan.endpoints, &setup.resume);
    let frame_queues: Vec<FrameQueue> =
        plan.encoders.iter().map(|_| FrameQueue::new(frame_limits(config))).collect();
    let view = view(&setup, &queues, &frame_queues);
    let mut run = Run {
        config: config.clone(),
        view: Arc::new(view),
        instruments: Arc::clone(&setup.instruments),
        context: (setup.source == Source::Sockets).then(zmq::Context::new),
        feeds: plan.feeds.clone(),
        active: Vec::new(),
        began: setup.clock.wall(),
        endpoints: plan.endpoints.iter().cloned().map(Some).collect(),
        up: plan.endpoints.iter().map(|_| Arc::default()).collect(),
        monitors: Vec::new(),
        receivers: Vec::new(),
        encoders: Vec::new(),
        tap: None,
        sinks: queues.iter().map(|queue| (queue.sender.clone(), queue.age_max_ns)).collect(),
        pool,
        suspects: bounded(SUSPECTS_MAX),
        threads: Vec::new(),
    };
    run.publish_names();
    let mut feeds = run.new_feeds(&setup, &resume)?;
    run.active = feeds.iter().map(|(_, feed)| Arc::clone(&feed.active)).collect();
    let (sockets, monitors) = run.open_sockets()?;
    run.monitors = monitors;
    let opened = run.start_threads(&setup, queues, frame_queues, &mut feeds, sockets);
    if opened.is_err() {
        run.view.stop.abort();
        run.finish();
    }
    opened.map(|()| run)
}

/// What may be read of the run: nothing yet but names.
fn view(setup: &Setup<'_>, queues: &[SinkQueues], frame_queues: &[FrameQueue]) -> View {
    let (config, plan) = (setup.config, &setup.plan);
    let view = View {
        command: setup.command,
        clock: Arc::clone(&setup.clock),
        started: setup.clock.mono(),
        disk: setup.rejects.map(|dir| (dir.to_owned(), min_free_bytes(config))),
        archives: config.archive.dir.is_some() && setup.source == Source::Sockets,
        stats: Arc::new(Stats::default()),
        stop: Arc::new(Stop::default()),
        feeds: Cell::default(),
        endpoints: Cell::default(),
        links: Cell::default(),
        publishers: Cell::default(),
        alerts: Cell::default(),
        told: Cell::default(),
        hangs: Cell::default(),
        uptime: Cell::default(),
        history: Cell::default(),
        canary: Cell::default(),
        surroundings: Cell::default(),
        rollups: Cell::default(),
        sinks: plan
            .sinks
            .iter()
            .zip(queues)
            .map(|(s, q)| SinkView {
                name: s.name.clone(),
                queue: q.fresh.clone(),
                accepted: Arc::clone(&q.accepted),
                spool_bytes_max: s.spooler.as_ref().map_or(0, |_| s.sink.spool.bytes_max),
            })
            .collect(),
        frame_queues: frame_queues.iter().map(FrameQueue::gauge).collect(),
        config: Cell::default(),
    };
    *view.config.lock() = setup.config_text.clone();
    *view.uptime.lock() = setup.rejects.map(Uptime::in_dir).unwrap_or_default();
    view
}

pub(super) fn decoder(
    config: &Config,
    feed: &FeedPlan,
    instruments: &Arc<Instruments>,
) -> Result<Decoder, StartError> {
    let spec = DecoderSpec { feed: feed.feed.clone(), legacy_tick: config.compat.legacy_tick };
    Decoder::new(&spec, Arc::clone(instruments))
        .map_err(|source| StartError::Decoder { feed: feed.name.clone(), source })
}

fn frame_limits(config: &Config) -> FrameLimits {
    FrameLimits {
        frames_max: config.engine.queue_frames_max,
        bytes_max: config.engine.queue_bytes_max,
        when_full: config.engine.when_full,
    }
}

fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Run {
    /// Shows the names of the feeds and endpoints as they are now.
    pub(super) fn publish_names(&self) {
        let active = |feed: &FeedPlan| self.config.feeds.get(&feed.name) == Some(&feed.feed);
        let last = |at: usize, name: &str| !self.feeds.iter().skip(at + 1).any(|later| later.name == name);
        let feeds = self.feeds.iter().enumerate();
        let views = feeds.map(|(at, f)| FeedView {
            name: f.name.clone(),
            active: active(f) && last(at, &f.name),
            endpoint: f.endpoint,
            sinks: f.sinks.clone(),
        });
        let views: Vec<FeedView> = views.collect();
        self.active.iter().zip(&views).for_each(|(active, view)| active.store(view.active, Relaxed));
        *self.view.feeds.lock() = views;
        *self.view.endpoints.lock() = self.endpoints.iter().map(|e| e.clone().unwrap_or_default()).collect();
    }

    fn new_feeds(&self, setup: &Setup<'_>, resume: &Resume) -> Result<Vec<(usize, NewFeed)>, StartError> {
        let new = |(plan, feed): (&FeedPlan, u16)| {
            let mut decoder = decoder(setup.config, plan, &setup.instruments)?;
            if let Some(points) = resume.get(&plan.name) {
                decoder.resume_sequences(points);
            }
            let up = self.up.get(plan.endpoint).cloned().unwrap_or_default();
            Ok((plan.encoder, NewFeed::new(feed, plan, decoder, None, up)))
        };
        self.feeds.iter().zip(0u16..).map(new).collect()
    }

    fn start_threads(
        &mut self,
        setup: &Setup<'_>,
        mut queues: Vec<SinkQueues>,
        frame_queues: Vec<FrameQueue>,
        feeds: &mut Vec<(usize, NewFeed)>,
        sockets: Vec<Subscriber>,
    ) -> Result<(), StartError> {
        self.start_writers(setup, &queues)?;
        for ((queues, plan), at) in queues.iter_mut().zip(&setup.plan.sinks).zip(0..) {
            self.start_spooler(at, plan, queues)?;
        }
        self.start_archive(setup)?;
        // Whoever waits for the writers sees them end only if no one else could speak for them.
        drop(queues);
        for ((thread, queue), at) in setup.plan.encoders.iter().zip(frame_queues).zip(0..) {
            let (encoder, new) = self.encoder(setup.source == Source::Sockets, true);
            give_feeds(feeds, at, &new);
            self.encoders.push((queue.clone(), new));
            self.spawn(thread, move || encoder.run(queue.receiver()))?;
        }
        match &setup.source {
            Source::Captures(captures) => self.start_replay(captures.clone(), feeds),
            Source::Sockets if self.config.engine.receive == Receive::Multiplexed => {
                self.start_multiplexed(&setup.plan, feeds, sockets)
            }
            Source::Sockets => {
                let started = setup.plan.receivers.iter().zip(sockets);
                started.into_iter().try_for_each(|(plan, socket)| self.start_blocking(plan, socket, feeds))
            }
        }
    }

    fn start_writers(&mut self, setup: &Setup<'_>, queues: &[SinkQueues]) -> Result<(), StartError> {
        let bytes_max = self.config.engine.rejects_bytes_max;
        let of = |dir| setup.plan.sinks.iter().map(move |sink| Rejects::new(dir, &sink.name, bytes_max));
        let rejects: Vec<Arc<Rejects>> = setup.rejects.into_iter().flat_map(of).map(Arc::new).collect();
        for plan in &setup.plan.writers {
            let Some((sink, queues)) = setup.plan.sinks.get(plan.sink).zip(queues.get(plan.sink)) else {
                continue;
            };
            let opened = (setup.open_sink)(sink).map_err(StartError::Sink)?;
            let cell = Arc::new(WrCell { sink: plan.sink, ..WrCell::default() });
            self.view.stats.wr.lock().push(Arc::clone(&cell));
            let (request_bytes_max, hold) = match &sink.sink.kind {
                SinkKind::Influx(influx) | SinkKind::Victoria(influx) | SinkKind::Quest(influx) => {
                    (influx.request_bytes_max, None)
                }
                SinkKind::Postgres(postgres) => (postgres.request_bytes_max, None),
                SinkKind::Parquet(parquet) => (
                    0,
                    Some(HoldLimits {
                        bytes_max: parquet.held_bytes_max,
                        age_max_ns: nanos(parquet.file_age_max),
                    }),
                ),
                SinkKind::File(_) | SinkKind::Null => (0, None),
            };
            let (name, finished) = (plan.thread.name.clone(), queues.finished.clone());
            let (fresh, backlog) = (queues.fresh.clone(), queues.backlog.clone());
            let rejects = rejects.get(plan.sink).cloned();
            let spec = WriterSpec { name, fresh, backlog, finished, request_bytes_max, hold, rejects, cell };
            let writer = Writer::new(spec, opened, self.clock(), Arc::clone(&self.view.stop));
            self.spawn(&plan.thread, move || writer.run())?;
        }
        Ok(())
    }

    fn encoder(&self, live: bool, own_thread: bool) -> (Encoder, Sender<NewFeed>) {
        let engine = &self.config.engine;
        let cell = Arc::new(EncCell::default());
        self.view.stats.enc.lock().push(Arc::clone(&cell));
        let (new, feeds) = unbounded();
        let limits = BatchLimits {
            linger_ns: nanos(engine.batch_linger),
            bytes_max: engine.batch_bytes_max,
            lines_max: engine.batch_lines_max as u64,
            age_max_ns: nanos(engine.batch_age_max),
        };
        let (queues, age_max_ns) = self.sinks.iter().cloned().unzip();
        let (pool, quarantine) = (self.pool.clone(), self.suspects.0.clone());
        let at = u16::try_from(self.view.stats.enc.lock().len()).unwrap_or(u16::MAX);
        let spec = EncoderSpec {
            queues,
            pool,
            limits,
            age_max_ns,
            quarantine,
            cell,
            feeds,
            live,
            own_thread,
            at,
            instance: engine.instance.as_str().into(),
            archive: Arc::clone(&self.view.stats.archive),
            run_ordinal: run_ordinal(self.began),
            // What is decoded again was told when it was received.
            ledger_every_ns: engine.ledger_every.filter(|_| live).map(nanos),
        };
        (Encoder::new(spec, self.clock(), Arc::clone(&self.view.stop)), new)
    }

    /// What is behind a receiver: the queues of all encoders, or an encoder of its own for `feeds`.
    fn receiving(
        &mut self,
        live: bool,
        feeds: &mut Vec<(usize, NewFeed)>,
    ) -> (Receiving, Option<Sender<NewFeed>>) {
        let at = self.view.stats.rx.lock().len();
        let rx = u16::try_from(at).unwrap_or(u16::MAX);
        let cell = Arc::new(RxCell::default());
        self.view.stats.rx.lock().push(Arc::clone(&cell));
        let (output, new) = if self.config.engine.encode == Encode::Inline {
            let (encoder, new) = self.encoder(live, false);
            give_feeds(feeds, at, &new);
            (Output::Inline(Box::new(encoder)), Some(new))
        } else {
            let senders: Vec<FrameSender> = self.encoders.iter().map(|(queue, _)| queue.sender(rx)).collect();
            (Output::Queues(senders), None)
        };
        let receiving = Receiving::new(output, self.clock(), Arc::clone(&self.view.stop), cell);
        (receiving.with_tap(self.tap.clone()), new)
    }

    /// Starts the thread of one endpoint.
    pub(super) fn start_blocking(
        &mut self,
        plan: &ReceiverPlan,
        socket: Subscriber,
        feeds: &mut Vec<(usize, NewFeed)>,
    ) -> Result<(), StartError> {
        let (receiving, new) = self.receiving(true, feeds);
        let (send, orders) = unbounded();
        let engine = &self.config.engine;
        let (rcvhwm, burst_max) = (engine.rcvhwm, engine.burst_max);
        let blocking = Blocking { receiving, socket, orders, rcvhwm, burst_max };
        let endpoints = plan.endpoints.clone();
        self.receivers.push(ReceiverHandle { orders: send, waker: None, endpoints, feeds: new });
        self.spawn(&plan.thread, move || blocking.run())
    }

    fn start_multiplexed(
        &mut self,
        plan: &Plan,
        feeds: &mut Vec<(usize, NewFeed)>,
        sockets: Vec<Subscriber>,
    ) -> Result<(), StartError> {
        let (receiving, new) = self.receiving(true, feeds);
        let (send, orders) = unbounded();
        for socket in sockets {
            // The receiving end is here: it cannot fail.
            send.send(Order::Open(Box::new(socket))).ok();
        }
        let (rcvhwm, burst_max) = (self.config.engine.rcvhwm, self.config.engine.burst_max);
        let (multiplexed, waker) = Multiplexed::new(receiving, orders, rcvhwm, burst_max)?;
        for receiver in &plan.receivers {
            let endpoints = receiver.endpoints.clone();
            let handle = ReceiverHandle {
                orders: send.clone(),
                waker: Some(Arc::clone(&waker)),
                endpoints,
                feeds: new.clone(),
            };
            self.receivers.push(handle);
        }
        let thread = plan.receivers.first().map(|receiver| receiver.thread.clone());
        thread.map_or(Ok(()), |thread| self.spawn(&thread, move || multiplexed.run()))
    }

    fn start_replay(
        &mut self,
        captures: Captures,
        feeds: &mut Vec<(usize, NewFeed)>,
    ) -> Result<(), StartError> {
        // One thread reads for all endpoints: an inline encoder serves every feed.
        feeds.iter_mut().filter(|_| self.config.engine.encode == Encode::Inline).for_each(|feed| feed.0 = 0);
        let routes = (0..self.endpoints.len()).flat_map(|at| self.routes(at)).collect();
        let (receiving, _) = self.receiving(false, feeds);
        let engine = &self.config.engine;
        let (message_bytes_max, burst_max) = (engine.message_bytes_max, engine.burst_max);
        let replay = Replay { receiving, captures, routes, message_bytes_max, burst_max };
        self.spawn(&ThreadPlan { name: "rx-replay".into(), core: None }, move || replay.run())
    }

    pub(super) fn spawn(
        &mut self,
        thread: &ThreadPlan,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<(), StartError> {
        self.threads.push(spawn(&thread.name, thread.core, &self.view.stop, body)?);
        Ok(())
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.view.clock)
    }
}

/// Gives an encoder its feeds, before it is started.
pub(super) fn give_feeds(feeds: &mut Vec<(usize, NewFeed)>, encoder: usize, to: &Sender<NewFeed>) {
    let (own, others) = std::mem::take(feeds).into_iter().partition(|(at, _)| *at == encoder);
    *feeds = others;
    let own: Vec<(usize, NewFeed)> = own;
    for (_, feed) in own {
        // The encoder holds the other end.
        to.send(feed).ok();
    }
}
