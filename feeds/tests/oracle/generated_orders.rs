//! Generated orders of Kraken, OANDA and Betfair: keys absent, in any order, values of all forms. Each line must be
//! exactly the expected point.

use proptest::prelude::*;
use tickline_config::model::{DecoderKind, Feed, FieldChoice};

use crate::expected::Candidate;
use crate::generated::{
    Entries, HOSTILE, Message, Number, check, entry, float, head, integer, kraken, map, message, number,
    text, time,
};
use crate::reading::Field;
use crate::rig::{Rig, feed};
use crate::tree::Tree;

const ACCOUNT: &str = "main.1";

fn rig(decoder: DecoderKind) -> Rig {
    Rig::new(Feed { account: Some(ACCOUNT.into()), ..feed(decoder, FieldChoice::All) })
}

/// What may stand in a tag, or nothing.
fn tag() -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop_oneof![
        4 => "[a-z_]{1,8}",
        1 => prop::sample::select(HOSTILE.to_vec()).prop_map(str::to_owned),
        1 => Just("x".repeat(257)),
    ])
}

fn stored(text: &str) -> Field {
    Field::Text(text.chars().map(|c| if c.is_ascii_control() { ' ' } else { c }).collect())
}

/// The values of a record's fields under their keys, some of them absent.
#[derive(Clone, Debug)]
struct Fields {
    entries: Entries,
    expected: Vec<(&'static str, Option<Field>)>,
}

/// Keys of numbers, of integers and of texts, each with the field that it stands for.
type Keys = [&'static [(&'static str, &'static str)]; 3];

fn fields([numbers, integers, texts]: Keys) -> impl Strategy<Value = Fields> {
    (
        prop::collection::vec(prop::option::of(number()), numbers.len()),
        prop::collection::vec(prop::option::of(integer()), integers.len()),
        prop::collection::vec(prop::option::of(".{0,8}"), texts.len()),
    )
        .prop_map(move |(some_numbers, some_integers, some_texts)| {
            let mut all = Fields { entries: vec![], expected: vec![] };
            let mut put = |(key, field): (&str, &'static str), tree: &Tree, value: Option<Field>| {
                all.entries.push(entry(key, tree));
                all.expected.push((field, value));
            };
            for (names, (tree, value)) in numbers.iter().zip(some_numbers).filter_map(|(n, v)| Some((n, v?)))
            {
                put(*names, &tree, float(value));
            }
            for (names, (tree, value)) in
                integers.iter().zip(some_integers).filter_map(|(n, v)| Some((n, v?)))
            {
                put(*names, &tree, value.map(Field::Int));
            }
            for (names, text) in texts.iter().zip(some_texts).filter_map(|(n, v)| Some((n, v?))) {
                put(*names, &Tree::Text(text.clone()), Some(stored(&text)));
            }
            all
        })
}

/// Puts the tags that are there into the payload, and all into the candidate.
fn put_tags(
    tags: [(&str, &'static str, Option<String>); 3],
    entries: &mut Entries,
    candidate: &mut Candidate,
) {
    for (key, name, value) in tags {
        entries.extend(value.as_deref().map(|value| text(key, value)));
        candidate.tags.push((name, value.unwrap_or_default()));
    }
}

const REPORT: Keys = [
    &[
        ("last_price", "price"),
        ("last_qty", "amount"),
        ("limit_price", "limit_price"),
        ("order_qty", "order_qty"),
        ("cum_qty", "cum_amount"),
        ("avg_price", "avg_price"),
        ("cost", "cost"),
    ],
    &[("trade_id", "trade_id")],
    &[
        ("order_id", "order_id"),
        ("exec_id", "exec_id"),
        ("exec_type", "exec_type"),
        ("cl_ord_id", "cl_ord_id"),
        ("liquidity_ind", "liquidity"),
    ],
];

fn report() -> impl Strategy<Value = (Tree, Candidate)> {
    let symbol = prop::option::of(
        prop_oneof![4 => "[A-Z]{1,5}/[A-Z]{1,5}", 1 => Just("XBT/USD".into()), 1 => tag_text()],
    );
    let fees = prop::option::of(prop::collection::vec((number(), "[A-Z]{3}"), 0..3));
    (symbol, time(), (tag(), tag(), tag()), fields(REPORT), fees).prop_flat_map(
        |(symbol, time, (side, status, kind), mut fields, fees)| {
            let mut candidate = kraken("kraken_orders", symbol.as_deref().unwrap_or_default(), &[]);
            candidate.usable = symbol.as_deref() != Some("");
            candidate.tags.push(("account", ACCOUNT.into()));
            candidate.time = time.1;
            let mut entries = std::mem::take(&mut fields.entries);
            entries.extend(symbol.map(|symbol| text("symbol", &symbol)));
            entries.push(entry("timestamp", &time.0));
            let tags =
                [("side", "side", side), ("order_status", "status", status), ("order_type", "type", kind)];
            put_tags(tags, &mut entries, &mut candidate);
            candidate.fields = fields.expected;
            if let Some(fees) = fees {
                candidate.fields.extend(fees.first().into_iter().flat_map(|((_, value), asset)| {
                    [("fee", float(*value)), ("fee_asset", Some(Field::Text(asset.clone())))]
                }));
                let fee = |((tree, _), asset): &(Number, String)| {
                    Tree::Map(vec![text("asset", asset), entry("qty", tree)])
                };
                entries.push(("fees".into(), Tree::Array(fees.iter().map(fee).collect())));
            }
            (map(entries), Just(candidate))
        },
    )
}

fn tag_text() -> impl Strategy<Value = String> {
    tag().prop_map(Option::unwrap_or_default)
}

const TRANSACTION: Keys = [
    &[
        ("units", "units"),
        ("price", "price"),
        ("pl", "pl"),
        ("commission", "commission"),
        ("accountBalance", "account_balance"),
    ],
    &[("orderID", "order_id")],
    &[],
];

fn transaction() -> impl Strategy<Value = Message> {
    let ids =
        (0_i64..1_000_000, prop_oneof![4 => 0_i64..5, 1 => -3_i64..0, 1 => Just(1 << 40)], any::<bool>());
    (head(), ids, time(), (tag(), tag()), "[A-Z_]{1,12}", fields(TRANSACTION)).prop_flat_map(
        |(head, (batch, behind, as_text), time, (instrument, reason), kind, fields)| {
            let mut candidate = Candidate {
                measurement: "oanda_orders",
                tags: vec![("account", ACCOUNT.into()), ("exchange", "oanda".into())],
                usable: true,
                fields: fields.expected,
                time: time.1,
                unit_ns: 1,
                flags: 0,
                own_ordinal: u32::try_from(behind).ok().filter(|_| time.1.is_some()),
            };
            let id = batch + behind;
            let tree = |id: i64| if as_text { Tree::Text(id.to_string()) } else { Tree::Int(id) };
            candidate.fields.extend([("id", Some(Field::Int(id))), ("batch_id", Some(Field::Int(batch)))]);
            let mut entries = [head.entries(), fields.entries].concat();
            entries.extend([
                ("id".into(), tree(id)),
                ("batchID".into(), tree(batch)),
                entry("time", &time.0),
            ]);
            let tags = [
                ("instrument", "instrument", instrument),
                ("reason", "reason", reason),
                ("type", "type", Some(kind)),
            ];
            put_tags(tags, &mut entries, &mut candidate);
            (map(entries), Just(head), Just(vec![candidate]))
        },
    )
}

const ORDER: Keys = [
    &[("p", "price"), ("s", "size"), ("sm", "matched"), ("sr", "remaining"), ("avp", "avg_price")],
    &[],
    &[("id", "bet_id")],
];

fn order() -> impl Strategy<Value = (Tree, Candidate)> {
    ((tag(), tag()), fields(ORDER)).prop_flat_map(|((side, status), fields)| {
        let mut candidate = Candidate {
            measurement: "betfair_orders",
            tags: vec![("account", ACCOUNT.into())],
            usable: true,
            fields: fields.expected,
            time: None,
            unit_ns: 1_000_000,
            flags: 0,
            own_ordinal: None,
        };
        let mut entries = fields.entries;
        put_tags(
            [("side", "side", side), ("status", "status", status), ("pt", "", None)],
            &mut entries,
            &mut candidate,
        );
        entries.extend([text("pt", "L"), ("pd".into(), Tree::Int(1_785_700_009_000))]);
        (map(entries), Just(candidate))
    })
}

/// One `orc` entry and its candidates.
fn runner() -> impl Strategy<Value = (Tree, Vec<Candidate>)> {
    let selection =
        prop::option::of(prop_oneof![(0_i64..3).prop_map(Tree::Int), Just(Tree::Text("12".into()))]);
    (selection, any::<bool>(), prop::collection::vec(order(), 0..4)).prop_flat_map(
        |(selection, image, orders)| {
            let (trees, mut candidates): (Vec<Tree>, Vec<Candidate>) = orders.into_iter().unzip();
            for candidate in &mut candidates {
                candidate.flags |= i64::from(image);
                candidate.usable &= selection.is_some();
                let text = match &selection {
                    Some(Tree::Int(number)) => number.to_string(),
                    _ => "12".to_owned(),
                };
                candidate.tags.push(("selection_id", text));
            }
            let mut entries =
                vec![("fullImage".into(), Tree::Bool(image)), ("uo".into(), Tree::Array(trees))];
            entries.push(("mb".into(), Tree::Array(vec![])));
            entries.extend(selection.map(|selection| ("id".into(), selection)));
            (map(entries), Just(candidates))
        },
    )
}

/// One `oc` entry and its candidates.
fn market() -> impl Strategy<Value = (Tree, Vec<Candidate>)> {
    let id = prop_oneof![4 => "1\\.[0-3]", 1 => tag_text()];
    (id, any::<[bool; 2]>(), prop::collection::vec(runner(), 0..4)).prop_flat_map(
        |(id, [image, closed], runners)| {
            let (trees, candidates): (Vec<Tree>, Vec<Vec<Candidate>>) = runners.into_iter().unzip();
            let mut candidates = candidates.concat();
            for candidate in &mut candidates {
                candidate.flags |= i64::from(image);
                candidate.usable &= !id.is_empty();
                candidate.tags.push(("market_id", id.clone()));
            }
            let mut entries = vec![text("id", &id), ("fullImage".into(), Tree::Bool(image))];
            entries.extend([("orc".into(), Tree::Array(trees)), ("closed".into(), Tree::Bool(closed))]);
            (map(entries), Just(candidates))
        },
    )
}

fn order_change() -> impl Strategy<Value = Message> {
    let time = prop::option::of(-100_000_i64..1_000);
    (head(), time, any::<[bool; 2]>(), prop::collection::vec(market(), 0..4)).prop_flat_map(
        |(head, offset, [image, suspect], markets)| {
            let (trees, candidates): (Vec<Tree>, Vec<Vec<Candidate>>) = markets.into_iter().unzip();
            let pt_ms = offset.map(|offset| crate::generated::NOW / 1_000_000 + offset);
            let mut candidates = candidates.concat();
            for candidate in &mut candidates {
                candidate.time = pt_ms.map(|ms| ms * 1_000_000);
                candidate.flags |= i64::from(image) | if suspect { 4 } else { 0 };
            }
            let mut entries =
                [head.entries(), vec![text("op", "ocm"), ("oc".into(), Tree::Array(trees))]].concat();
            entries.extend(image.then(|| text("ct", "SUB_IMAGE")));
            entries.extend(suspect.then(|| ("status".into(), Tree::Int(503))));
            entries.extend(pt_ms.map(|ms| ("pt".into(), Tree::Int(ms))));
            (map(entries), Just(head), Just(candidates))
        },
    )
}

proptest! {
    #[test]
    fn generated_executions_are_read_back_as_sent(message in message("executions", report())) {
        check(rig(DecoderKind::KrakenOrders), message)?;
    }

    #[test]
    fn generated_transactions_are_read_back_as_sent(message in transaction()) {
        check(rig(DecoderKind::OandaOrders), message)?;
    }

    #[test]
    fn generated_order_changes_are_read_back_as_sent(message in order_change()) {
        check(rig(DecoderKind::BetfairOrders), message)?;
    }
}
