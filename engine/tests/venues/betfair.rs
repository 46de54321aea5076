//! Betfair over TLS: what the venue says arrives as it is and in order, also in parts; a stream that breaks goes on from
//! its clock, and what may be missing is told.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tickline_loadgen::venue::betfair::{BetfairVenue, start};
use tickline_loadgen::venue::{Feed, Pace, Simulator};

use crate::bus::{Bus, Heard};

const SECOND_NS: i64 = 1_000_000_000;

pub(crate) fn venue(feed: Feed) -> Simulator {
    start(BetfairVenue { feed, ..BetfairVenue::default() }).unwrap()
}

pub(crate) fn faulty(messages: u64, rate: f64, faults: &[&str]) -> Simulator {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    venue(Feed { messages: Some(messages), pace: Pace::Rate(rate), faults, ..Feed::default() })
}

/// A publisher with a session that somebody else has got; every market is asked for.
pub(crate) fn publisher(kind: &str, venue: &Simulator, more: &str) -> String {
    let (address, rest) = (&venue.stream, &venue.rest);
    let all = if kind == "betfair_stream" {
        "event_type_ids = []\ncountry_codes = []\nmarket_types = []\nfields = [\"EX_ALL_OFFERS\", \"EX_LTP\", \"EX_TRADED_VOL\", \"EX_MARKET_DEF\"]\n"
    } else {
        ""
    };
    format!(
        "[publishers.{kind}]\naddress = {address:?}\nlogin_url = {rest:?}\nkeep_alive_url = {rest:?}\n\
         app_key = \"env:BETFAIR_APP_KEY\"\n{all}{more}\n"
    )
}

pub(crate) const SESSION: &str = "session = \"env:BETFAIR_SESSION\"";

/// The folder of the venue's certificates, and the publishers that believe them.
pub(crate) fn bus(toml: &str, venue: &Simulator) -> (Bus, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    venue.certificates.as_ref().expect("it is over TLS").write(folder.path()).unwrap();
    (Bus::start(toml, Some(&folder.path().join("ca.pem"))), folder)
}

/// Numbers and texts that are numbers as one, without the keys of every payload.
fn plain(value: &Value) -> Value {
    match value {
        Value::String(text) => text.parse::<f64>().map_or_else(|_| value.clone(), Value::from),
        Value::Number(number) => Value::from(number.as_f64()),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(entries) => entries
            .iter()
            .filter(|(key, _)| !key.starts_with('_'))
            .map(|(key, value)| (key.clone(), plain(value)))
            .collect(),
        other => other.clone(),
    }
}

/// What the venue has sent, in its order.
pub(crate) fn sent(venue: &Simulator) -> Vec<Value> {
    let record = venue.record();
    let lines = record.sent.iter().filter(|sent| sent.connection > 0);
    lines.map(|sent| plain(&serde_json::from_str(&sent.text).unwrap())).collect()
}

/// What was published of it: neither the venue's heartbeats nor repeated images.
pub(crate) fn passed_on(bus: &Bus, topic: &str) -> Vec<Value> {
    let is_said = |payload: &&Value| payload["ct"] != "HEARTBEAT" && payload.get("_image").is_none();
    bus.data(topic).filter(is_said).map(plain).collect()
}

/// Waits until everything is said and has arrived.
pub(crate) fn until_all(bus: &mut Bus, venue: &Simulator, topic: &str) {
    bus.until("every message", |heard| {
        let is_said = |heard: &&Heard| {
            heard.topic == topic
                && heard.is_data()
                && heard.payload["ct"] != "HEARTBEAT"
                && heard.payload.get("_image").is_none()
        };
        venue.record().ended && heard.iter().filter(is_said).count() == sent(venue).len()
    });
}

#[test]
fn recorded_markets_arrive_as_they_were_said() {
    let Some(folder) = std::env::var_os("TICKLINE_RECORDINGS").map(PathBuf::from) else {
        return println!("skipped: TICKLINE_RECORDINGS not set");
    };
    let names = [
        "flumine_1.197931750.jsonl.gz",
        "flumine_1.200806927.jsonl.gz",
        "flumine_BASIC-1.132153978.jsonl.gz",
    ];
    let recordings = names.iter().map(|name| folder.join("betfair").join(name)).collect();
    let venue = start(BetfairVenue { recordings, ..BetfairVenue::default() }).unwrap();
    let (mut bus, _folder) = bus(&publisher("betfair_stream", &venue, SESSION), &venue);
    until_all(&mut bus, &venue, "betfair_stream");
    assert!(sent(&venue).len() > 19_000);
    for (at, (found, expected)) in passed_on(&bus, "betfair_stream").iter().zip(&sent(&venue)).enumerate() {
        assert_eq!(found, expected, "message {at}");
    }
    let instruments: Vec<&str> =
        bus.data("instruments").map(|payload| payload["instrument"].as_str().unwrap()).collect();
    assert!(
        ["1.197931750", "1.200806927", "1.132153978"].iter().all(|id| instruments.contains(id)),
        "{instruments:?}"
    );
}

#[test]
fn an_image_in_parts_arrives_in_its_parts() {
    let feed = Feed { messages: Some(20), ..Feed::default() };
    let venue = start(BetfairVenue { feed, markets: 150, ..BetfairVenue::default() }).unwrap();
    let (mut bus, _folder) = bus(&publisher("betfair_stream", &venue, SESSION), &venue);
    until_all(&mut bus, &venue, "betfair_stream");
    let said = passed_on(&bus, "betfair_stream");
    assert_eq!(said, sent(&venue));
    let parts: Vec<&str> = said.iter().filter_map(|message| message["segmentType"].as_str()).collect();
    assert_eq!((parts.first(), parts.last()), (Some(&"SEG_START"), Some(&"SEG_END")));
}

/// The one hole of the journal, and that one of those told has its span to a second.
fn assert_told(bus: &Bus, venue: &Simulator, kind: &str) {
    let record = venue.record();
    let hole = &record.journal[0].holes[0];
    let told = bus.heard.iter().filter(|heard| heard.event() == Some(kind)).filter_map(Heard::span);
    let near = |(from, to): (i64, i64)| {
        (from - hole.from_ns).abs() < SECOND_NS && (to - hole.to_ns.unwrap()).abs() < SECOND_NS
    };
    assert!(told.clone().any(near), "{hole:?} {:?}", told.collect::<Vec<_>>());
}

fn asked<'a>(record: &'a tickline_loadgen::venue::journal::Record, op: &str) -> Vec<&'a str> {
    let of = |text: &&str| text.contains(&format!("\"op\":\"{op}\""));
    record.received.iter().map(|received| received.text.as_str()).filter(of).collect()
}

#[test]
fn a_stream_that_breaks_goes_on_from_its_clock_and_tells_the_gap() {
    let venue = faulty(300, 100.0, &["disconnect 40 after 100 of market 1.230000000"]);
    let (mut bus, _folder) = bus(&publisher("betfair_stream", &venue, SESSION), &venue);
    until_all(&mut bus, &venue, "betfair_stream");
    assert_eq!(passed_on(&bus, "betfair_stream"), sent(&venue));
    assert_told(&bus, &venue, "gap");
    let record = venue.record();
    let asked = asked(&record, "marketSubscription");
    let [first, second] = asked.as_slice() else { panic!("{asked:?}") };
    assert!(
        !first.contains("clk") && second.contains("initialClk") && second.contains("\"clk\""),
        "{asked:?}"
    );
    assert_eq!(sent(&venue).iter().filter(|message| message["ct"] == "RESUB_DELTA").count(), 1);
}

#[test]
fn a_clock_that_is_not_taken_is_left_out_and_status_503_is_told() {
    let venue = faulty(400, 100.0, &["disconnect 5 after 60 of market 1.230000000", "invalid-clock 1"]);
    let (mut bus, _folder) = bus(&publisher("betfair_stream", &venue, SESSION), &venue);
    bus.until("the new image", |heard| heard.iter().any(|heard| heard.event() == Some("resync")));
    venue.inject("unreliable 10 of market 1.230000000".parse().unwrap()).unwrap();
    until_all(&mut bus, &venue, "betfair_stream");
    let images = sent(&venue).iter().filter(|message| message["ct"] == "SUB_IMAGE").count();
    assert_eq!(images, 2, "the venue begins anew");
    let events: Vec<&str> = bus.heard.iter().filter_map(Heard::event).collect();
    for kind in ["down", "resync", "suspect", "clean"] {
        assert!(events.contains(&kind), "{kind} in {events:?}");
    }
    let said = passed_on(&bus, "betfair_stream");
    assert_eq!(said, sent(&venue));
    assert_eq!(said.iter().filter(|message| message["status"] == 503.0).count(), 10);
}

#[test]
fn orders_of_the_account_arrive_as_they_are() {
    let venue = faulty(120, 200.0, &[]);
    let (mut bus, _folder) = bus(&publisher("betfair_orders", &venue, SESSION), &venue);
    until_all(&mut bus, &venue, "betfair_orders");
    let said = passed_on(&bus, "betfair_orders");
    assert_eq!(said, sent(&venue));
    assert!(said.iter().all(|message| message["op"] == "ocm"));
}

fn with_certificate(kind: &str, venue: &Simulator, folder: &Path, password: &str) -> String {
    let identity = folder.join("both.pem");
    let certificates = venue.certificates.as_ref().unwrap();
    std::fs::write(&identity, format!("{}{}", certificates.client, certificates.client_key)).unwrap();
    let more =
        format!("username = \"simulated-user\"\npassword = \"env:{password}\"\ntls_client = {identity:?}");
    publisher(kind, venue, &more)
}

#[test]
fn a_login_shows_the_certificate_and_a_wrong_password_is_named() {
    let venue = faulty(50, 200.0, &["expired-token 1"]);
    let keys = tempfile::tempdir().unwrap();
    let (mut all, _folder) =
        bus(&with_certificate("betfair_stream", &venue, keys.path(), "BETFAIR_PASSWORD"), &venue);
    until_all(&mut all, &venue, "betfair_stream");
    let logins =
        venue.record().received.iter().filter(|received| received.text.contains("certlogin")).count();
    assert_eq!(logins, 2, "a session that is not taken is had anew");

    let (mut wrong, _folder) =
        bus(&with_certificate("betfair_orders", &venue, keys.path(), "WRONG_TOKEN"), &venue);
    let mut failure = None;
    wrong.until_now("the refusal", |group| {
        failure = group.failure();
        failure.is_some()
    });
    let failure = failure.unwrap();
    assert!(
        failure.contains(
            "publishers.betfair_orders: login: must be accepted, found INVALID_USERNAME_OR_PASSWORD"
        ),
        "{failure}"
    );
    assert!(!failure.contains("expired"), "the password is not shown: {failure}");
}
