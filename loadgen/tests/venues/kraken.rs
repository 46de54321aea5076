//! Kraken: the protocol, the books with their checksums, REST, and recordings.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256, Sha512};
use tickline_loadgen::venue::kraken::{Credentials, KrakenVenue, start};
use tickline_loadgen::venue::{Feed, Pace, Simulator};

use crate::client::{Socket, get, recordings, request};

fn venue(messages: u64) -> KrakenVenue {
    KrakenVenue {
        feed: Feed { messages: Some(messages), ..Feed::default() },
        symbols: vec!["BTC/USD".to_owned(), "ETH/USD".to_owned(), "DOGE/USD".to_owned()],
        ..KrakenVenue::default()
    }
}

pub(crate) fn subscribe(socket: &mut Socket, channel: &str, symbols: &[&str], extra: &str) {
    socket.say(&format!(
        "{{\"method\":\"subscribe\",\"params\":{{\"channel\":\"{channel}\",\"symbol\":{symbols:?}{extra}}},\"req_id\":7}}"
    ));
}

/// A client's book of texts, kept by the rules of the venue's documentation.
#[derive(Default)]
pub(crate) struct Book {
    sides: [BTreeMap<i64, (String, String)>; 2],
}

#[derive(serde::Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    data: Vec<Data<'a>>,
}

#[derive(serde::Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    bids: Vec<Level<'a>>,
    #[serde(borrow)]
    asks: Vec<Level<'a>>,
    checksum: u32,
}

#[derive(serde::Deserialize)]
struct Level<'a> {
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    qty: &'a RawValue,
}

impl Book {
    /// True if the checksum fits.
    pub(crate) fn take(&mut self, text: &str, depth: usize) -> bool {
        let frame: Frame<'_> = serde_json::from_str(text).unwrap();
        let [data] = frame.data.as_slice() else { panic!("{text}") };
        if frame.kind == "snapshot" {
            *self = Self::default();
            assert!(data.bids.len() <= depth && data.asks.len() <= depth);
        }
        for (side, (levels, sign)) in self.sides.iter_mut().zip([(&data.asks, 1.0), (&data.bids, -1.0)]) {
            for level in levels {
                let (price, qty) = (level.price.get(), level.qty.get());
                let key = (price.parse::<f64>().unwrap() * sign * 1e9) as i64;
                if qty.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
                    side.remove(&key);
                } else {
                    side.insert(key, (price.to_owned(), qty.to_owned()));
                }
            }
            while side.len() > depth {
                side.pop_last();
            }
        }
        let mut digits = String::new();
        for (price, qty) in self.sides.iter().flat_map(|side| side.values().take(10)) {
            digits += price.replace('.', "").trim_start_matches('0');
            digits += qty.replace('.', "").trim_start_matches('0');
        }
        crc32fast::hash(digits.as_bytes()) == data.checksum
    }
}

#[test]
fn a_connection_begins_with_the_status_and_each_symbol_gets_its_ack() {
    let venue = start(venue(0)).unwrap();
    let mut socket = Socket::open(&venue);
    let status = socket.json();
    assert_eq!((&status["channel"], &status["data"][0]["system"]), (&"status".into(), &"online".into()));
    assert!(status["data"][0]["connection_id"].as_u64().unwrap() > 1 << 53);
    subscribe(&mut socket, "ticker", &["BTC/USD", "NONE/USD", "ETH/USD"], ",\"snapshot\":false");
    let acks: Vec<Value> = (0..3).map(|_| socket.json()).collect();
    assert_eq!(acks[0]["result"]["symbol"], "BTC/USD");
    assert_eq!(acks[2]["result"]["symbol"], "ETH/USD");
    assert_eq!(acks[1]["error"], "Currency pair not supported NONE/USD");
    let (said, ids): (Vec<&Value>, Vec<&Value>) =
        acks.iter().map(|ack| (&ack["success"], &ack["req_id"])).unzip();
    assert_eq!((said, ids), (vec![&true.into(), &false.into(), &true.into()], vec![&Value::from(7); 3]));
    assert!(
        acks.iter().all(|ack| ack.get("type").is_none() && ack["time_in"].as_str().unwrap().ends_with('Z'))
    );
    subscribe(&mut socket, "book", &["BTC/USD"], ",\"depth\":27");
    assert_eq!(socket.json()["error"], "Subscription depth not supported");
    socket.say(r#"{"method":"ping","req_id":101}"#);
    let pong = socket.json();
    assert_eq!((&pong["method"], &pong["req_id"]), (&"pong".into(), &101.into()));
    socket.say(r#"{"method":"unsubscribe","params":{"channel":"ticker","symbol":["BTC/USD"]}}"#);
    let ack = socket.json();
    assert_eq!((&ack["result"]["symbol"], &ack["success"]), (&"BTC/USD".into(), &true.into()));
    subscribe(&mut socket, "instrument", &[], "");
    assert_eq!(socket.json()["success"], true);
    let instruments = socket.next().unwrap();
    assert!(instruments.contains("\"qty_increment\":1e-08") && instruments.contains("\"price_precision\":1"));
    // Heartbeats come by themselves, and have no type.
    assert_eq!(socket.of("heartbeat"), r#"{"channel":"heartbeat"}"#);
}

#[test]
fn every_checksum_fits_the_text_at_every_depth() {
    let venue = start(venue(u64::MAX)).unwrap();
    for depth in [10, 25, 100, 500, 1_000] {
        let mut socket = Socket::open(&venue);
        let pair = if depth == 1_000 { "DOGE/USD" } else { "BTC/USD" };
        subscribe(&mut socket, "book", &[pair], &format!(",\"depth\":{depth}"));
        let mut book = Book::default();
        let first = socket.of("book");
        assert!(first.contains("\"type\":\"snapshot\"") && book.take(&first, depth), "{first}");
        // Further subscribers join a book that has moved on.
        for _ in 0..400 {
            let text = socket.of("book");
            assert!(book.take(&text, depth), "{depth}: {text}");
        }
        assert_eq!(book.sides.each_ref().map(BTreeMap::len), [depth; 2]);
    }
}

#[test]
fn what_a_client_gets_is_what_the_record_says_and_depends_on_the_seed_alone() {
    let run = |seed: u64| -> Vec<String> {
        let mut venue = venue(300);
        venue.feed.seed = seed;
        let venue = start(venue).unwrap();
        let mut socket = Socket::open(&venue);
        subscribe(&mut socket, "trade", &["BTC/USD"], "");
        let got: Vec<String> = (0..300).map(|_| socket.of("trade")).collect();
        let record = venue.stop();
        assert_eq!(record.made["trade BTC/USD"], 300);
        assert!(record.ended && record.journal.is_empty());
        assert_eq!(got, record.sent.iter().map(|sent| sent.text.clone()).collect::<Vec<String>>());
        got.iter().map(|text| text.split("\"timestamp\"").next().unwrap().to_owned()).collect()
    };
    let (first, again, other) = (run(1), run(1), run(2));
    assert_eq!(first, again);
    assert_ne!(first, other);
}

fn ids(text: &str) -> Vec<u64> {
    let message: Value = serde_json::from_str(text).unwrap();
    message["data"].as_array().unwrap().iter().map(|trade| trade["trade_id"].as_u64().unwrap()).collect()
}

#[test]
fn rest_knows_the_same_pairs_and_gives_the_trades_since_any_of_them() {
    let venue = start(venue(500)).unwrap();
    let mut socket = Socket::open(&venue);
    subscribe(&mut socket, "trade", &["BTC/USD"], "");
    let live: Vec<u64> = (0..500).flat_map(|_| ids(&socket.of("trade"))).collect();
    assert!(live.windows(2).all(|pair| pair[1] == pair[0] + 1));
    let (mut since, mut found) = ("0".to_owned(), Vec::new());
    loop {
        let page = get(&venue, &format!("/0/public/Trades?pair=XBTUSD&since={since}&count=70"));
        let trades = page["result"]["XXBTZUSD"].as_array().unwrap();
        if trades.is_empty() {
            break;
        }
        found.extend(trades.iter().map(|trade| trade[6].as_u64().unwrap()));
        page["result"]["last"].as_str().unwrap().clone_into(&mut since);
    }
    assert_eq!(found, live);
    let pairs = get(&venue, "/0/public/AssetPairs");
    assert_eq!(pairs["result"]["XDGUSD"]["wsname"], "XDG/USD");
    assert_eq!(
        (&pairs["result"]["XXBTZUSD"]["pair_decimals"], &pairs["result"]["XXBTZUSD"]["lot_decimals"]),
        (&1.into(), &8.into())
    );
    let ticker = get(&venue, "/0/public/Ticker?pair=XBTUSD,ETHUSD");
    assert_eq!(ticker["result"].as_object().unwrap().len(), 2);
    assert_eq!(ticker["result"]["XXBTZUSD"]["a"].as_array().unwrap().len(), 3);
    let depth = get(&venue, "/0/public/Depth?pair=XBTUSD&count=3");
    assert_eq!(depth["result"]["XXBTZUSD"]["asks"].as_array().unwrap().len(), 3);
    assert!(get(&venue, "/0/public/Time")["result"]["unixtime"].as_i64().unwrap() > 0);
    assert_eq!(get(&venue, "/0/public/SystemStatus")["result"]["status"], "online");
    assert_eq!(get(&venue, "/0/public/Ticker?pair=NONE")["error"][0], "EQuery:Unknown asset pair");
}

/// A token, as a client asks for it; `spoil` is appended to the signature.
pub(crate) fn token(venue: &Simulator, spoil: &str) -> Value {
    let (path, body) = ("/0/private/GetWebSocketsToken", "nonce=1616492376594");
    let credentials = Credentials::default();
    let mut mac = Hmac::<Sha512>::new_from_slice(&STANDARD.decode(credentials.secret).unwrap()).unwrap();
    mac.update(path.as_bytes());
    mac.update(&Sha256::digest(format!("1616492376594{body}")));
    let sign = STANDARD.encode(mac.finalize().into_bytes());
    let headers = format!("API-Key: {}\r\nAPI-Sign: {sign}{spoil}\r\n", credentials.key);
    serde_json::from_str(&request(venue, "POST", path, &headers, body).1).unwrap()
}

#[test]
fn executions_need_a_token_that_a_signed_request_gives_and_are_numbered() {
    let venue = start(venue(200)).unwrap();
    assert_eq!(token(&venue, "x")["error"][0], "EAPI:Invalid signature");
    let (_, body) = request(&venue, "POST", "/0/private/GetWebSocketsToken", "", "nonce=1");
    assert!(body.contains("EAPI:Invalid key"), "{body}");
    let given = token(&venue, "");
    let mut socket = Socket::open(&venue);
    let ask = |token: &str| {
        format!(
            "{{\"method\":\"subscribe\",\"params\":{{\"channel\":\"executions\",\"token\":\"{token}\"}}}}"
        )
    };
    socket.say(&ask("mine"));
    socket.json();
    let refused = socket.json();
    assert_eq!((&refused["success"], &refused["error"]), (&false.into(), &"ESession:Invalid session".into()));
    socket.say(&ask(given["result"]["token"].as_str().unwrap()));
    assert_eq!(socket.json()["success"], true);
    let messages: Vec<Value> =
        (0..201).map(|_| serde_json::from_str(&socket.of("executions")).unwrap()).collect();
    assert_eq!(messages[0]["type"], "snapshot");
    for (message, number) in messages.iter().zip(1_u64..) {
        assert_eq!(message["sequence"], number);
    }
    // The event that fills an order says `partially_filled`; an event of its own says that it is filled.
    let events: Vec<(&Value, &Value)> =
        messages[1..].iter().map(|m| (&m["data"][0]["exec_type"], &m["data"][0]["order_status"])).collect();
    assert!(events.contains(&(&"trade".into(), &"partially_filled".into())));
    assert!(events.contains(&(&"filled".into(), &"filled".into())));
}

#[test]
fn the_same_is_said_over_tls() {
    let mut plan = venue(100);
    plan.feed.tls = true;
    let venue = start(plan).unwrap();
    assert!(venue.stream.starts_with("wss://") && venue.rest.starts_with("https://"));
    let mut socket = Socket::open(&venue);
    subscribe(&mut socket, "book", &["ETH/USD"], "");
    let mut book = Book::default();
    assert!((0..101).all(|_| book.take(&socket.of("book"), 10)));
    assert_eq!(get(&venue, "/0/public/SystemStatus")["error"], Value::Array(Vec::new()));
}

#[test]
fn recorded_frames_come_as_they_were_recorded() {
    let Some(folder) = recordings("kraken") else { return };
    for (file, symbol, depth, frames) in [
        ("ws_v2_book_btcusd_d25_20260802.cbcap.gz", "BTC/USD", 25, 2_052),
        ("ws_v2_book_btcusd_d10_resub_20260801.cbcap.gz", "BTC/USD", 10, 301),
    ] {
        let path = folder.join(file);
        let venue = KrakenVenue {
            feed: Feed { pace: Pace::Recorded(1_000.0), ..Feed::default() },
            recordings: vec![path.clone()],
            ..KrakenVenue::default()
        };
        let venue = start(venue).unwrap();
        let mut socket = Socket::open(&venue);
        subscribe(&mut socket, "book", &[symbol], &format!(",\"depth\":{depth}"));
        let mut book = Book::default();
        let got: Vec<String> = (0..frames).map(|_| socket.of("book")).collect();
        assert!(got.iter().all(|text| book.take(text, depth)), "{file}");
        let bytes = std::fs::read(&path).unwrap();
        let mut recorded = String::new();
        std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(&*bytes), &mut recorded)
            .unwrap();
        let frames: Vec<&str> =
            recorded.lines().filter(|line| line.starts_with("{\"channel\":\"book\"")).collect();
        assert_eq!(got, frames, "{file}");
        // Who comes later gets the book as it is now.
        let mut late = Socket::open(&venue);
        subscribe(&mut late, "book", &[symbol], &format!(",\"depth\":{depth}"));
        assert!(Book::default().take(&late.of("book"), depth));
    }
}
