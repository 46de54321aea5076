//! Synthetic rates and baskets of recorded books, held against a plain oracle in fractions and a golden file. There is no
//! recording of both legs of two coins: the dollar legs are what Kraken said of BTC/USD and XRP/USD, the second moved to
//! the first one's begin, and **the euro legs are made**, by dividing recorded prices by a seeded walk of the rate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tickline_feeds::connect::kraken::{Amount, Depth, DepthSettings, Mode};
use tickline_feeds::connect::{Connector, Event, Link};
use tickline_feeds::derive::{Basket, LegsSettings, Synthetic};

use crate::recording::recording;
use crate::rig::{Rig, SECOND_NS, packed};

const FILES: [&str; 2] =
    ["ws_v2_book_btcusd_d25_20260802.cbcap.gz", "ws_v2_book_xrpusd_d25_20260802.cbcap.gz"];

const LEG_AGE_MAX_NS: u64 = SECOND_NS / 2;

/// A book of one level: symbol, time, and prices and quantities as they are written.
#[derive(Clone)]
struct Quote {
    after_ns: u64,
    symbol: String,
    timestamp: String,
    /// Bid, its quantity, ask, its quantity.
    texts: [String; 4],
}

/// The walk of the rate: units of 10^-5 from 1.16000 on, each step at most three of them (SplitMix64, seed 7).
struct Walk {
    state: u64,
    rate: i128,
}

impl Walk {
    fn next(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % below
    }

    /// Price in euros of a price in dollars, six places.
    fn euros(&self, dollars: &str) -> String {
        let (price, places) = decimal(dollars);
        written(rounded(price * 10_i128.pow(11), 10_i128.pow(places) * self.rate), 6)
    }
}

/// A decimal as a whole number and its places.
fn decimal(text: &str) -> (i128, u32) {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    (format!("{whole}{fraction}").parse().unwrap(), fraction.len() as u32)
}

/// `over / under`, none of them negative, half up.
fn rounded(over: i128, under: i128) -> i128 {
    (2 * over + under) / (2 * under)
}

fn written(units: i128, places: usize) -> String {
    let (sign, digits) = (if units < 0 { "-" } else { "" }, format!("{:0>1$}", units.abs(), places + 1));
    let (whole, fraction) = digits.split_at(digits.len() - places);
    format!("{sign}{whole}.{fraction}")
}

/// The recorded books, merged by time and read by the connector, and euro legs beside about half of them.
fn quotes() -> Option<Vec<Quote>> {
    let mut frames = Vec::new();
    for name in FILES {
        let recorded = recording(name)?;
        let begin = recorded[0].0;
        frames.extend(recorded.into_iter().map(|(time, frame)| (time - begin, frame)));
    }
    frames.sort_by_key(|(time, _)| *time);
    let settings = DepthSettings {
        url: "ws://venue".to_owned(),
        rest_url: String::new(),
        symbols: ["BTC/USD", "XRP/USD"].map(str::to_owned).to_vec(),
        depth: 25,
        levels: 1,
        mode: Mode::All,
        seed: 3,
    };
    let (mut venue, _) = Rig::new(Depth::new(settings));
    venue.opened();
    let (mut quotes, mut walk, mut last) = (Vec::new(), Walk { state: 7, rate: 116_000 }, 0);
    for (time, frame) in frames {
        for payload in venue.say(&frame).data() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let (bid, ask) = (&payload["bids"][0], &payload["asks"][0]);
            let dollars = Quote {
                after_ns: (time - last) as u64,
                symbol: text(&payload["symbol"]),
                timestamp: text(&payload["timestamp"]),
                texts: [&bid[0], &bid[1], &ask[0], &ask[1]].map(text),
            };
            last = time;
            walk.rate += i128::from(walk.next(7)) - 3;
            let [bid, bid_qty, ask, ask_qty] = &dollars.texts;
            let euros = Quote {
                after_ns: 0,
                symbol: dollars.symbol.replace("USD", "EUR"),
                texts: [walk.euros(bid), bid_qty.clone(), walk.euros(ask), ask_qty.clone()],
                ..dollars.clone()
            };
            quotes.push(dollars);
            quotes.extend((walk.next(2) == 0).then_some(euros));
        }
    }
    assert_eq!(venue.count("book_resyncs"), 0);
    Some(quotes)
}

fn settings() -> LegsSettings {
    LegsSettings {
        endpoint: "tcp://bus".to_owned(),
        from: "kr_depth".to_owned(),
        topic: "made".to_owned(),
        coins: Vec::new(),
        window: (Amount { digits: 1, scale: 0 }, Amount { digits: 3, scale: 0 }),
        leg_age_max_ns: LEG_AGE_MAX_NS,
    }
}

/// What a connector makes of them, without reserved keys but `_tie`.
fn made(connector: impl Connector, quotes: &[Quote]) -> Vec<Value> {
    let (mut rig, _) = Rig::new(connector);
    let mut all = Vec::new();
    for Quote { after_ns, symbol, timestamp, texts: [bid, bid_qty, ask, ask_qty] } in quotes {
        rig.pass(*after_ns);
        let book = json!({
            "symbol": symbol, "timestamp": timestamp, "bids": [[bid, bid_qty]], "asks": [[ask, ask_qty]],
        });
        all.extend(rig.tell(Event::Message(Link(0), &packed(&book.to_string()))).sent.into_iter().map(
            |(_, payload)| {
                let Value::Object(mut payload) = payload else { panic!("{payload}") };
                payload.retain(|key, _| !key.starts_with('_') || key == "_tie");
                Value::Object(payload)
            },
        ));
    }
    all
}

/// A rate as the oracle keeps it: what was quoted, and units of 10^-5.
#[derive(Clone)]
struct Rate {
    coin: String,
    usd: [String; 4],
    eur: [String; 4],
    bid: i128,
    ask: i128,
}

fn fraction(usd: &str, eur: &str) -> i128 {
    let ((over, of), (under, by)) = (decimal(usd), decimal(eur));
    rounded(over * 10_i128.pow(by) * 100_000, under * 10_i128.pow(of))
}

/// A product in units of 10^-5.
fn times(a: &str, b: &str) -> i128 {
    let ((a, of), (b, by)) = (decimal(a), decimal(b));
    rounded(a * b * 100_000, 10_i128.pow(of + by))
}

fn smaller(a: &str, b: &str) -> String {
    let ((x, of), (y, by)) = (decimal(a), decimal(b));
    if y * 10_i128.pow(of) < x * 10_i128.pow(by) { b } else { a }.to_owned()
}

impl Rate {
    /// Coins at the bid and at the ask.
    fn volumes(&self) -> [String; 2] {
        [smaller(&self.usd[1], &self.eur[3]), smaller(&self.usd[3], &self.eur[1])]
    }
}

/// Pairs of rates with the time of the second.
fn pairs(quotes: &[Quote]) -> Vec<(Rate, Rate, String)> {
    let mut legs: BTreeMap<&str, (u64, &Quote)> = BTreeMap::new();
    let (mut now, mut last, mut pairs) = (0, None::<Rate>, Vec::new());
    for quote in quotes {
        now += quote.after_ns;
        legs.insert(&quote.symbol, (now, quote));
        let coin = &quote.symbol[..3];
        let [usd, eur] = ["USD", "EUR"].map(|currency| legs.get(format!("{coin}/{currency}").as_str()));
        let Some(((usd_ns, usd), (eur_ns, eur))) = usd.zip(eur) else { continue };
        if now - usd_ns.min(eur_ns) > LEG_AGE_MAX_NS {
            continue;
        }
        let (u, e) = (usd.texts.clone(), eur.texts.clone());
        let (bid, ask) = (fraction(&u[0], &e[2]), fraction(&u[2], &e[0]));
        let rate = Rate { coin: coin.to_owned(), usd: u, eur: e, bid, ask };
        if let Some(before) = last.replace(rate.clone()) {
            pairs.push((before, rate, (&usd.timestamp).max(&eur.timestamp).clone()));
        }
    }
    pairs
}

/// A message of texts and units.
fn message(texts: &[(&str, &str)], units: &[(&str, i128)]) -> Value {
    let mut map = Map::new();
    map.extend(texts.iter().map(|(key, text)| ((*key).to_owned(), json!(text))));
    map.extend(units.iter().map(|(key, units)| ((*key).to_owned(), json!(written(*units, 5)))));
    Value::Object(map)
}

/// What the rates make: [`Synthetic`] with volumes, or [`Basket`].
fn expected(quotes: &[Quote], of: fn(&Rate, &Rate) -> Vec<Value>) -> Vec<Value> {
    let mut all = Vec::new();
    for (t0, t1, timestamp) in pairs(quotes) {
        for mut message in of(&t0, &t1) {
            message["timestamp"] = json!(timestamp);
            all.push(message);
        }
    }
    all
}

fn rates(t0: &Rate, t1: &Rate) -> [(&'static str, i128); 7] {
    [
        ("bid_t0", t0.bid),
        ("ask_t0", t0.ask),
        ("bid_t1", t1.bid),
        ("ask_t1", t1.ask),
        ("spread", t1.ask - t1.bid),
        ("spread_t_bid", t0.ask - t1.bid),
        ("spread_t_ask", t1.ask - t0.bid),
    ]
}

fn synthetic(t0: &Rate, t1: &Rate) -> Vec<Value> {
    let ([bid0, ask0], [bid1, ask1]) = (t0.volumes(), t1.volumes());
    let names = [t0, t1].map(|rate| format!("{}/USD", rate.coin));
    let texts = [
        ("instrument_t0", names[0].as_str()),
        ("instrument_t1", &names[1]),
        ("bid_volume_t0", &bid0),
        ("ask_volume_t0", &ask0),
        ("bid_volume_t1", &bid1),
        ("ask_volume_t1", &ask1),
    ];
    vec![message(&texts, &rates(t0, t1))]
}

fn baskets(t0: &Rate, t1: &Rate) -> Vec<Value> {
    let names = [t0, t1].map(|rate| ["USD", "EUR"].map(|currency| format!("{}/{currency}", rate.coin)));
    let instruments = [
        ("instrument_t0", names[0][0].as_str()),
        ("instrument_cross_t0", &names[0][1]),
        ("instrument_t1", &names[1][0]),
        ("instrument_cross_t1", &names[1][1]),
    ];
    let mut all = Vec::new();
    if t0.ask < t1.bid || t1.ask < t0.bid {
        let mut texts = instruments.to_vec();
        let legs = [
            ("usd_bid_t0", &t0.usd[0]),
            ("usd_ask_t0", &t0.usd[2]),
            ("eur_bid_t0", &t0.eur[0]),
            ("eur_ask_t0", &t0.eur[2]),
            ("usd_bid_t1", &t1.usd[0]),
            ("usd_ask_t1", &t1.usd[2]),
            ("eur_bid_t1", &t1.eur[0]),
            ("eur_ask_t1", &t1.eur[2]),
        ];
        texts.push(("type", "snapshot"));
        texts.extend(legs.iter().map(|(key, text)| (*key, text.as_str())));
        let mut units = rates(t0, t1).to_vec();
        units.extend([
            ("cross_bid_t0", times(&t0.eur[0], &written(t1.bid, 5))),
            ("cross_ask_t0", times(&t0.eur[2], &written(t1.ask, 5))),
            ("cross_bid_t1", times(&t1.eur[0], &written(t0.bid, 5))),
            ("cross_ask_t1", times(&t1.eur[2], &written(t0.ask, 5))),
        ]);
        all.push(message(&texts, &units));
    }
    // Euros are bought at one coin's ask, which takes [usd ask, eur bid], and sold at the other's bid.
    let way = |direction, bought: (&Rate, [&'static str; 5]), sold: (&Rate, [&'static str; 5])| {
        let ([_, in_coins], [out_coins, _]) = (bought.0.volumes(), sold.0.volumes());
        let mut texts = instruments.to_vec();
        texts.extend([("type", "basket"), ("direction", direction)]);
        let of = [
            ("buy", "sell", bought, [&bought.0.usd[2], &bought.0.eur[0], &in_coins]),
            ("sell", "buy", sold, [&sold.0.usd[0], &sold.0.eur[2], &out_coins]),
        ];
        for (side, cross, (_, [side_key, cross_key, keys @ ..]), values) in &of {
            texts.extend([(*side_key, *side), (*cross_key, *cross)]);
            texts.extend(keys.iter().copied().zip(values.iter().map(|value| value.as_str())));
        }
        let amount = times(&in_coins, &bought.0.eur[0]).min(times(&out_coins, &sold.0.eur[2]));
        message(&texts, &[("amount_eur", amount), ("edge", sold.0.bid - bought.0.ask)])
    };
    let keys_t0 = ["side_t0", "side_cross_t0", "price_t0", "price_cross_t0", "volume_t0"];
    let keys_t1 = ["side_t1", "side_cross_t1", "price_t1", "price_cross_t1", "volume_t1"];
    if t0.ask < t1.bid {
        all.push(way("buy_t0_sell_t1", (t0, keys_t0), (t1, keys_t1)));
    }
    if t1.ask < t0.bid {
        all.push(way("buy_t1_sell_t0", (t1, keys_t1), (t0, keys_t0)));
    }
    all
}

/// Counts, a hash of all, and the first and last of them.
fn golden(title: &str, all: &[Value]) -> String {
    let lines: Vec<String> = all.iter().map(Value::to_string).collect();
    let of = |kind: &str| all.iter().filter(|message| message["type"] == kind).count();
    let (snapshots, baskets, hash) = (of("snapshot"), of("basket"), Sha256::digest(lines.join("\n")));
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let head =
        format!("{title}: {} messages, {snapshots} snapshots, {baskets} baskets, sha256 {hash}", all.len());
    let ends = [&lines[..20], &["...".to_owned()], &lines[lines.len() - 20..]].concat();
    format!("{head}\n{}\n", ends.join("\n"))
}

/// `UPDATE=1` writes the golden file again.
#[test]
fn rates_and_baskets_of_recorded_books_are_those_of_a_plain_oracle_and_of_the_golden_file() {
    let Some(quotes) = quotes() else {
        assert!(std::env::var_os("TICKLINE_CI").is_none(), "TICKLINE_RECORDINGS is not set");
        return println!("skipped: TICKLINE_RECORDINGS not set");
    };
    let found = [made(Synthetic::new(settings(), true), &quotes), made(Basket::new(settings()), &quotes)];
    for (found, of) in found.iter().zip([synthetic as fn(&Rate, &Rate) -> Vec<Value>, baskets]) {
        let expected = expected(&quotes, of);
        let mut places = BTreeSet::new();
        for (found, expected) in found.iter().zip(&expected) {
            let Value::Object(mut found) = found.clone() else { panic!("{found}") };
            let tie = found.remove("_tie").and_then(|tie| tie.as_u64());
            assert!(places.insert((found["timestamp"].to_string(), tie)), "two at one time: {found:?}");
            assert_eq!(&Value::Object(found), expected);
        }
        assert_eq!(found.len(), expected.len());
    }
    for direction in ["buy_t0_sell_t1", "buy_t1_sell_t0"] {
        let two_coins = |basket: &&Value| basket["instrument_t0"] != basket["instrument_t1"];
        let found =
            found[1].iter().filter(|basket| basket["direction"] == direction).filter(two_coins).count();
        assert!(found > 0, "{direction} between two coins is among them");
    }
    let text = golden("kr_eurusd_depth", &found[0]) + &golden("kr_eurusd_basket", &found[1]);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/crossings_of_recorded_books.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    assert!(std::fs::read_to_string(&file).unwrap() == text, "{} is old: UPDATE=1", file.display());
}
