//! Generated payloads of every stateless decoder: valid numbers in all forms among wrong ones, hostile symbols,
//! keys in any order, times missing and far off. Each line must be exactly the expected point.

use proptest::prelude::*;
use tickline_config::model::{Custom, CustomTime, CustomType, DecoderKind, TimeUnit};
use tickline_feeds::clock::WallNanos;
use tickline_feeds::decoder::FrameClass;
use tickline_feeds::payload::rfc3339;

use crate::expected::{Candidate, Head, is_crossed, points};
use crate::reading::Field;
use crate::rig::{Rig, custom_feed};
use crate::tree::Tree;

pub(crate) const NOW: i64 = 1_785_641_762_621_302_145;

/// A value on the wire and the number it stands for.
pub(crate) type Number = (Tree, Option<f64>);
pub(crate) type Entries = Vec<(String, Tree)>;
/// A message and its candidates.
pub(crate) type Message = (Tree, Head, Vec<Candidate>);

/// What no symbol should hold, and all should survive.
pub(crate) const HOSTILE: [&str; 14] = [
    "a\nb,c=1 2",
    "\n",
    "com,ma",
    "e=q",
    "spa ce",
    "quo\"te",
    "trail\\",
    "in\\side",
    "esc\\,aped",
    "nul\0",
    "🦀",
    "",
    "\u{85}",
    "é/ü",
];

pub(crate) fn symbol() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[A-Z]{1,5}/[A-Z]{1,5}",
        2 => prop::sample::select(HOSTILE.to_vec()).prop_map(str::to_owned),
        1 => ".{0,12}",
        1 => "[ -~]{0,12}",
        1 => Just("x".repeat(257)),
        1 => Just("XBT/USD".to_owned()),
        1 => Just("XDG/XBT".to_owned()),
    ]
}

/// No number of any kind.
fn no_number() -> impl Strategy<Value = Tree> {
    prop_oneof![
        prop::sample::select(vec![
            "", "-", ".", "5.", ".5", "+1", "1,0", "NaN", "Infinity", "1e400", "0x1", " 1"
        ])
        .prop_map(|text| Tree::Text(text.into())),
        Just(Tree::Text("9".repeat(41))),
        Just(Tree::Float(f64::NAN)),
        Just(Tree::Float(f64::NEG_INFINITY)),
        Just(Tree::Nil),
        Just(Tree::Bool(true)),
        Just(Tree::Bin(vec![0xff])),
        Just(Tree::Array(vec![Tree::Int(1), Tree::Map(vec![("bid".into(), Tree::Int(2))])])),
    ]
}

pub(crate) fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        6 => "-?[0-9]{1,9}(\\.[0-9]{1,9})?".prop_map(|text| (Tree::Text(text.clone()), text.parse().ok())),
        1 => "[0-9](\\.[0-9]{1,3})?[eE][+-]?[0-9]{1,2}".prop_map(|text| (Tree::Text(text.clone()), text.parse().ok())),
        1 => "[0-9]{1,6}".prop_map(|text| (Tree::Bin(text.clone().into_bytes()), text.parse().ok())),
        2 => prop::num::f64::NORMAL.prop_map(|number| (Tree::Float(number), Some(number))),
        1 => any::<i64>().prop_map(|number| (Tree::Int(number), Some(number as f64))),
        2 => no_number().prop_map(|tree| (tree, None)),
    ]
}

pub(crate) fn integer() -> impl Strategy<Value = (Tree, Option<i64>)> {
    prop_oneof![
        3 => any::<i64>().prop_map(|number| (Tree::Int(number), Some(number))),
        2 => (-1_000_000_i64..1_000_000).prop_map(|number| (Tree::Text(number.to_string()), Some(number))),
        1 => prop::sample::select(vec!["", "-", "1.5", "x", "99999999999999999999"])
            .prop_map(|text| (Tree::Text(text.into()), None)),
        1 => Just((Tree::Float(1.0), None)),
    ]
}

/// A venue time on the wire.
pub(crate) fn time() -> impl Strategy<Value = (Tree, Option<i64>)> {
    prop_oneof![
        4 => (-200_000_000_000_000_i64..200_000_000_000, 0_u8..10).prop_map(|(offset, digits)| {
            let unit = 10_i64.pow(u32::from(9 - digits));
            let cut = (NOW + offset).div_euclid(unit) * unit;
            (Tree::Text(rfc3339(WallNanos(cut), digits)), Some(cut))
        }),
        1 => prop::sample::select(vec!["soon", "-", "2026-13-01T00:00:00Z"]).prop_map(|t| (Tree::Text(t.into()), None)),
        1 => Just((Tree::Nil, None)),
    ]
}

pub(crate) fn head() -> impl Strategy<Value = Head> {
    let near = || prop::option::of((-1_000_000_000_i64..1_000_000_000).prop_map(|offset| NOW + offset));
    (prop::option::of(0_u32..2_000), near(), near()).prop_map(|(tie, recv, sent)| Head { tie, recv, sent })
}

pub(crate) fn map(entries: Entries) -> impl Strategy<Value = Tree> {
    Just(entries).prop_shuffle().prop_map(Tree::Map)
}

pub(crate) fn entry(key: &str, tree: &Tree) -> (String, Tree) {
    (key.to_owned(), tree.clone())
}

pub(crate) fn text(key: &str, value: &str) -> (String, Tree) {
    (key.to_owned(), Tree::Text(value.to_owned()))
}

pub(crate) fn float(value: Option<f64>) -> Option<Field> {
    value.map(Field::Float)
}

/// Tags of a Kraken name with a slash in it, or of one that no table knows.
pub(crate) fn pair_tags(name: &str) -> Vec<(&'static str, String)> {
    let modern = |asset: &str| match asset {
        "XBT" => "BTC".to_owned(),
        "XDG" => "DOGE".to_owned(),
        other => other.to_owned(),
    };
    let (base, pair, quote) = match name.split_once('/') {
        Some((base, quote)) => (modern(base), format!("{}/{}", modern(base), modern(quote)), modern(quote)),
        None => (String::new(), name.to_owned(), String::new()),
    };
    vec![("base", base), ("exchange", "kraken".into()), ("pair", pair), ("quote", quote)]
}

pub(crate) fn kraken(measurement: &'static str, name: &str, more: &[(&'static str, String)]) -> Candidate {
    let tags = [pair_tags(name), more.to_vec()].concat();
    Candidate {
        measurement,
        tags,
        usable: !name.is_empty(),
        fields: vec![],
        time: None,
        unit_ns: 1_000,
        flags: 0,
        own_ordinal: None,
    }
}

/// A WebSocket message of `elements`, reserved keys and all in any order.
pub(crate) fn message(
    channel: &'static str,
    elements: impl Strategy<Value = (Tree, Candidate)>,
) -> impl Strategy<Value = Message> {
    (head(), prop::collection::vec(elements, 0..5), any::<bool>()).prop_flat_map(
        move |(head, elements, snapshot)| {
            let (trees, mut candidates): (Vec<Tree>, Vec<Candidate>) = elements.into_iter().unzip();
            candidates.iter_mut().for_each(|candidate| candidate.flags |= i64::from(snapshot));
            let kind = if snapshot { "snapshot" } else { "update" };
            let mut entries = head.entries();
            entries.extend([
                text("channel", channel),
                text("type", kind),
                ("data".into(), Tree::Array(trees)),
            ]);
            (map(entries), Just(head), Just(candidates))
        },
    )
}

fn ticker() -> impl Strategy<Value = (Tree, Candidate)> {
    const KEYS: [(&str, &str); 11] = [
        ("bid", "bid"),
        ("bid_qty", "bid_qty"),
        ("ask", "ask"),
        ("ask_qty", "ask_qty"),
        ("last", "last_trade_price"),
        ("volume", "volume"),
        ("vwap", "vwap"),
        ("low", "low"),
        ("high", "high"),
        ("change", "change"),
        ("change_pct", "change_pct"),
    ];
    (symbol(), time(), prop::collection::vec(number(), KEYS.len())).prop_flat_map(|(name, time, numbers)| {
        let mut candidate = kraken("kraken_tick", &name, &[]);
        let mut entries =
            vec![text("symbol", &name), entry("timestamp", &time.0), entry("unknown", &numbers[0].0)];
        for ((key, field), (tree, value)) in KEYS.iter().zip(&numbers) {
            entries.push(entry(key, tree));
            candidate.fields.push((field, float(*value)));
        }
        candidate.time = time.1;
        candidate.flags = if is_crossed(numbers[0].1, numbers[2].1) { 32 } else { 0 };
        (map(entries), Just(candidate))
    })
}

fn trade() -> impl Strategy<Value = (Tree, Candidate)> {
    let side = prop::sample::select(vec!["buy", "sell", "neither", ""]);
    (symbol(), time(), side, number(), number(), integer(), ".{0,8}").prop_flat_map(
        |(name, time, side, price, qty, id, kind)| {
            let mut candidate = kraken("kraken_trades", &name, &[("side", side.into())]);
            candidate.usable &= matches!(side, "buy" | "sell");
            let stored = kind.chars().map(|c| if c.is_ascii_control() { ' ' } else { c }).collect();
            candidate.fields = vec![
                ("price", float(price.1)),
                ("qty", float(qty.1)),
                ("trade_id", id.1.map(Field::Int)),
                ("ord_type", Some(Field::Text(stored))),
            ];
            candidate.time = time.1;
            candidate.own_ordinal = id.1.filter(|_| time.1.is_some()).map(|id| id.rem_euclid(1_000) as u32);
            let mut entries = vec![text("symbol", &name), text("side", side), text("ord_type", &kind)];
            entries.extend([entry("timestamp", &time.0), entry("price", &price.0)]);
            entries.extend([entry("qty", &qty.0), entry("trade_id", &id.0)]);
            (map(entries), Just(candidate))
        },
    )
}

fn book() -> impl Strategy<Value = Message> {
    let side = || prop::collection::vec((number(), number()), 0..6);
    (head(), symbol(), time(), integer(), side(), side()).prop_flat_map(
        |(head, name, time, checksum, bids, asks)| {
            let candidates: Vec<Candidate> = (0..bids.len().max(asks.len()))
                .map(|level| {
                    let of =
                        |side: &[(Number, Number)]| side.get(level).map_or((None, None), |(p, s)| (p.1, s.1));
                    let ((bid, bid_size), (ask, ask_size)) = (of(&bids), of(&asks));
                    let mut candidate = kraken("kraken_depth", &name, &[("level", level.to_string())]);
                    candidate.fields = vec![("bid_price", float(bid)), ("bid_size", float(bid_size))];
                    candidate.fields.extend([("ask_price", float(ask)), ("ask_size", float(ask_size))]);
                    if level == 0 {
                        candidate.fields.push(("checksum", checksum.1.map(Field::Int)));
                        candidate.flags = if is_crossed(bid, ask) { 32 } else { 0 };
                    }
                    Candidate { time: time.1, ..candidate }
                })
                .collect();
            let side = |levels: &[(Number, Number)]| {
                let level =
                    |(price, size): &(Number, Number)| Tree::Array(vec![price.0.clone(), size.0.clone()]);
                Tree::Array(levels.iter().map(level).collect())
            };
            let mut entries = head.entries();
            entries.extend([
                text("symbol", &name),
                entry("timestamp", &time.0),
                entry("checksum", &checksum.0),
            ]);
            entries.extend([("bids".into(), side(&bids)), ("asks".into(), side(&asks))]);
            (map(entries), Just(head), Just(candidates))
        },
    )
}

fn price() -> impl Strategy<Value = Message> {
    // Decimals of up to nine places, so that units of a billionth fit an i64.
    let decimal = || (0_i64..1_000_000_000, 0_u32..10);
    let buckets = || prop::collection::vec((decimal(), integer()), 0..4);
    (head(), symbol(), time(), buckets(), buckets(), any::<bool>()).prop_flat_map(
        |(head, name, time, bids, asks, tradeable)| {
            let written = |(units, places): (i64, u32)| {
                let unit = 10_i64.pow(places);
                let fraction = format!("{:0width$}", units % unit, width = places as usize);
                if places == 0 { units.to_string() } else { format!("{}.{fraction}", units / unit) }
            };
            type Bucket = ((i64, u32), (Tree, Option<i64>));
            let nano = |((units, places), _): &&Bucket| i128::from(*units) * 10_i128.pow(9 - places);
            let bid = bids.iter().rev().max_by_key(nano);
            let ask = asks.iter().min_by_key(nano);
            let parse =
                |best: Option<&Bucket>| best.map(|(price, _)| written(*price).parse::<f64>().unwrap());
            let spread = bid.zip(ask).map(|(bid, ask)| {
                let places = bid.0.1.max(ask.0.1);
                let units = (nano(&ask) - nano(&bid)) / 10_i128.pow(9 - places);
                let sign = if units < 0 { "-" } else { "" };
                format!("{sign}{}", written((units.abs() as i64, places))).parse::<f64>().unwrap()
            });
            let (base, quote) = name.split_once('_').unwrap_or(("", ""));
            let tags =
                vec![("base", base.into()), ("exchange", "oanda".into()), ("instrument", name.clone())];
            let liquidity = |best: Option<&Bucket>| best.and_then(|(_, (_, value))| value.map(Field::Int));
            let candidate = Candidate {
                measurement: "oanda_tick",
                tags: [tags, vec![("quote", quote.into())]].concat(),
                usable: !name.is_empty(),
                fields: vec![
                    ("bid", float(parse(bid))),
                    ("ask", float(parse(ask))),
                    ("bid_liquidity", liquidity(bid)),
                    ("ask_liquidity", liquidity(ask)),
                    ("tradeable", Some(Field::Bool(tradeable))),
                    ("spread", float(spread)),
                ],
                time: time.1,
                unit_ns: 1,
                flags: if is_crossed(parse(bid), parse(ask)) { 32 } else { 0 },
                own_ordinal: None,
            };
            let side = |buckets: &[Bucket]| {
                let bucket = |(price, liquidity): &Bucket| {
                    Tree::Map(vec![text("price", &written(*price)), entry("liquidity", &liquidity.0)])
                };
                Tree::Array(buckets.iter().map(bucket).collect())
            };
            let mut entries = head.entries();
            entries.extend([text("type", "PRICE"), text("instrument", &name), entry("time", &time.0)]);
            entries.extend([("bids".into(), side(&bids)), ("asks".into(), side(&asks))]);
            entries.push(("tradeable".into(), Tree::Bool(tradeable)));
            (map(entries), Just(head), Just(vec![candidate]))
        },
    )
}

fn custom() -> Custom {
    let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
    Custom {
        measurement: "my bars, all".into(),
        time: Some(CustomTime { path: path("at.time"), unit: TimeUnit::Micros }),
        tags: vec![("sym bol".into(), path("sym"))],
        fields: vec![
            ("px".into(), path("px"), CustomType::Float),
            ("q ty".into(), path("q.n"), CustomType::Int),
            ("text".into(), path("text"), CustomType::Str),
        ],
    }
}

fn bar() -> impl Strategy<Value = Message> {
    (head(), symbol(), time(), number(), integer(), ".{0,12}").prop_flat_map(
        |(head, name, time, px, qty, note)| {
            let stored = note.chars().map(|c| if c.is_ascii_control() { ' ' } else { c }).collect();
            let candidate = Candidate {
                measurement: "my bars, all",
                tags: vec![("sym bol", name.clone())],
                usable: true,
                fields: vec![
                    ("px", float(px.1)),
                    ("q ty", qty.1.map(Field::Int)),
                    ("text", Some(Field::Text(stored))),
                ],
                time: time.1,
                unit_ns: 1_000,
                flags: 0,
                own_ordinal: None,
            };
            let mut entries = head.entries();
            entries.extend([text("sym", &name), entry("px", &px.0), text("text", &note)]);
            entries.push(("at".into(), Tree::Map(vec![entry("time", &time.0), entry("px", &px.0)])));
            entries.push(("q".into(), Tree::Map(vec![entry("n", &qty.0)])));
            (map(entries), Just(head), Just(vec![candidate]))
        },
    )
}

pub(crate) fn check(mut rig: Rig, (tree, head, candidates): Message) -> Result<(), TestCaseError> {
    let (class, found) = rig.points(&tree.bytes());
    prop_assert_eq!(class, FrameClass::Points);
    prop_assert_eq!(found, points(&head, &candidates));
    prop_assert_eq!(rig.counts().candidates, candidates.len() as u64);
    Ok(())
}

proptest! {
    #[test]
    fn generated_tickers_are_read_back_as_sent(message in message("ticker", ticker())) {
        check(Rig::of(DecoderKind::KrakenTick), message)?;
    }

    #[test]
    fn generated_trades_are_read_back_as_sent(message in message("trade", trade())) {
        check(Rig::of(DecoderKind::KrakenTrades), message)?;
    }

    #[test]
    fn generated_books_are_read_back_as_sent(message in book()) {
        check(Rig::of(DecoderKind::KrakenDepth), message)?;
    }

    #[test]
    fn generated_prices_are_read_back_as_sent(message in price()) {
        check(Rig::of(DecoderKind::OandaTick), message)?;
    }

    #[test]
    fn generated_maps_of_a_custom_feed_are_read_back_as_sent(message in bar()) {
        check(Rig::new(custom_feed(custom())), message)?;
    }
}
