//! Betfair: the stream with its images and deltas, the login, and recordings.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::time::Duration;

use serde_json::{Value, json};
use tickline_loadgen::venue::betfair::{BetfairVenue, Credentials, start};
use tickline_loadgen::venue::{Feed, Pace, Simulator};

use crate::client::{Stream, connect, recordings, request};

pub(crate) fn plan(messages: u64, faults: &[&str]) -> BetfairVenue {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    BetfairVenue {
        feed: Feed { messages: Some(messages), faults, ..Feed::default() },
        ..BetfairVenue::default()
    }
}

/// A client of the stream.
pub(crate) struct Client(BufReader<Box<dyn Stream>>);

impl Client {
    pub(crate) fn open(venue: &Simulator) -> Self {
        let mut client = Self(BufReader::new(connect(&venue.stream, venue.certificates.as_ref(), false)));
        assert_eq!(client.next().unwrap()["op"], "connection");
        client
    }

    pub(crate) fn authenticated(venue: &Simulator) -> Self {
        let mut client = Self::open(venue);
        let Credentials { app_key, session, .. } = Credentials::default();
        client.say(&json!({"op": "authentication", "id": 1, "appKey": app_key, "session": session}));
        let status = client.next().unwrap();
        assert_eq!((&status["statusCode"], &status["id"]), (&"SUCCESS".into(), &1.into()));
        client
    }

    pub(crate) fn say(&mut self, request: &Value) {
        self.0.get_mut().write_all(format!("{request}\r\n").as_bytes()).unwrap();
        self.0.get_mut().flush().unwrap();
    }

    /// The next line; none once the connection has ended.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        line.strip_suffix("\r\n").map(str::to_owned)
    }

    pub(crate) fn next(&mut self) -> Option<Value> {
        self.line().map(|line| serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}")))
    }

    /// The next message that is no heartbeat.
    pub(crate) fn data(&mut self) -> Option<Value> {
        std::iter::from_fn(|| self.next()).take(20).find(|message| message["ct"] != "HEARTBEAT")
    }

    /// Subscribes to all markets and gives the status.
    pub(crate) fn subscribe(&mut self, further: &Value) -> Value {
        let mut request =
            json!({"op": "marketSubscription", "id": 2, "marketFilter": {"eventTypeIds": ["7"]}});
        for (key, value) in further.as_object().into_iter().flatten() {
            request[key] = value.clone();
        }
        self.say(&request);
        self.next().unwrap()
    }
}

/// A client's markets, kept by the rules of the venue's documentation: a value for each market, runner, key and place.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cache(pub(crate) BTreeMap<String, BTreeMap<String, Value>>);

impl Cache {
    pub(crate) fn take(&mut self, message: &Value) {
        assert_eq!((&message["op"], &message["id"]), (&"mcm".into(), &2.into()), "{message}");
        for told in message["mc"].as_array().into_iter().flatten() {
            let market = self.0.entry(told["id"].as_str().unwrap().to_owned()).or_default();
            if told["img"] == true {
                market.clear();
            }
            for key in ["marketDefinition", "tv"] {
                if let Some(value) = told.get(key) {
                    market.insert(key.to_owned(), value.clone());
                }
            }
            for runner in told["rc"].as_array().into_iter().flatten() {
                for (key, value) in runner.as_object().unwrap() {
                    let place = format!("{} {key}", runner["id"]);
                    for element in value.as_array().into_iter().flatten() {
                        let numbers = element.as_array().unwrap();
                        let place = format!("{place} {}", numbers[0]);
                        if numbers.last().unwrap().as_f64() == Some(0.0) {
                            market.remove(&place);
                        } else {
                            market.insert(place, element.clone());
                        }
                    }
                    if !value.is_array() {
                        market.insert(place, value.clone());
                    }
                }
            }
        }
    }
}

/// What a new client is told of all markets.
pub(crate) fn image(venue: &Simulator) -> Cache {
    let mut client = Client::authenticated(venue);
    assert_eq!(client.subscribe(&json!({}))["statusCode"], "SUCCESS");
    let mut cache = Cache::default();
    cache.take(&client.data().unwrap());
    cache
}

#[test]
fn an_image_and_its_deltas_are_the_markets_as_they_are() {
    let venue = start(plan(400, &[])).unwrap();
    let mut client = Client::authenticated(&venue);
    let status = client.subscribe(&json!({"conflateMs": 0, "heartbeatMs": 100}));
    assert_eq!((&status["id"], &status["connectionClosed"]), (&2.into(), &false.into()));
    let first = client.data().unwrap();
    assert_eq!(
        (&first["ct"], &first["conflateMs"], &first["heartbeatMs"]),
        (&"SUB_IMAGE".into(), &0.into(), &500.into())
    );
    assert!(first["initialClk"].is_string() && first.get("segmentType").is_none());
    assert!(first["mc"].as_array().unwrap().iter().all(|market| market["img"] == true));
    let (mut cache, mut clks) = (Cache::default(), vec![first["clk"].clone()]);
    cache.take(&first);
    for _ in 0..1_200 {
        let message = client.data().unwrap();
        assert!(message.get("ct").is_none() && message["pt"].as_i64().unwrap() > 1_700_000_000_000);
        clks.push(message["clk"].clone());
        cache.take(&message);
    }
    assert_eq!(cache, image(&venue));
    assert!(clks.windows(2).all(|pair| pair[0] != pair[1]));
    let keys: Vec<&String> = cache.0.values().flat_map(BTreeMap::keys).collect();
    for key in ["atb", "atl", "batb", "batl", "bdatb", "bdatl", "trd", "ltp", "tv"] {
        assert!(keys.iter().any(|known| known.split(' ').nth(1) == Some(key)), "{key}");
    }
    let record = venue.stop();
    assert_eq!((record.made.len(), record.ended), (3, true));
}

#[test]
fn a_filter_chooses_fields_and_levels_and_a_new_subscription_replaces_the_old_one() {
    let venue = start(plan(u64::MAX, &[])).unwrap();
    let mut client = Client::authenticated(&venue);
    let filter = json!({"fields": ["EX_BEST_OFFERS", "EX_LTP"], "ladderLevels": 2});
    client.subscribe(&json!({"marketDataFilter": filter}));
    let mut cache = Cache::default();
    cache.take(&client.data().unwrap());
    for market in cache.0.values() {
        for (key, value) in market {
            let part = key.split(' ').nth(1).unwrap();
            assert!(["batb", "batl", "ltp", "id"].contains(&part), "{key}");
            assert!(!value.is_array() || value[0].as_u64().unwrap() < 2, "{value}");
        }
    }
    let only = cache.0.keys().next().unwrap().clone();
    client.say(&json!({"op": "marketSubscription", "id": 9, "marketFilter": {"marketIds": [only]}}));
    let messages: Vec<Value> =
        std::iter::from_fn(|| client.data()).skip_while(|m| m["id"] != 9).skip(1).take(20).collect();
    assert_eq!(messages[0]["ct"], "SUB_IMAGE");
    assert!(messages.iter().all(|m| m["id"] == 9 && m["mc"][0]["id"] == only.as_str()));
}

#[test]
fn a_large_image_comes_in_segments_if_they_are_wanted() {
    let mut plan = plan(0, &[]);
    plan.markets = 60;
    let venue = start(plan).unwrap();
    let mut client = Client::authenticated(&venue);
    client.subscribe(&json!({"segmentationEnabled": true}));
    let (mut cache, mut kinds) = (Cache::default(), Vec::new());
    while kinds.last().is_none_or(|kind| *kind != "SEG_END") {
        let message = client.data().unwrap();
        assert_eq!(message["ct"], "SUB_IMAGE");
        cache.take(&message);
        kinds.push(message["segmentType"].as_str().unwrap().to_owned());
    }
    assert!(kinds.len() > 2 && kinds[0] == "SEG_START" && kinds[1] == "SEG", "{kinds:?}");
    assert_eq!(cache.0.len(), 60);
    assert_eq!(cache, image(&venue));
}

#[test]
fn orders_come_whole_when_they_change_and_are_complete_once() {
    let venue = start(plan(200, &[])).unwrap();
    let mut client = Client::authenticated(&venue);
    client.say(&json!({"op": "orderSubscription", "id": 3}));
    assert_eq!(client.next().unwrap()["statusCode"], "SUCCESS");
    let first = client.data().unwrap();
    assert_eq!((&first["op"], &first["ct"], &first["id"]), (&"ocm".into(), &"SUB_IMAGE".into(), &3.into()));
    let mut open: BTreeMap<String, Value> = BTreeMap::new();
    let mut complete = 0;
    for _ in 0..200 {
        let message = client.data().unwrap();
        let order = message["oc"][0]["orc"][0]["uo"][0].clone();
        let id = order["id"].as_str().unwrap().to_owned();
        let (size, matched, rest) =
            (&order["s"], order["sm"].as_f64().unwrap(), order["sr"].as_f64().unwrap());
        assert!((matched + rest - size.as_f64().unwrap()).abs() < 1e-9, "{order}");
        assert_eq!(order["status"] == "EC", rest == 0.0);
        if order["status"] == "EC" {
            complete += 1;
            assert!(open.remove(&id).is_some(), "{id} is complete twice or was never open");
        } else {
            open.insert(id, order);
        }
    }
    assert!(complete > 10, "{complete}");
    let mut second = Client::authenticated(&venue);
    second.say(&json!({"op": "orderSubscription", "id": 3}));
    second.next();
    let image = second.data().unwrap();
    let told: Vec<&Value> =
        image["oc"].as_array().unwrap().iter().flat_map(|market| market["orc"].as_array().unwrap()).collect();
    assert!(told.iter().all(|runner| runner["fullImage"] == true));
    let orders: BTreeMap<String, Value> = told
        .iter()
        .flat_map(|runner| runner["uo"].as_array().unwrap())
        .map(|order| (order["id"].as_str().unwrap().to_owned(), order.clone()))
        .collect();
    assert_eq!(orders, open);
}

#[test]
fn heartbeats_come_where_nothing_else_does_with_the_last_token() {
    let mut plan = plan(5, &[]);
    plan.feed.heartbeat = Some(Duration::from_millis(20));
    let venue = start(plan).unwrap();
    let mut client = Client::authenticated(&venue);
    client.subscribe(&json!({}));
    let data: Vec<Value> = (0..16).map(|_| client.data().unwrap()).collect();
    let heartbeat = client.next().unwrap();
    assert_eq!((&heartbeat["ct"], &heartbeat["clk"]), (&"HEARTBEAT".into(), &data[15]["clk"]));
    assert!(heartbeat.get("mc").is_none() && data[0]["heartbeatMs"] == 20);
}

#[test]
fn the_login_wants_a_certificate_and_its_session_lets_in() {
    let venue = start(plan(0, &[])).unwrap();
    let Credentials { app_key, username, password, .. } = Credentials::default();
    let login = |headers: &str, body: &str| -> Value {
        let (status, text) = request(&venue, "POST", "/api/certlogin", headers, body);
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    };
    // What makes the client of this test show its certificate.
    let shown = format!("X-Show-Certificate: 1\r\nX-Application: {app_key}\r\n");
    let body = format!("username={username}&password={password}");
    assert_eq!(login(&format!("X-Application: {app_key}\r\n"), &body)["loginStatus"], "CERT_AUTH_REQUIRED");
    assert_eq!(login(&shown, "username=other&password=x")["loginStatus"], "INVALID_USERNAME_OR_PASSWORD");
    let found = login(&shown, &body);
    assert_eq!(found["loginStatus"], "SUCCESS");
    let session = found["sessionToken"].as_str().unwrap();
    let mut client = Client::open(&venue);
    client.say(&json!({"op": "authentication", "id": 1, "appKey": app_key, "session": session}));
    assert_eq!(client.next().unwrap()["statusCode"], "SUCCESS");
    for (session, status) in [(session, "SUCCESS"), ("other", "FAIL")] {
        let headers = format!("X-Authentication: {session}\r\nX-Application: {app_key}\r\n");
        let (_, text) = request(&venue, "GET", "/api/keepAlive", &headers, "");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["status"], status);
    }
}

#[test]
fn recorded_lines_come_as_they_were_recorded_with_the_id_of_the_subscription() {
    let Some(folder) = recordings("betfair") else { return };
    for (file, market, lines) in [
        ("flumine_1.197931750.jsonl.gz", "1.197931750", 166),
        ("flumine_1.200806927.jsonl.gz", "1.200806927", 18_529),
    ] {
        let path = folder.join(file);
        let venue = BetfairVenue {
            feed: Feed { pace: Pace::Max, ..Feed::default() },
            recordings: vec![path.clone()],
            ..BetfairVenue::default()
        };
        let venue = start(venue).unwrap();
        let mut client = Client::authenticated(&venue);
        client.say(&json!({"op": "marketSubscription", "id": 2, "marketFilter": {"marketIds": [market]}}));
        client.next();
        let first = client.data().unwrap();
        assert_eq!((&first["ct"], &first["mc"][0]["id"]), (&"SUB_IMAGE".into(), &market.into()));
        let mut recorded = String::new();
        let bytes = std::fs::read(&path).unwrap();
        flate2::read::MultiGzDecoder::new(&*bytes).read_to_string(&mut recorded).unwrap();
        assert_eq!(recorded.lines().count(), lines);
        let mut cache = Cache::default();
        cache.take(&first);
        for line in recorded.lines().skip(1) {
            let got = loop {
                let got = client.line().unwrap();
                if !got.contains("HEARTBEAT") {
                    break got;
                }
            };
            cache.take(&serde_json::from_str(&got).unwrap());
            assert_eq!(got.replacen("\"id\":2,", "", 1), line);
        }
        assert_eq!(cache.0, image_of(&venue, market));
    }
}

fn image_of(venue: &Simulator, market: &str) -> BTreeMap<String, BTreeMap<String, Value>> {
    let mut client = Client::authenticated(venue);
    client.say(&json!({"op": "marketSubscription", "id": 2, "marketFilter": {"marketIds": [market]}}));
    client.next();
    let mut cache = Cache::default();
    cache.take(&client.data().unwrap());
    cache.0
}
