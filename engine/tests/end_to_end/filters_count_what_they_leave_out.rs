//! Promise: what a feed's filter leaves out is counted to the point, and sinks get the feeds that their globs fit.

use crate::forwarder::{kept, send_quote};
use crate::program::Engine;
use crate::publisher::Publisher;

#[test]
fn what_a_filter_leaves_out_is_counted_and_each_sink_gets_the_feeds_that_its_globs_fit() {
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut publishers = ["kraken_tick", "other"].map(|topic| Publisher::bind(&context, topic));
    let sets = [
        format!("feeds.kraken_tick.endpoint={:?}", publishers[0].endpoint),
        "feeds.kraken_tick.include=[\"*/USD\"]".to_owned(),
        "feeds.kraken_tick.exclude=[\"DOGE/*\"]".to_owned(),
        "feeds.kraken_tick.where=\"bid_qty >= 50\"".to_owned(),
        format!("feeds.other.endpoint={:?}", publishers[1].endpoint),
        "feeds.other.topic=\"other\"".to_owned(),
        "feeds.other.decoder=\"kraken_tick\"".to_owned(),
        "sinks.kept.kind=\"file\"".to_owned(),
        "sinks.kept.path=\"kept.lp\"".to_owned(),
        "sinks.kept.feeds=[\"kraken_*\"]".to_owned(),
        "sinks.all.kind=\"null\"".to_owned(),
    ];
    let engine = Engine::start(dir.path(), &sets);
    publishers.iter().for_each(Publisher::wait_subscriber);
    let pairs = ["BTC/USD", "BTC/EUR", "DOGE/USD", "ETH/USD"];
    let mut expected = Vec::new();
    for n in 0..1_000_u64 {
        let (pair, qty) = (pairs[n as usize % 4], n % 100);
        send_quote(&mut publishers[0], pair, qty);
        if matches!(pair, "BTC/USD" | "ETH/USD") && qty >= 50 {
            expected.push((pair.to_owned(), n + 1));
        }
    }
    (0..10).for_each(|_| send_quote(&mut publishers[1], "BTC/EUR", 0));
    engine.wait("everything", |report| report.ledger.received == 1_010 && report.ledger.in_flight == 0);
    let ended = engine.stop();
    ended.assert_clean();
    let made = expected.len() as u64;
    assert_eq!(kept(dir.path()), expected);
    let report = &ended.report;
    let quotes = &report.feeds["kraken_tick"].ledger;
    assert_eq!((quotes.candidates, quotes.points_made), (1_000, made));
    assert_eq!(quotes.suppressed["filtered"], 1_000 - made);
    assert_eq!(report.feeds["other"].ledger.suppressed.get("filtered"), None);
    assert_eq!((report.sinks["kept"].ledger.points, report.sinks["all"].ledger.points), (made, made + 10));
}
