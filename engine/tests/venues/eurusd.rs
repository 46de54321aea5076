//! Synthetic EUR/USD behind a venue: one process reads Kraken, makes rates of its quotes and books, and lets books through
//! when a rate is crossed.

use tickline_feeds::payload::PayloadWriter;
use tickline_feeds::socket::fan_out;
use tickline_feeds::transcode::transcode;
use tickline_loadgen::venue::kraken::{KrakenVenue, start};
use tickline_loadgen::venue::{Feed, Pace};

use crate::bus::{Bus, Heard};

#[test]
fn rates_are_made_of_the_quotes_of_the_same_process() {
    let symbols = ["BTC/USD", "BTC/EUR", "ETH/USD", "ETH/EUR"];
    let feed = Feed { pace: Pace::Rate(200.0), ..Feed::default() };
    let venue =
        start(KrakenVenue { feed, symbols: symbols.map(str::to_owned).to_vec(), ..KrakenVenue::default() })
            .unwrap();
    let (url, rest) = (&venue.stream, &venue.rest);
    let folder = tempfile::tempdir().unwrap();
    let bus = format!("ipc://{}", folder.path().join("quotes").display());
    let toml = format!(
        "[publishers.kraken_tick]\nurl = {url:?}\nrest_url = {rest:?}\nsymbols = {symbols:?}\nendpoint = {bus:?}\n\
         [publishers.kraken_eurusd_tick]\nfrom = {bus:?}\nwindow = [\"0.1\", \"10\"]\n"
    );
    let mut bus = Bus::start_as_written(&toml);
    bus.until("a hundred rates", |heard| {
        heard.iter().filter(|h| h.topic == "kr_eurusd_tick" && h.is_data()).count() > 100
    });
    let rates: Vec<_> = bus.data("kr_eurusd_tick").collect();
    for rate in &rates {
        let number = |key: &str| rate[key].as_str().unwrap().parse::<f64>().unwrap();
        assert!((number("spread") - (number("ask_t1") - number("bid_t1"))).abs() < 1e-9, "{rate}");
        assert!((number("spread_t_bid") - (number("ask_t0") - number("bid_t1"))).abs() < 1e-9, "{rate}");
        assert!((number("spread_t_ask") - (number("ask_t1") - number("bid_t0"))).abs() < 1e-9, "{rate}");
    }
    for pair in rates.windows(2) {
        assert_eq!(pair[0]["instrument_t1"], pair[1]["instrument_t0"], "each stands beside the one before");
        assert_eq!(pair[0]["bid_t1"], pair[1]["bid_t0"]);
    }
}

/// What the venue quotes in both currencies, and with it the rate of `coin`.
fn quote(quotes: &zmq::Socket, coin: &str, [usd_bid, usd_ask]: [&str; 2], [eur_bid, eur_ask]: [&str; 2]) {
    for (currency, bid, ask) in [("USD", usd_bid, usd_ask), ("EUR", eur_bid, eur_ask)] {
        let json =
            format!(r#"{{"symbol":"{coin}/{currency}","bid":{bid},"bid_qty":1,"ask":{ask},"ask_qty":1}}"#);
        let mut payload = PayloadWriter::default();
        transcode(&json, &[], &mut payload).unwrap();
        quotes.send_multipart([b"kraken_tick".as_slice(), payload.bytes()], 0).unwrap();
    }
}

#[test]
fn books_are_published_only_when_a_spread_is_negative_and_the_euro_leg_with_each() {
    let coins = ["BTC", "ETH", "XRP", "LTC"];
    let symbols: Vec<String> =
        coins.iter().flat_map(|coin| ["USD", "EUR"].map(|currency| format!("{coin}/{currency}"))).collect();
    let feed = Feed { pace: Pace::Rate(200.0), ..Feed::default() };
    let venue = start(KrakenVenue { feed, symbols: symbols.clone(), ..KrakenVenue::default() }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [ticks, rates] =
        ["ticks", "rates"].map(|name| format!("ipc://{}", folder.path().join(name).display()));
    let context = zmq::Context::new();
    let quotes = fan_out(&context, 100_000, 0).unwrap();
    quotes.bind(&ticks).unwrap();
    let (url, rest) = (&venue.stream, &venue.rest);
    let toml = format!(
        "[publishers.kraken_eurusd_tick]\nfrom = {ticks:?}\nendpoint = {rates:?}\n\
         [publishers.kraken_depth]\nurl = {url:?}\nrest_url = {rest:?}\nsymbols = {symbols:?}\n\
         mode = \"conditional\"\nfollow = {rates:?}\n"
    );
    let mut bus = Bus::start_as_written(&toml);
    let is_book = |heard: &Heard| heard.topic == "kr_depth" && heard.is_data();
    bus.until("every book has begun", |heard| {
        heard.iter().any(|heard| heard.topic == "kr_depth" && heard.event() == Some("up"))
    });
    bus.until_now("books that change", |group| {
        let views = group.views().into_iter().map(|view| view.report());
        views.filter_map(|(_, report)| report.counts.get("book_updates").copied()).sum::<u64>() > 100
    });
    assert_eq!(bus.data("kr_depth").count(), 0, "nothing has crossed");
    // LTC's rate jumps until its books come: everyone hears everyone from then on.
    bus.until("the first books", |heard| {
        quote(&quotes, "LTC", ["13.0", "13.1"], ["10.0", "10.1"]);
        quote(&quotes, "LTC", ["11.0", "11.1"], ["10.0", "10.1"]);
        heard.iter().any(is_book)
    });
    // 1.08911 and 1.11: beside it BTC's and ETH's rates cross nothing, XRP's the one before, and BTC's that of XRP.
    for coin in ["BTC", "ETH", "BTC", "ETH"] {
        quote(&quotes, coin, ["11.0", "11.1"], ["10.0", "10.1"]);
    }
    quote(&quotes, "XRP", ["1.2", "1.201"], ["1.0", "1.001"]);
    quote(&quotes, "BTC", ["11.0", "11.1"], ["10.0", "10.1"]);
    bus.until("the legs of two crossings", |heard| {
        heard.iter().filter(|heard| is_book(heard) && !heard.text("symbol").starts_with("LTC")).count() >= 8
    });
    let books = bus.data("kr_depth").map(|book| book["symbol"].as_str().unwrap());
    let books: Vec<&str> = books.filter(|symbol| !symbol.starts_with("LTC")).collect();
    let first = ["ETH/USD", "ETH/EUR", "XRP/USD", "XRP/EUR"];
    assert_eq!(books, [first, ["XRP/USD", "XRP/EUR", "BTC/USD", "BTC/EUR"]].concat());
}
