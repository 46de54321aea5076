//! The real venues, over the internet, with credentials from the environment. Off by default:
//! `cargo test -p tickline --features real-venues --test real_venues`. Kraken's public data need none; OANDA needs
//! OANDA_ACCOUNT and OANDA_TOKEN (practice), Betfair BETFAIR_APP_KEY and BETFAIR_SESSION; each says that it is left out
//! without them.

use std::sync::Arc;
use std::time::Duration;

use tickline::publish::Group;
use tickline_config::model::Config;
use tickline_feeds::clock::Clock;
use tickline_feeds::json::append_json;
use tickline_feeds::socket::{KERNEL_BUFFER_BYTES, subscriber};
use tickline_loadgen::clock::OsClock;

const LIMIT_S: u64 = 60;
const WAIT_MS: i32 = 100;

/// Listens to publishers until each of the topics has had so many messages with data.
fn hear(sets: &[String], topics: &[&str], messages: usize) {
    let env = |name: &str| std::env::var(name).ok();
    let config = Config::load(&[], sets, &env).unwrap_or_else(|error| panic!("{error}")).config;
    let clock: Arc<dyn Clock> = Arc::new(OsClock::start());
    let context = zmq::Context::new();
    let socket = subscriber(&context, 0, KERNEL_BUFFER_BYTES).unwrap();
    socket.set_subscribe(b"").unwrap();
    socket.set_rcvtimeo(WAIT_MS).unwrap();
    let group = Group::start(&config, &clock, Duration::from_secs(5), |_| true).unwrap();
    for view in group.views() {
        socket.connect(&view.endpoints[0]).unwrap();
    }
    let mut heard = vec![0; topics.len()];
    while heard.iter().any(|count| *count < messages) {
        let waited_s = clock.mono().0 / 1_000_000_000;
        assert!(waited_s < LIMIT_S, "{topics:?} had {heard:?} messages; {:?}", group.views());
        assert_eq!(group.failure(), None);
        let Ok(parts) = socket.recv_multipart(0) else { continue };
        let mut json = String::new();
        append_json(&parts[1], &mut json).unwrap();
        let topic = topics.iter().position(|topic| topic.as_bytes() == parts[0]);
        let is_data = ["\"_hb\"", "\"_event\"", "\"_end\""].iter().all(|key| !json.contains(key));
        if let Some(at) = topic.filter(|_| is_data) {
            heard[at] += 1;
        }
    }
}

#[test]
fn kraken_sends_quotes_and_books_whose_checksums_fit() {
    let free = |name: &str| format!("publishers.{name}.endpoint=\"tcp://127.0.0.1:*\"");
    hear(
        &[free("kraken_tick"), free("kraken_depth"), free("instruments")],
        &["kraken_tick", "kr_depth", "instruments"],
        20,
    );
}

#[test]
fn oanda_sends_prices() {
    let (Ok(account), true) = (std::env::var("OANDA_ACCOUNT"), std::env::var_os("OANDA_TOKEN").is_some())
    else {
        return println!("left out: OANDA_ACCOUNT and OANDA_TOKEN are not set");
    };
    let sets = [
        "publishers.oanda_tick.endpoint=\"tcp://127.0.0.1:*\"".to_owned(),
        format!("publishers.oanda_tick.account={account:?}"),
        "publishers.oanda_tick.token=\"env:OANDA_TOKEN\"".to_owned(),
    ];
    // One price an instrument at least, also while the market is closed.
    hear(&sets, &["oanda_tick"], 3);
}

#[test]
fn betfair_sends_markets_and_their_definitions() {
    if ["BETFAIR_APP_KEY", "BETFAIR_SESSION"].iter().any(|name| std::env::var_os(name).is_none()) {
        return println!("left out: BETFAIR_APP_KEY and BETFAIR_SESSION are not set");
    }
    let sets = [
        "endpoint=\"tcp://127.0.0.1:*\"",
        "app_key=\"env:BETFAIR_APP_KEY\"",
        "session=\"env:BETFAIR_SESSION\"",
    ];
    let sets = sets.map(|set| format!("publishers.betfair_stream.{set}"));
    hear(&sets, &["betfair_stream", "instruments"], 3);
}
