//! Reads `[publishers.NAME]`: the keys of every publisher, those of its venue, and its own.

mod betfair;

use std::path::PathBuf;
use std::time::Duration;

use crate::keys::publisher::{PUBLISHER, PUBLISHER_FORMS, form_of};
use crate::model::publisher::{
    Bars, Derived, EurUsd, Instruments, Kraken, KrakenDepth, KrakenOrders, KrakenTick, Oanda, OandaTick,
    Publisher, PublisherKind, QuotesFrom, SampledPrice, Sentiment, SentimentSource, Statistics,
};
use crate::reader::{Context, Reader};
use crate::registry;
use crate::secret::Secret;
use crate::tree::{Node, Table, Value};

/// Depths that Kraken knows.
const DEPTHS: [usize; 5] = [10, 25, 100, 500, 1_000];

const QUOTES_FROM: [(&str, QuotesFrom); 3] =
    [("ticker", QuotesFrom::Ticker), ("book", QuotesFrom::Book), ("rest", QuotesFrom::Rest)];

/// The kind of a publisher: its key, else its name.
pub(crate) fn kind_of<'a>(name: &'a str, table: &'a Table) -> &'a str {
    table.get("kind").and_then(Node::as_text).unwrap_or(name)
}

/// Puts in what follows from the name: the kind, and the registry's port.
pub(crate) fn complete(name: &str, node: &mut Node) {
    let place = node.place;
    let Value::Table(table) = &mut node.value else { return };
    let kind = kind_of(name, table).to_owned();
    if let Some(row) = registry::find(&kind) {
        let endpoint = Value::Text(format!("tcp://127.0.0.1:{}", row.port));
        table.entry("endpoint".to_owned()).or_insert(Node { place, value: endpoint });
    }
    table.entry("kind".to_owned()).or_insert(Node { place, value: Value::Text(kind) });
}

pub(crate) fn read_publisher(path: &str, node: &Node, context: &mut Context<'_>) -> Option<Publisher> {
    let form = node.as_table().and_then(|table| form_of(table.get("kind")?.as_text()?));
    let Some(form) = form else {
        // Without a kind it is not known which further keys are right.
        let known: Vec<_> = PUBLISHER_FORMS.iter().flat_map(|form| form.sections).copied().collect();
        let mut r = Reader::open(path, node, &known, context, &|_| None)?;
        r.special("kind", |_| None::<()>);
        return None;
    };
    let elsewhere = |name: &str| {
        let mut forms = PUBLISHER_FORMS.iter();
        let owner = forms.find(|f| f.sections.iter().flat_map(|s| s.keys).any(|k| k.name == name));
        owner.map(|owner| format!("belongs to kind {:?}, found kind {:?}", owner.kind, form.kind))
    };
    let mut r = Reader::open(path, node, form.sections, context, &elsewhere)?;
    debug_assert!(form.sections.iter().any(|section| section.name == PUBLISHER.name));
    let float64 = r.choice("decimals", &[("text", false), ("float64", true)]);
    let single = r.choice("framing", &[("multipart", false), ("single", true)]);
    let fail_when_refused = r.choice("on_refused", &[("fail", true), ("degrade", false)]);
    let endpoint = r.special("endpoint", crate::forward::bind).unwrap_or_default();
    let (bundle_max, sndhwm) = (r.number("bundle_max"), r.number("sndhwm"));
    let tls_ca = r.text("tls_ca").map(Into::into);
    let curve = curve(&mut r);
    let kind = match form.kind {
        "kraken_tick" => PublisherKind::KrakenTick(kraken(&mut r), kraken_tick(&mut r)),
        "kraken_depth" => PublisherKind::KrakenDepth(kraken(&mut r), kraken_depth(&mut r)),
        "kraken_trades" => PublisherKind::KrakenTrades(kraken(&mut r)),
        "oanda_tick" => PublisherKind::OandaTick(oanda(&mut r), oanda_tick(&mut r)),
        "oanda_orders" => PublisherKind::OandaOrders(oanda(&mut r)),
        "twitter_sentiment" => PublisherKind::Sentiment(sentiment(&mut r)),
        "instruments" => PublisherKind::Instruments(instruments(&mut r)),
        "betfair_stream" => PublisherKind::BetfairStream(betfair::account(&mut r), betfair::markets(&mut r)),
        "betfair_orders" => PublisherKind::BetfairOrders(betfair::account(&mut r)),
        "kraken_eurusd_tick" => PublisherKind::EurUsdTick(eur_usd(&mut r)),
        "kraken_eurusd_depth" => PublisherKind::EurUsdDepth(eur_usd(&mut r)),
        "statistics" => PublisherKind::Statistics(Statistics {
            derived: derived(&mut r, &endpoint),
            window: seconds(&mut r, "window"),
            every: r.duration("every"),
        }),
        "bars" => PublisherKind::Bars(Bars {
            derived: derived(&mut r, &endpoint),
            every: seconds(&mut r, "every"),
            late: r.duration("late"),
        }),
        "kraken_eurusd_basket" => PublisherKind::EurUsdBasket(eur_usd(&mut r)),
        _ => PublisherKind::KrakenOrders(KrakenOrders {
            url: r.web_socket("url").unwrap_or_default(),
            rest_url: r.url("rest_url").unwrap_or_default(),
            api_key: r.secret("api_key").unwrap_or_default(),
            api_secret: r.secret("api_secret").unwrap_or_default(),
        }),
    };
    Some(Publisher {
        endpoint,
        float64: float64?,
        single: single?,
        bundle_max,
        sndhwm,
        fail_when_refused: fail_when_refused?,
        tls_ca,
        curve,
        kind,
    })
}

/// Our key and the list of those whom we let in, which are there together or not at all.
fn curve(r: &mut Reader<'_, '_, '_>) -> Option<(Secret, PathBuf)> {
    match (r.has("curve_secret_key"), r.has("curve_allow")) {
        (true, false) => r.wrong("curve_allow", "must be set beside curve_secret_key, found nothing"),
        (false, true) => r.wrong("curve_secret_key", "must be set beside curve_allow, found nothing"),
        _ => {}
    }
    r.secret("curve_secret_key").zip(r.text("curve_allow").map(PathBuf::from))
}

fn kraken(r: &mut Reader<'_, '_, '_>) -> Kraken {
    let symbols = r.texts("symbols").unwrap_or_default();
    if symbols.is_empty() || symbols.iter().any(|symbol| symbol != "*" && !symbol.contains('/')) {
        let rule = "must be names such as \"BTC/USD\", at least one, or \"*\" for all";
        r.wrong("symbols", format!("{rule}, found {symbols:?}"));
    }
    Kraken {
        url: r.web_socket("url").unwrap_or_default(),
        rest_url: r.url("rest_url").unwrap_or_default(),
        rest_fallback: r.flag("rest_fallback"),
        symbols,
    }
}

fn kraken_tick(r: &mut Reader<'_, '_, '_>) -> KrakenTick {
    KrakenTick {
        quotes_from: r.choice("quotes_from", &QUOTES_FROM).unwrap_or(QuotesFrom::Ticker),
        on_trades: r.choice("event_trigger", &[("bbo", false), ("trades", true)]).unwrap_or(false),
        poll_every: r.duration("poll_every"),
    }
}

fn kraken_depth(r: &mut Reader<'_, '_, '_>) -> KrakenDepth {
    let (depth, levels) = (r.number("depth"), r.number("levels"));
    if !DEPTHS.contains(&depth) {
        r.wrong("depth", format!("must be 10, 25, 100, 500 or 1000, found {depth}"));
    }
    if levels > depth {
        r.wrong("levels", format!("must be at most depth, found {levels} and {depth}"));
    }
    let conditional = r.choice("mode", &[("all", false), ("conditional", true)]).unwrap_or(false);
    let follow = r.special("follow", crate::reader::endpoint);
    KrakenDepth { depth, levels, follow: follow.filter(|_| conditional) }
}

fn eur_usd(r: &mut Reader<'_, '_, '_>) -> EurUsd {
    let window = r.texts("window").unwrap_or_default();
    let number = |text: &String| text.parse::<f64>().ok().filter(|n| *n > 0.0 && n.is_finite());
    let fits = match window.as_slice() {
        [low, high] => number(low).zip(number(high)).is_some_and(|(low, high)| low < high),
        _ => false,
    };
    if !fits {
        r.wrong(
            "window",
            format!("must be a lower and a higher rate, such as [\"1\", \"2\"], found {window:?}"),
        );
    }
    EurUsd {
        from: r.special("from", crate::reader::endpoint).unwrap_or_default(),
        window: <[String; 2]>::try_from(window).unwrap_or_default(),
        coins: if r.has("coins") { r.texts("coins").unwrap_or_default() } else { Vec::new() },
        leg_age_max: r.duration("leg_age_max"),
    }
}

const PRICES: [(&str, SampledPrice); 4] = [
    ("mid", SampledPrice::Mid),
    ("bid", SampledPrice::Bid),
    ("ask", SampledPrice::Ask),
    ("last", SampledPrice::Last),
];

fn derived(r: &mut Reader<'_, '_, '_>, endpoint: &str) -> Derived {
    let from = r.special("from", crate::reader::endpoint).unwrap_or_default();
    if from == endpoint && !from.is_empty() {
        r.wrong("from", format!("must be where another publisher binds, found {from:?}, its own endpoint"));
    }
    Derived {
        from,
        from_topic: r.text("from_topic").unwrap_or_default(),
        topic: r.text("topic").unwrap_or_default(),
        price: r.choice("price", &PRICES).unwrap_or(SampledPrice::Mid),
    }
}

/// What payloads tell as a whole number of seconds.
fn seconds(r: &mut Reader<'_, '_, '_>, name: &str) -> Duration {
    let time = r.duration(name);
    if time.subsec_nanos() != 0 {
        r.wrong(name, format!("must be whole seconds, found {time:?}"));
    }
    time
}

fn oanda(r: &mut Reader<'_, '_, '_>) -> Oanda {
    let live = r.choice("environment", &ENVIRONMENTS).unwrap_or(false);
    Oanda {
        stream_url: r.url("stream_url").unwrap_or_else(|| oanda_host("stream", live)),
        rest_url: r.url("rest_url").unwrap_or_else(|| oanda_host("api", live)),
        account: r.text("account").unwrap_or_default(),
        token: r.secret("token").unwrap_or_default(),
    }
}

fn instruments(r: &mut Reader<'_, '_, '_>) -> Instruments {
    match (r.has("account"), r.has("token")) {
        (true, false) => r.wrong("token", "must be set beside account, found nothing"),
        (false, true) => r.wrong("account", "must be set beside token, found nothing"),
        _ => {}
    }
    let (kraken, kraken_url, stream) =
        (r.flag("kraken"), r.url("kraken_url"), r.web_socket("kraken_stream_url"));
    let live = r.choice("environment", &ENVIRONMENTS).unwrap_or(false);
    let rest_url = r.url("rest_url").unwrap_or_else(|| oanda_host("api", live));
    let stream_url = oanda_host("stream", live);
    let oanda = r.text("account").zip(r.secret("token"));
    let oanda = oanda.map(|(account, token)| Oanda { stream_url, rest_url, account, token });
    if !kraken && oanda.is_none() {
        r.wrong("kraken", "must be true unless account and token name an account at OANDA");
    }
    Instruments { kraken: kraken_url.zip(stream).filter(|_| kraken), oanda }
}

const ENVIRONMENTS: [(&str, bool); 2] = [("practice", false), ("live", true)];

/// Where OANDA has an environment.
fn oanda_host(front: &str, live: bool) -> String {
    format!("https://{front}-fx{}.oanda.com", if live { "trade" } else { "practice" })
}

fn oanda_tick(r: &mut Reader<'_, '_, '_>) -> OandaTick {
    let instruments = r.texts("instruments").unwrap_or_default();
    if instruments.is_empty() || instruments.iter().any(|name| !name.contains('_')) {
        r.wrong(
            "instruments",
            format!("must be names such as \"EUR_USD\", at least one, found {instruments:?}"),
        );
    }
    OandaTick { instruments, also: r.subset("also"), per_instrument: r.flag("per_instrument") }
}

fn sentiment(r: &mut Reader<'_, '_, '_>) -> Sentiment {
    let sources = [("x", 0), ("rss", 1), ("file", 2)];
    let (chosen, every) = (r.choice("source", &sources), r.duration("poll_every"));
    let needed = [("x", "token"), ("rss", "feeds"), ("file", "path")];
    for (at, (source, key)) in needed.into_iter().enumerate() {
        if chosen == Some(at) && !r.has(key) {
            r.wrong(key, format!("must be set with source {source:?}, found nothing"));
        }
    }
    let source = match chosen {
        Some(0) => SentimentSource::X { url: r.text("url"), token: r.secret("token").unwrap_or_default() },
        Some(1) => SentimentSource::Rss { feeds: r.texts("feeds").unwrap_or_default(), every },
        _ => SentimentSource::File { path: r.text("path").unwrap_or_default() },
    };
    let rules = r.names("rules").into_iter().map(|(topic, words)| {
        (topic, words.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect())
    });
    Sentiment { source, rules: rules.collect(), with_text: r.flag("with_text") }
}
