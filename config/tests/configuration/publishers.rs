//! Publishers: what a name alone means, and every form of error.

use std::time::Duration;

use tickline_config::model::publisher::{Bars, Derived, PublisherKind, QuotesFrom, SampledPrice, Statistics};

use crate::load;

#[test]
fn a_name_of_the_registry_is_a_publisher_with_its_port_and_defaults() {
    let config = load("[publishers.kraken_tick]\n", &[], &[]).unwrap().config;
    let publisher = &config.publishers["kraken_tick"];
    assert_eq!((publisher.endpoint.as_str(), publisher.sndhwm), ("tcp://127.0.0.1:5558", 100_000));
    let PublisherKind::KrakenTick(kraken, tick) = &publisher.kind else { panic!("{publisher:?}") };
    assert_eq!(
        (kraken.url.as_str(), tick.quotes_from, tick.on_trades),
        ("wss://ws.kraken.com/v2", QuotesFrom::Ticker, false)
    );
    let basket =
        "[publishers.kraken_eurusd_basket]\nendpoint = 'tcp://127.0.0.1:5571'\nwindow = ['1.1', '1.3']\n";
    let PublisherKind::EurUsdBasket(of) =
        load(basket, &[], &[]).unwrap().config.publishers["kraken_eurusd_basket"].kind.clone()
    else {
        panic!("it is another kind")
    };
    assert_eq!((of.from.as_str(), of.window), ("tcp://127.0.0.1:5560", ["1.1", "1.3"].map(str::to_owned)));
    let other = "[publishers.mine]\nkind = 'kraken_depth'\nendpoint = 'tcp://127.0.0.1:*'\n";
    assert_eq!(load(other, &[], &[]).unwrap().config.publishers["mine"].endpoint, "tcp://127.0.0.1:*");
}

#[test]
fn statistics_and_bars_have_defaults_for_all_but_their_endpoint() {
    let text = "[publishers.statistics]\nendpoint = 'tcp://127.0.0.1:5570'\n\
        [publishers.hours]\nkind = 'bars'\nendpoint = 'tcp://127.0.0.1:5571'\nfrom = 'tcp://127.0.0.1:5553'\n\
        from_topic = 'kraken_trades'\ntopic = 'hours'\nprice = 'last'\nevery = '1h'\nlate = '500ms'\n";
    let publishers = load(text, &[], &[]).unwrap().config.publishers;
    let derived = |from: &str, from_topic: &str, topic: &str, price| Derived {
        from: from.to_owned(),
        from_topic: from_topic.to_owned(),
        topic: topic.to_owned(),
        price,
    };
    let (minute, turn) = (Duration::from_secs(60), Duration::from_secs(10));
    let source = derived("tcp://127.0.0.1:5558", "kraken_tick", "statistics", SampledPrice::Mid);
    let statistics = Statistics { derived: source, window: minute, every: turn };
    assert_eq!(publishers["statistics"].kind, PublisherKind::Statistics(statistics));
    let source = derived("tcp://127.0.0.1:5553", "kraken_trades", "hours", SampledPrice::Last);
    let bars = Bars { derived: source, every: 60 * minute, late: Duration::from_millis(500) };
    assert_eq!(publishers["hours"].kind, PublisherKind::Bars(bars));
}

#[test]
fn what_is_wrong_with_statistics_and_bars_is_said_by_key_and_rule() {
    let cases = [
        ("statistics", "", "publishers.statistics.endpoint: must be tcp:"),
        ("bars", "", "publishers.bars.endpoint: must be tcp:"),
        ("statistics", "window = '1ms'", "publishers.statistics.window: must be 1s..=1d, found \"1ms\""),
        ("statistics", "window = 60", "publishers.statistics.window: must carry a unit"),
        ("statistics", "every = '2h'", "publishers.statistics.every: must be 1s..=1h, found \"2h\""),
        (
            "statistics",
            "late = '2s'",
            "publishers.statistics.late: belongs to kind \"bars\", found kind \"statistics\"",
        ),
        (
            "statistics",
            "window = '1500ms'",
            "publishers.statistics.window: must be whole seconds, found 1.5s",
        ),
        ("bars", "every = '1001ms'", "publishers.bars.every: must be whole seconds, found 1.001s"),
        ("bars", "window = '1m'", "publishers.bars.window: belongs to kind"),
        ("bars", "every = '2d'", "publishers.bars.every: must be 1s..=1d, found \"2d\""),
        ("bars", "late = '2m'", "publishers.bars.late: must be 0ms..=1m, found \"2m\""),
        ("bars", "price = 'middle'", "publishers.bars.price: must be \"mid\", \"bid\", \"ask\" or \"last\""),
        ("bars", "topic = ''", "publishers.bars.topic: must be"),
        ("bars", "from_topic = ''", "publishers.bars.from_topic: must be"),
        ("bars", "from = 'kraken'", "publishers.bars.from: must be"),
        (
            "bars",
            "from = 'tcp://127.0.0.1:5570'",
            "publishers.bars.from: must be where another publisher binds, found \"tcp://127.0.0.1:5570\", its own endpoint",
        ),
    ];
    for (name, line, want) in cases {
        let endpoint = if line.is_empty() { "" } else { "endpoint = 'tcp://127.0.0.1:5570'\n" };
        let error = load(&format!("[publishers.{name}]\n{endpoint}{line}\n"), &[], &[]).unwrap_err();
        let (_, rule) = error.split_once(": ").unwrap();
        assert!(rule.starts_with(want), "{error}");
    }
}

const WRONG: &[(&str, &str, &str)] = &[
    ("kraken_tik", "", "publishers.kraken_tik.kind: must be"),
    (
        "kraken_tick",
        "url = 'https://a'",
        "publishers.kraken_tick.url: must be wss://HOST or ws://HOST, port and path if there are any, found \"https://a\"",
    ),
    ("kraken_tick", "url = 'wss://user@a'", "publishers.kraken_tick.url: must not carry a login, found one"),
    (
        "kraken_tick",
        "endpoint = 'tcp://*'",
        "publishers.kraken_tick.endpoint: must be tcp://ADDRESS:PORT, tcp://*:PORT (PORT may be *, a free one) or ipc://PATH, found \"tcp://*\"",
    ),
    (
        "kraken_tick",
        "symbols = ['XBTUSD']",
        "publishers.kraken_tick.symbols: must be names such as \"BTC/USD\", at least one, or \"*\" for all",
    ),
    (
        "kraken_tick",
        "depth = 10",
        "publishers.kraken_tick.depth: belongs to kind \"kraken_depth\", found kind \"kraken_tick\"",
    ),
    ("kraken_tick", "quotes = 'book'", "publishers.kraken_tick.quotes: unknown key"),
    (
        "kraken_tick",
        "poll_every = '100ms'",
        "publishers.kraken_tick.poll_every: must be 1s..=1h, found \"100ms\"",
    ),
    (
        "kraken_depth",
        "depth = 27",
        "publishers.kraken_depth.depth: must be 10, 25, 100, 500 or 1000, found 27",
    ),
    ("kraken_depth", "levels = 25", "publishers.kraken_depth.levels: must be at most depth, found 25 and 10"),
    ("kraken_eurusd_basket", "", "publishers.kraken_eurusd_basket.endpoint: must be tcp:"),
    (
        "kraken_eurusd_basket",
        "endpoint = 'tcp://127.0.0.1:*'\nwindow = ['2', '1']",
        "publishers.kraken_eurusd_basket.window: must be a lower and a higher rate",
    ),
    (
        "kraken_tick",
        "curve_allow = '/x'",
        "publishers.kraken_tick.curve_secret_key: must be set beside curve_allow, found nothing",
    ),
    (
        "kraken_orders",
        "api_key = 'abc'\napi_secret = 'env:NONE'",
        "publishers.kraken_orders.api_key: must be \"env:NAME\" or \"file:PATH\", found the secret itself",
    ),
    (
        "betfair_orders",
        "app_key = 'env:K'",
        "publishers.betfair_orders.session: must be set, or username, password and tls_client instead, found nothing",
    ),
    (
        "betfair_orders",
        "app_key = 'env:K'\nsession = 'env:S'\nusername = 'me'",
        "publishers.betfair_orders.session: must be absent beside username, password and tls_client, found one",
    ),
    (
        "betfair_orders",
        "app_key = 'env:K'\nusername = 'me'\npassword = 'env:S'",
        "publishers.betfair_orders.tls_client: must be set: a login takes username, password and tls_client, found nothing",
    ),
    (
        "betfair_orders",
        "session = 'env:S'",
        "publishers.betfair_orders.app_key: must be \"env:NAME\" or \"file:PATH\", found nothing",
    ),
    (
        "betfair_stream",
        "app_key = 'env:K'\nsession = 'env:S'\naddress = 'stream-api.betfair.com'",
        "publishers.betfair_stream.address: must be HOST:PORT, found \"stream-api.betfair.com\"",
    ),
    (
        "betfair_stream",
        "app_key = 'env:K'\nsession = 'env:S'\nfields = ['EX_LTP']",
        "publishers.betfair_stream.fields: must hold \"EX_MARKET_DEF\", found [\"EX_LTP\"]",
    ),
    (
        "betfair_orders",
        "app_key = 'env:K'\nsession = 'env:S'\nladder_levels = 3",
        "publishers.betfair_orders.ladder_levels: belongs to kind \"betfair_stream\", found kind \"betfair_orders\"",
    ),
    (
        "betfair_stream",
        "app_key = 'env:K'\nsession = 'env:S'\nheartbeat = '10s'",
        "publishers.betfair_stream.heartbeat: must be 500ms..=5s, found \"10s\"",
    ),
];

#[test]
fn what_is_wrong_with_a_publisher_is_said_by_key_and_rule() {
    for (name, line, want) in WRONG {
        let error = load(&format!("[publishers.{name}]\n{line}\n"), &[], &[("K", "key"), ("S", "session")])
            .unwrap_err();
        let (_, rule) = error.split_once(": ").unwrap();
        assert!(rule.starts_with(want), "{error}");
    }
}

#[test]
fn two_publishers_cannot_bind_one_endpoint() {
    let text = "[publishers.kraken_tick]\n[publishers.kraken_depth]\nendpoint = 'tcp://127.0.0.1:5558'\n";
    let error = load(text, &[], &[]).unwrap_err();
    let rule = "publishers.kraken_depth.endpoint and publishers.kraken_tick.endpoint must differ, found \"tcp://127.0.0.1:5558\" in both";
    assert!(error.contains(rule), "{error}");
}

#[test]
fn a_publisher_s_secrets_are_shown_by_where_they_stand() {
    let text = "[publishers.kraken_orders]\napi_key = 'env:K'\napi_secret = 'env:S'\n";
    let loaded = load(text, &[], &[("K", "key"), ("S", "c2VjcmV0")]).unwrap();
    assert!(loaded.effective.contains("api_secret = \"env:S\"") && !loaded.effective.contains("c2VjcmV0"));
}
