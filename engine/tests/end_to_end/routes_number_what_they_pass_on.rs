//! Promise: a route's topic has what the route wants and nothing else, under numbers of its own: what it leaves out is no loss
//! there, and what was lost before it is told.

use crate::forwarder::{Forward, kept, quotes, send_heartbeat, send_quote, wait_end};
use crate::program::{Engine, wait_for};
use crate::publisher::Publisher;

const ROUTE: &str = "[routes.big]\ntopics = ['kraken_*']\ninclude = ['BTC/*']\nexclude = ['*/EUR']\n\
                     where = 'bid_qty > 10'\nto = 'big'\n";

#[test]
fn a_routes_topic_has_what_it_wants_without_loss_and_tells_what_was_lost_before_it() {
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut publisher = Publisher::bind(&context, "kraken_tick");
    std::fs::write(dir.path().join("routes.toml"), ROUTE).unwrap();
    let args = ["-c", "routes.toml", "--from", &publisher.endpoint, "--out", "tcp://127.0.0.1:*"];
    let mut forward = Forward::start(dir.path(), &args);
    let output = forward.output();
    publisher.wait_subscription("kraken_");
    let [all_dir, big_dir] = ["all", "big"].map(|name| dir.path().join(name));
    [&all_dir, &big_dir].into_iter().for_each(|dir| std::fs::create_dir(dir).unwrap());
    let all = Engine::start(&all_dir, &quotes("kraken_tick", &output));
    publisher.wait_subscriber();
    let big = Engine::start(&big_dir, &quotes("big", &output));
    publisher.wait_subscription("big");
    let pairs = ["BTC/USD", "BTC/EUR", "ETH/USD"];
    let mut expected = Vec::new();
    let mut send = |publisher: &mut Publisher, count: u64| {
        for n in 0..count {
            let (pair, qty) = (pairs[n as usize % 3], n % 21);
            send_quote(publisher, pair, qty);
            if pair == "BTC/USD" && qty > 10 {
                expected.push((pair.to_owned(), publisher.seq));
            }
        }
    };
    send(&mut publisher, 630);
    // These the forwarder never gets.
    publisher.seq += 5;
    send(&mut publisher, 630);
    all.wait("everything", |report| report.ledger.received == 1_260);
    // Nothing more is wanted of what comes: a heartbeat says that the route lives. The first control frame is the event.
    wait_for("a heartbeat", || {
        send_heartbeat(&mut publisher);
        (big.wait("a look", |_| true).ledger.control >= 2).then_some(())
    });
    let wanted = expected.len() as u64;
    big.wait("what the route wants", |report| report.feeds["big"].ledger.points_made == wanted);
    let report = forward.stop();
    let route = &report["routes"]["big"];
    let counts = ["looked_at", "passed", "filtered", "events"].map(|key| route[key].as_u64().unwrap());
    assert_eq!(counts, [1_260, wanted, 1_260 - wanted, 0]);
    let upstream =
        ["published", "sequenced", "duplicate", "lost"].map(|key| report["upstream"][key].as_u64().unwrap());
    assert_eq!(upstream, [1_265, 1_260, 0, 5]);

    let ended = all.stop();
    ended.assert_exit(0);
    assert_eq!(ended.report.ledger.lost_before_receive, Some(5));
    assert_eq!(kept(&all_dir).len(), 1_260);
    // The event that tells of the hole and the end of the forwarder.
    wait_end(&big);
    let ended = big.stop();
    ended.assert_clean();
    assert_eq!(ended.report.ledger.published, Some(wanted + 1), "the event has a number, too");
    assert_eq!(kept(&big_dir), expected);
    let lines = std::fs::read_to_string(big_dir.join("kept.lp")).unwrap();
    let hole = lines.lines().find(|line| line.starts_with("feed_gap,")).expect("a row about it");
    assert!(hole.contains("cause=venue") && hole.contains("numbers 631 to 635"), "{hole}");
    assert!(!hole.contains("lost="), "how many of them it would have wanted is not known: {hole}");
}
