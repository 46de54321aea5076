//! Each payload shape of WIRE.md, built here as a JSON-like tree and written with `rmp`, and the line it makes.

use std::sync::Arc;

use serde_json::{Value, json};
use tickline_config::model::{
    Custom, CustomTime, CustomType, DecoderKind, Feed, FieldChoice, Filter, Format, Session, SocketKind,
    SystemFields, Tiebreak, TimeUnit,
};
use tickline_feeds::clock::WallNanos;
use tickline_feeds::decoder::{Decoder, DecoderSpec, FrameClass};
use tickline_feeds::frame::Frame;
use tickline_feeds::instruments::Instruments;

const RECV: i64 = 1_785_641_762_700_000_000;

fn feed(decoder: DecoderKind, fields: FieldChoice) -> Feed {
    Feed {
        silence_max: None,
        data_silence_max: None,
        session: Session::Always,
        curve_server_key: None,
        endpoint: "tcp://127.0.0.1:1".into(),
        topic: "t".into(),
        aliases: vec![],
        decoder,
        format: Format::Msgpack,
        account: None,
        fields,
        system_fields: SystemFields { recv_ns: false, flags: true, seq: false },
        tiebreak: Tiebreak::Ordinal,
        fan_in: false,
        socket: SocketKind::Sub,
        filter: Filter::default(),
        deadband_ppm: None,
        series_max: 1_000,
        custom: None,
    }
}

fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => rmp::encode::write_nil(out).unwrap(),
        Value::Bool(b) => rmp::encode::write_bool(out, *b).unwrap(),
        Value::Number(n) if n.is_i64() => {
            rmp::encode::write_sint(out, n.as_i64().unwrap()).unwrap();
        }
        Value::Number(n) => rmp::encode::write_f64(out, n.as_f64().unwrap()).unwrap(),
        Value::String(s) => rmp::encode::write_str(out, s).unwrap(),
        Value::Array(items) => {
            rmp::encode::write_array_len(out, items.len() as u32).unwrap();
            items.iter().for_each(|item| write(out, item));
        }
        Value::Object(map) => {
            rmp::encode::write_map_len(out, map.len() as u32).unwrap();
            for (key, item) in map {
                rmp::encode::write_str(out, key).unwrap();
                write(out, item);
            }
        }
    }
}

struct Bench {
    decoder: Decoder,
    lines: Vec<u8>,
}

impl Bench {
    fn new(feed: Feed) -> Self {
        let table = "rest_name,altname,wsname,base,quote\nXXBTZUSD,XBTUSD,XBT/USD,BTC,USD\n";
        let instruments = Arc::new(Instruments::from_csv(table).unwrap());
        let decoder = Decoder::new(&DecoderSpec { feed, legacy_tick: false }, instruments).unwrap();
        Self { decoder, lines: Vec::new() }
    }

    fn decode(&mut self, payload: &Value) -> (FrameClass, String) {
        let mut bytes = Vec::new();
        write(&mut bytes, payload);
        let frame = Frame {
            feed: 0,
            endpoint: 0,
            recv: WallNanos(RECV),
            topic: b"t",
            payload: &bytes,
            oversized: false,
        };
        self.lines.clear();
        let decoded = self.decoder.decode(&frame, &mut self.lines);
        assert!(self.decoder.counts().balanced(), "{:?}", self.decoder.counts());
        (decoded.class, String::from_utf8(self.lines.clone()).unwrap())
    }
}

#[test]
fn a_websocket_ticker_becomes_one_line_with_its_own_digits() {
    let mut bench = Bench::new(feed(DecoderKind::KrakenTick, FieldChoice::Core));
    let element = json!({"symbol": "XBT/USD", "bid": "63388.70", "bid_qty": "0.2", "ask": "63401.3", "ask_qty": "1",
        "last": "63395.0", "volume": "1834.12345678", "vwap": "63150.9", "low": "1", "high": "2", "change": "3",
        "change_pct": "0.5", "timestamp": "2026-08-02T03:36:02.621302Z"});
    let line = "kraken_tick,base=BTC,exchange=kraken,pair=BTC/USD,quote=USD bid=63388.70,bid_qty=0.2,ask=63401.3,\
                ask_qty=1,last_trade_price=63395.0,volume=1834.12345678,vwap=63150.9 1785641762621302000\n";
    assert_eq!(bench.decode(&element), (FrameClass::Points, line.to_string()));
    let message = json!({"data": [element], "type": "snapshot", "channel": "ticker"});
    let snapshot = line.replace(" 1785641762621302000\n", ",flags=1i 1785641762621302001\n");
    assert_eq!(bench.decode(&message), (FrameClass::Points, snapshot));
}

#[test]
fn a_rest_pair_has_no_venue_time_and_all_nineteen_fields_but_the_changes() {
    let mut bench = Bench::new(feed(DecoderKind::KrakenTick, FieldChoice::All));
    let payload = json!({"error": [], "result": {"XXBTZUSD": {"a": ["3", "1", "1.5"], "b": ["2", "9", "2.5"],
        "c": ["4", "0.1"], "v": ["5", "6"], "p": ["7", "8"], "t": [9, 10], "l": ["11", "12"], "h": ["13", "14"],
        "o": "15"}}});
    let line = format!(
        "kraken_tick,base=BTC,exchange=kraken,pair=BTC/USD,quote=USD bid=2,bid_qty=2.5,ask=3,ask_qty=1.5,\
         last_trade_price=4,volume=6,vwap=8,last_trade_qty=0.1,volume_today=5,vwap_today=7,trades=10i,trades_today=9i,\
         low=12,low_today=11,high=14,high_today=13,open=15,flags=8i {RECV}\n"
    );
    assert_eq!(bench.decode(&payload), (FrameClass::Points, line));
}

#[test]
fn an_oanda_price_takes_the_best_bucket_and_computes_the_spread_in_decimal() {
    let mut bench = Bench::new(feed(DecoderKind::OandaTick, FieldChoice::All));
    let payload = json!({"type": "PRICE", "time": "2026-08-03T12:30:00.123456789Z",
        "bids": [{"price": "1.19195", "liquidity": 10000000}, {"price": "1.19197", "liquidity": 500000}],
        "asks": [{"price": "1.1921", "liquidity": "10000000"}], "closeoutBid": "1.1", "closeoutAsk": "1.2",
        "status": "tradeable", "instrument": "EUR_USD"});
    let line = "oanda_tick,base=EUR,exchange=oanda,instrument=EUR_USD,quote=USD bid=1.19197,ask=1.1921,\
                bid_liquidity=500000i,ask_liquidity=10000000i,tradeable=true,spread=0.00013,closeout_bid=1.1,\
                closeout_ask=1.2 1785760200123456789\n";
    assert_eq!(bench.decode(&payload), (FrameClass::Points, line.to_string()));
}

#[test]
fn a_book_becomes_one_line_a_level_at_one_time() {
    let mut bench = Bench::new(feed(DecoderKind::KrakenDepth, FieldChoice::All));
    let payload = json!({"symbol": "BTC/USD", "timestamp": "2026-08-02T03:36:02.621302Z", "checksum": 2904142184_u32,
        "bids": [["2", "1.0"], ["1", "3"]], "asks": [["3", "0.5"], [null, "0"]]});
    let key = |level| format!("kraken_depth,base=BTC,exchange=kraken,level={level},pair=BTC/USD,quote=USD");
    let lines = format!(
        "{} bid_price=2,bid_size=1.0,ask_price=3,ask_size=0.5,checksum=2904142184i 1785641762621302000\n\
         {} bid_price=1,bid_size=3,ask_size=0 1785641762621302000\n",
        key(0),
        key(1)
    );
    assert_eq!(bench.decode(&payload), (FrameClass::Points, lines));
}

#[test]
fn betfair_points_carry_all_that_is_known_of_a_runner() {
    let mut bench = Bench::new(feed(DecoderKind::BetfairStream, FieldChoice::Core));
    let mut step = |payload: Value, lines: &str| {
        assert_eq!(bench.decode(&payload), (FrameClass::Points, lines.to_string()));
    };
    step(
        json!({"op": "mcm", "pt": 1785700000123_i64, "ct": "SUB_IMAGE", "mc": [{"id": "1.2", "img": true,
            "rc": [{"atb": [["2.66", "1"], ["2.64", "13.2"]], "id": 7, "ltp": "2.7"}]}]}),
        "betfair_stream,exchange=betfair,market_id=1.2,selection_id=7 back_price=2.66,back_size=1,last_price=2.7,\
         flags=1i 1785700000123000000\n",
    );
    step(
        json!({"op": "mcm", "pt": 1785700000124_i64, "mc": [{"id": "1.2", "con": true,
            "rc": [{"id": 7, "atb": [["2.66", "0"]], "tv": "5.50"}]}]}),
        "betfair_stream,exchange=betfair,market_id=1.2,selection_id=7 back_price=2.64,back_size=13.2,last_price=2.7,\
         matched_amount=5.50,flags=2i 1785700000124000000\n",
    );
    step(
        json!({"op": "mcm", "pt": 1785700000125_i64, "mc": [{"id": "1.2", "rc": [{"id": 7, "atb": []}]}]}),
        "betfair_stream,exchange=betfair,market_id=1.2,selection_id=7 back_size=0,last_price=2.7,\
         matched_amount=5.50 1785700000125000000\n",
    );
    step(
        json!({"op": "mcm", "pt": 1785700000126_i64, "mc": [{"id": "1.2", "rc": [{"id": 7, "atl": []}]}]}),
        "betfair_stream,exchange=betfair,market_id=1.2,selection_id=7 back_size=0,lay_size=0,last_price=2.7,matched_amount=5.50 1785700000126000000\n",
    );
}

#[test]
fn one_value_of_a_custom_feed_may_be_a_tag_and_fields_of_several_types() {
    let path = |key: &str| vec![key.to_owned()];
    let custom = Custom {
        measurement: "m".into(),
        time: Some(CustomTime { path: path("ts"), unit: TimeUnit::Millis }),
        tags: vec![("sym".into(), path("sym"))],
        fields: vec![
            ("price".into(), path("px"), CustomType::Float),
            ("sym_text".into(), path("sym"), CustomType::Str),
            ("px_int".into(), path("px"), CustomType::Int),
            ("ms".into(), path("ts"), CustomType::Int),
        ],
    };
    let mut bench = Bench::new(Feed { custom: Some(custom), ..feed(DecoderKind::Custom, FieldChoice::All) });
    let line = "m,sym=A price=5,sym_text=\"A\",px_int=5i,ms=7i 7000000\n";
    assert_eq!(bench.decode(&json!({"sym": "A", "px": 5, "ts": 7})), (FrameClass::Points, line.to_string()));
}

#[test]
fn a_heartbeat_before_the_first_message_shows_that_those_after_it_were_lost() {
    let mut bench = Bench::new(feed(DecoderKind::OandaTick, FieldChoice::Core));
    bench.decode(&json!({"_hb": true, "_src": 7, "_seq": 0, "_ts": RECV}));
    bench
        .decode(&json!({"_src": 7, "_seq": 5, "_ts": RECV, "instrument": "EUR_USD", "bid": "1", "ask": "2"}));
    let counts = bench.decoder.counts();
    assert_eq!((counts.published, counts.sequenced, counts.lost_before_receive), (5, 1, 4));
}
