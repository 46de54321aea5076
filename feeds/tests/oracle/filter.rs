//! What a feed's filter leaves out: the points that it makes are those of the same feed without a filter, less those that
//! the rule in the configuration's words does not want, and each of the others is counted.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tickline_config::model::{Condition, Custom, CustomType, DecoderKind, Feed, FieldChoice, Filter};
use tickline_feeds::decoder::{Decoder, DecoderSpec, FrameClass};
use tickline_feeds::instruments::Instruments;

use crate::reading::{Field, Point};
use crate::rig::{INSTRUMENTS, RECEIVED_NS, Rig, custom_feed, feed};
use crate::tree::pack;

fn globs(globs: &[&str]) -> Vec<String> {
    globs.iter().map(|glob| (*glob).to_owned()).collect()
}

fn filter(include: &[&str], exclude: &[&str], condition: Option<&str>) -> Filter {
    let condition = condition.map(|text| Condition::parse(text).expect(text));
    Filter { include: globs(include), exclude: globs(exclude), condition }
}

fn filtered(of: Feed, by: Filter) -> Feed {
    Feed { filter: by, ..of }
}

const PAIRS: [&str; 4] = ["BTC/USD", "BTC/EUR", "ETH/USD", "DOGE/USD"];

/// Kraken's quotes in one message or in a bundle; several may be of one pair and time.
fn quotes() -> impl Strategy<Value = Vec<(usize, i64, bool)>> {
    prop::collection::vec((0..PAIRS.len(), 0..20_i64, any::<bool>()), 1..40)
}

fn quote((pair, qty, has_qty): (usize, i64, bool)) -> Value {
    let qty = has_qty.then(|| format!("{qty}.5"));
    json!({"symbol": PAIRS[pair], "bid": "1.5", "bid_qty": qty, "ask": "2", "timestamp": "2026-08-02T03:36:02.5Z"})
}

fn is_wanted(point: &Point) -> bool {
    let pair = point.tags["pair"].as_str();
    let big = matches!(point.fields.get("bid_qty"), Some(Field::Float(qty)) if *qty > 10.0);
    pair.ends_with("/USD") && pair != "DOGE/USD" && big
}

proptest! {
    #[test]
    fn what_a_filter_lets_through_is_as_it_would_be_without_one_and_the_rest_is_counted(
        messages in prop::collection::vec(quotes(), 1..6),
    ) {
        let kraken = || feed(DecoderKind::KrakenTick, FieldChoice::Core);
        let by = filter(&["*/USD"], &["DOGE/*"], Some("bid_qty > 10"));
        let (mut plain, mut some) = (Rig::new(kraken()), Rig::new(filtered(kraken(), by)));
        let (mut made, mut left_out) = (0, 0);
        for quotes in messages {
            let head = json!({"_v": 1, "_recv": RECEIVED_NS, "data": []});
            let maps: Vec<Value> = [head].into_iter().chain(quotes.into_iter().map(quote)).collect();
            let payload = pack(Value::Array(maps));
            let (all, found) = (plain.points(&payload).1, some.points(&payload).1);
            let wanted: Vec<Point> = all.iter().filter(|point| is_wanted(point)).cloned().collect();
            prop_assert_eq!(&found, &wanted);
            made += wanted.len() as u64;
            left_out += (all.len() - wanted.len()) as u64;
        }
        let counts = some.counts();
        prop_assert_eq!((counts.points_made, counts.filtered, counts.bad_points), (made, left_out, 0));
        prop_assert_eq!(counts.candidates, made + left_out);
    }
}

#[test]
fn levels_of_a_book_are_filtered_one_by_one_and_take_no_ordinal_from_each_other() {
    let depth =
        filtered(feed(DecoderKind::KrakenDepth, FieldChoice::Core), filter(&[], &[], Some("bid_size >= 2")));
    let mut rig = Rig::new(depth);
    let book = pack(json!({
        "symbol": "BTC/USD", "timestamp": "2026-08-02T03:36:02.5Z",
        "bids": [["1", "1.9"], ["2", "2"], ["3", "2.1"]], "asks": [["4", "1"], ["5", "1"], ["6", "1"], ["7", "1"]],
    }));
    let (_, points) = rig.points(&book);
    let levels: Vec<&str> = points.iter().map(|point| point.tags["level"].as_str()).collect();
    assert_eq!(levels, ["1", "2"], "a level without a bid does not fulfil it");
    assert_eq!((rig.counts().filtered, rig.counts().candidates), (2, 4));
}

#[test]
fn a_market_that_is_left_out_makes_no_point_of_any_kind_and_the_others_are_not_touched() {
    let mcm = |market: &str, price: f64, clk: i64| {
        let definition =
            json!({"status": "OPEN", "inPlay": false, "runners": [{"id": 7, "status": "ACTIVE"}]});
        let change = json!({"id": 7, "atb": [[price, 5.0]]});
        let market = json!({"id": market, "img": true, "marketDefinition": definition, "rc": [change]});
        pack(json!({"op": "mcm", "pt": 1_785_641_762_000_i64 + clk, "mc": [market]}))
    };
    let betfair = || feed(DecoderKind::BetfairStream, FieldChoice::Core);
    let mut plain = Rig::new(betfair());
    let mut some = Rig::new(filtered(betfair(), filter(&[], &["1.2*"], Some("back_price < 3"))));
    let mut all = 0;
    for (clk, (market, price)) in
        [("1.1", 2.0), ("1.21", 2.0), ("1.1", 3.5), ("1.21", 2.0)].into_iter().enumerate()
    {
        let payload = mcm(market, price, clk as i64);
        let (before, found) = (plain.points(&payload).1, some.points(&payload).1);
        let wanted = |point: &&Point| {
            point.tags["market_id"] == "1.1"
                && !matches!(point.fields.get("back_price"), Some(Field::Float(price)) if *price >= 3.0)
        };
        assert_eq!(found, before.iter().filter(wanted).cloned().collect::<Vec<_>>(), "{market} {price}");
        all += before.len() as u64;
    }
    let (plain, some) = (*plain.counts(), *some.counts());
    assert_eq!(some.candidates, plain.candidates);
    // What would have been unchanged there is filtered, too: each candidate stands in one class.
    assert_eq!(some.points_made + some.filtered + some.unchanged, all + plain.unchanged);
    assert!(some.unchanged < plain.unchanged && some.points_made > 0 && some.filtered > 0);
}

#[test]
fn conditions_on_text_flags_and_integers_hold_of_a_feed_of_ones_own() {
    let field = |name: &str, kind| (name.to_owned(), vec![name.to_owned()], kind);
    let custom = Custom {
        measurement: "m".into(),
        time: None,
        tags: vec![("symbol".into(), vec!["s".into()])],
        fields: vec![
            field("n", CustomType::Int),
            field("open", CustomType::Bool),
            field("state", CustomType::Str),
        ],
    };
    let payloads: Vec<Vec<u8>> = (0..6)
        .map(|n| {
            pack(json!({"s": "A", "n": n, "open": n % 2 == 0, "state": if n < 2 { "OPEN" } else { "SHUT" }}))
        })
        .collect();
    let made = |condition: &str| {
        let mut rig = Rig::new(filtered(custom_feed(custom.clone()), filter(&[], &[], Some(condition))));
        let made = payloads.iter().map(|payload| rig.points(payload).1.len()).sum::<usize>();
        assert_eq!(rig.counts().filtered as usize, payloads.len() - made, "{condition}");
        made
    };
    let conditions =
        ["n >= 4", "n != 4", "open == true", "open != true", "state == 'OPEN'", "state != 'OPEN'"];
    assert_eq!(conditions.map(made), [2, 5, 3, 3, 2, 4]);
}

#[test]
fn the_predecessors_row_goes_the_way_of_its_pair() {
    let kraken = filtered(feed(DecoderKind::KrakenTick, FieldChoice::Core), filter(&["BTC/USD"], &[], None));
    let mut rig = Rig::with_legacy(kraken, true);
    let rest = |name: &str| pack(json!({"result": {name: {"a": ["3", "1", "1"], "b": ["2", "1", "1"]}}}));
    assert_eq!([rest("XXBTZUSD"), rest("XETHZUSD")].map(|payload| rig.points(&payload).1.len()), [2, 0]);
    assert_eq!((rig.counts().filtered, rig.counts().candidates), (2, 4));
}

#[test]
fn a_quote_that_the_filter_kept_back_holds_no_later_one_back() {
    let by = filter(&["BTC/*"], &[], Some("bid > 1"));
    let kraken = Feed { deadband_ppm: Some(1_000_000), ..feed(DecoderKind::KrakenTick, FieldChoice::Core) };
    let mut rig = Rig::new(filtered(kraken, by));
    let tick = |pair: &str, bid: &str| pack(json!({"symbol": pair, "bid": bid, "ask": "3"}));
    let made =
        [("BTC/USD", "0.9"), ("BTC/USD", "1.1"), ("BTC/USD", "1.2"), ("ETH/USD", "2"), ("ETH/USD", "2")]
            .map(|(pair, bid)| rig.points(&tick(pair, bid)).1.len());
    assert_eq!(made, [0, 1, 0, 0, 0]);
    assert_eq!((rig.counts().filtered, rig.counts().unchanged), (3, 1));
}

#[test]
fn series_that_are_left_out_are_bounded_too() {
    let oanda = Feed { series_max: 2, ..feed(DecoderKind::OandaTick, FieldChoice::Core) };
    let mut rig = Rig::new(filtered(oanda, filter(&["EUR_USD"], &[], None)));
    let price = |name: &str| pack(json!({"type": "PRICE", "instrument": name, "bid": "1", "ask": "2"}));
    for name in ["EUR_USD", "A_B", "C_D", "A_B", "EUR_USD"] {
        assert_eq!(rig.lines(&price(name)).0, FrameClass::Points);
    }
    let counts = rig.counts();
    assert_eq!((counts.points_made, counts.filtered, counts.bad_points), (2, 2, 1));
}

#[test]
fn a_condition_on_what_is_not_written_or_of_another_type_is_refused() {
    let error = |decoder, fields, condition| {
        let feed = filtered(feed(decoder, fields), filter(&[], &[], Some(condition)));
        let instruments = Arc::new(Instruments::from_csv(INSTRUMENTS).unwrap());
        Decoder::new(&DecoderSpec { feed, legacy_tick: false }, instruments)
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    let list = || FieldChoice::List(globs(&["bid", "ask"]));
    assert_eq!(
        error(DecoderKind::KrakenTick, list(), "bid_qty > 1"),
        "where: must name one of the fields written (bid, ask), found \"bid_qty\""
    );
    assert_eq!(
        error(DecoderKind::OandaTick, FieldChoice::Core, "tradeable == 1"),
        "where: must compare tradeable with a value of its type, see tickline schema"
    );
    let spread =
        filtered(feed(DecoderKind::OandaTick, FieldChoice::All), filter(&[], &[], Some("spread > 0.1")));
    let mut rig = Rig::new(spread);
    let price = |ask: &str| pack(json!({"instrument": "EUR_USD", "bid": "1.0", "ask": ask}));
    assert_eq!(
        ["1.1", "1.11"].map(|ask| rig.points(&price(ask)).1.len()),
        [0, 1],
        "a computed field counts, too"
    );
}
