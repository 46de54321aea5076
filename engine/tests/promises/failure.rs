//! Promise: a panic in a stage stops the whole run and is named; nothing goes on half.

use crate::rig::{Publisher, config, feed, keys, look, start, wait_until};
use tickline_sinks::sink::{Outcome, Request, Sink};

struct Panicking;

impl Sink for Panicking {
    fn write(&mut self, _: &Request) -> Outcome {
        panic!("planted");
    }
}

#[test]
fn a_panic_in_a_writer_ends_every_thread_and_is_named() {
    let context = zmq::Context::new();
    let mut publisher = Publisher::bind(&context, "alpha");
    let config = config(&[feed("alpha", &publisher.endpoint), keys(&["sinks.bad.kind=\"null\""])]);
    let mut run = start(&config, &|_| Ok(Box::new(Panicking)));
    publisher.wait_subscription(true);
    publisher.send(10);
    assert!(run.stop().wait(crate::rig::PATIENCE), "the panic aborts the run");
    assert_eq!(run.stop().failure().as_deref(), Some("wr-bad-0: panicked: planted"));
    run.finish();
    assert!(run.ended());
    assert_eq!(look(&run).ledger.written, 0);
}

#[test]
fn a_run_that_is_dropped_without_a_drain_ends_its_threads() {
    let context = zmq::Context::new();
    let mut publisher = Publisher::bind(&context, "alpha");
    let config = config(&[feed("alpha", &publisher.endpoint), keys(&["sinks.kept.kind=\"null\""])]);
    let run = start(&config, &|_| Ok(Box::new(crate::rig::Gated::open())));
    publisher.wait_subscription(true);
    publisher.send(10);
    wait_until(&run, "received", |report| report.ledger.received == 10);
    drop(run);
    publisher.wait_subscription(false);
}
