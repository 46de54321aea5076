//! Posts from X and from files, and their scores.

use serde_json::{Value as Json, json};
use tickline_config::secret::Secret;
use tickline_feeds::connect::sentiment::{Counts, Lines, LinesSettings, Rule, Settings, X, X_URL, XSettings};
use tickline_feeds::connect::{Event, OnRefused};

use crate::rig::{BASE_NS, MILLI_NS, Rig};
use crate::venue::time;

pub(crate) const POST: &str = r#"{"data":{"id":"1890000000000000001","text":"$BTC looking good today!","created_at":"2026-08-03T12:29:55.250Z","author_id":"2244994945","lang":"en","geo":{"place_id":"01a9"},"public_metrics":{"like_count":9}},"includes":{"users":[{"id":"7","username":"other"},{"id":"2244994945","username":"someuser","location":"London, \"UK\"","public_metrics":{"followers_count":1234}}],"places":[{"id":"01a9","country_code":"GB"}]},"matching_rules":[{"id":"1","tag":"bitcoin"}]}"#;

pub(crate) fn records() -> Settings {
    let rule = |topic: &str, word: &str| Rule { topic: topic.to_owned(), words: vec![word.to_owned()] };
    Settings {
        topic: "twitter_sentiment".to_owned(),
        rules: vec![rule("ether", "eth"), rule("any", "today")],
        with_text: false,
    }
}

fn x(records: Settings, on_refused: OnRefused) -> Rig<X> {
    let token = Secret::new("secret-token");
    Rig::started(X::new(XSettings { url: X_URL.to_owned(), token, records, on_refused, seed: 1 }))
}

fn connected() -> Rig<X> {
    let mut rig = x(records(), OnRefused::Fail);
    rig.opened();
    rig.said();
    rig
}

fn lines(with_text: bool) -> Rig<Lines> {
    let records = Settings { with_text, ..records() };
    Rig::started(Lines::new(LinesSettings { path: "posts.jsonl".to_owned(), records }))
}

fn post(id: &str, text: &str, tag: &str) -> String {
    json!({"data": {"id": id, "text": text}, "matching_rules": [{"tag": tag}]}).to_string()
}

#[test]
fn a_post_becomes_a_record_with_its_author_place_and_score_but_without_its_text() {
    let mut rig = connected();
    rig.line(POST);
    let ts_ms = (BASE_NS / MILLI_NS) - 4_750;
    assert_eq!(rig.messages[0].topic, "twitter_sentiment");
    assert_eq!(
        rig.messages[0].body,
        json!({"id": "1890000000000000001", "ts_ms": ts_ms, "author": "someuser", "topic": "bitcoin", "source": "x",
            "location": "London, \"UK\"", "lang": "en", "country": "GB", "text_length": 24,
            "sentiment_score": "0.4926", "pos": "0.516", "neg": "0.000", "neu": "0.484", "followers": 1234})
    );
    assert_eq!(rig.messages[0].recv_ns, BASE_NS);
    let mut rig = x(Settings { with_text: true, ..records() }, OnRefused::Fail);
    rig.opened();
    rig.messages.clear();
    rig.line(POST);
    assert_eq!(rig.messages[0].body["text"], "$BTC looking good today!");
}

/// The examples of <https://github.com/cjhutto/vaderSentiment> (README, "Code Examples") as its package 3.3.2 scores
/// them: compound, pos, neg, neu. The README's own table is of an older version for two of them: the one that is not
/// horrible and the emoji.
#[test]
fn scores_are_those_of_vader() {
    let vectors = [
        ("VADER is smart, handsome, and funny.", ["0.8316", "0.746", "0.000", "0.254"]),
        ("VADER is smart, handsome, and funny!", ["0.8439", "0.752", "0.000", "0.248"]),
        ("VADER is very smart, handsome, and funny.", ["0.8545", "0.701", "0.000", "0.299"]),
        ("VADER is VERY SMART, handsome, and FUNNY.", ["0.9227", "0.754", "0.000", "0.246"]),
        ("VADER is VERY SMART, handsome, and FUNNY!!!", ["0.9342", "0.767", "0.000", "0.233"]),
        ("VADER is VERY SMART, uber handsome, and FRIGGIN FUNNY!!!", ["0.9469", "0.706", "0.000", "0.294"]),
        ("VADER is not smart, handsome, nor funny.", ["-0.7424", "0.000", "0.646", "0.354"]),
        ("The book was good.", ["0.4404", "0.492", "0.000", "0.508"]),
        ("At least it isn't a horrible book.", ["0.4310", "0.322", "0.000", "0.678"]),
        ("The book was only kind of good.", ["0.3832", "0.303", "0.000", "0.697"]),
        (
            "The plot was good, but the characters are uncompelling and the dialog is not great.",
            ["-0.7042", "0.094", "0.327", "0.579"],
        ),
        ("Today SUX!", ["-0.5461", "0.000", "0.779", "0.221"]),
        ("Today only kinda sux! But I'll get by, lol", ["0.5249", "0.317", "0.127", "0.556"]),
        ("Make sure you :) or :D today!", ["0.8633", "0.706", "0.000", "0.294"]),
        ("Catch utf-8 emoji such as such as 💘 and 💋 and 😁", ["0.8750", "0.385", "0.000", "0.615"]),
        ("Not bad at all", ["0.4310", "0.487", "0.000", "0.513"]),
        ("", ["0.0000", "0.000", "0.000", "0.000"]),
    ];
    let mut rig = connected();
    for (at, (text, _)) in vectors.iter().enumerate() {
        rig.line(&post(&at.to_string(), text, "t"));
    }
    assert_eq!(rig.messages.len(), vectors.len());
    for (message, (text, scores)) in rig.messages.iter().zip(vectors) {
        let found = ["sentiment_score", "pos", "neg", "neu"].map(|key| message.body[key].as_str().unwrap());
        assert_eq!(found, scores, "{text}");
        assert_eq!(message.body["text_length"], text.chars().count());
    }
}

#[test]
fn a_posts_topic_is_its_tag_at_x_else_that_of_the_first_rule_and_without_one_it_is_dropped() {
    let mut rig = connected();
    for (id, text, tag) in
        [("1", "ETH", "own"), ("2", "ETH today", ""), ("3", "something today", ""), ("4", "something", "")]
    {
        rig.line(&post(id, text, tag));
    }
    rig.line(r#"{"data":{"id":"5","text":"eth"}}"#);
    let topics: Vec<&Json> = rig.messages.iter().map(|message| &message.body["topic"]).collect();
    assert_eq!(topics, ["own", "ether", "any", "ether"]);
    let counts = Counts { connections: 1, published: 4, unmatched: 1, untimed: 4, ..Counts::default() };
    assert_eq!(rig.connector.counts(), counts);
}

#[test]
fn a_post_is_published_once_and_posts_of_one_moment_get_ordinals() {
    let mut rig = connected();
    for id in ["1", "2", "1", "2", "3"] {
        rig.line(&post(id, "today", ""));
    }
    let told: Vec<_> =
        rig.messages.iter().map(|message| (message.body["id"].as_str().unwrap(), message.tie)).collect();
    assert_eq!(told, [("1", 0), ("2", 1), ("3", 2)]);
    assert_eq!(rig.connector.counts().repeated, 2);
}

#[test]
fn bad_lines_of_x_are_counted_and_what_it_says_instead_of_posts_is_told() {
    let mut rig = connected();
    rig.line(&post("0", "nothing", ""));
    rig.said();
    rig.line(r#"{"errors":[{"title":"operational-disconnect","detail":"disconnected upstream"}]}"#);
    assert_eq!(
        rig.said(),
        ["twitter_sentiment suspect *: no post: operational-disconnect: disconnected upstream"]
    );
    for line in ["{\"data\":", "7", "{\"data\":{\"text\":\"eth\"}}", "{\"data\":{\"id\":1,\"text\":\"eth\"}}"]
    {
        rig.line(line);
    }
    rig.on(Event::Message(crate::rig::LINK, b"{\"data\":{\"id\":\"1\",\"text\":\"\xff\"}}"));
    rig.line(r#"{"title":"ConnectionException","detail":"too many connections"}"#);
    rig.line("{}");
    assert_eq!(rig.said(), [""; 0], "once a minute");
    rig.line(&post("1", "today", ""));
    let counts = rig.connector.counts();
    assert_eq!((counts.malformed, counts.unknown, counts.published), (5, 3, 1));
    rig.ms = 60_000;
    rig.line(r#"{"title":"ConnectionException","detail":"too many connections"}"#);
    let said = rig.said();
    assert!(
        said[1].contains("gap *: messages that could not be read: ") && said[1].ends_with(" lost=5"),
        "{said:?}"
    );
    assert!(said[2].ends_with("suspect *: no post: ConnectionException: too many connections"), "{said:?}");
}

#[test]
fn keep_alive_lines_keep_x_alive_and_forty_seconds_without_them_are_a_hole() {
    let mut rig = x(records(), OnRefused::Fail);
    let open = rig.said().remove(1);
    let asked = "tweet.fields=author_id,created_at,geo,lang&expansions=author_id,geo.place_id&\
        user.fields=location,public_metrics,username&place.fields=country_code";
    assert_eq!(open, format!("open {X_URL}?{asked} [(\"Authorization\", \"Bearer secret-token\")]"));
    rig.opened();
    assert_eq!(rig.said(), ["twitter_sentiment up *: connected"]);
    for beat in 1..=100 {
        rig.until(beat * 20_000);
        rig.line("");
    }
    assert_eq!(rig.said(), ["ready"]);
    rig.until(2_039_999);
    assert_eq!(rig.said(), [""; 0]);
    rig.until(2_040_000);
    let dead = ["twitter_sentiment down *: no line for 40 s", "close", "degraded no line for 40 s"];
    assert_eq!(rig.said(), dead);
    rig.until(2_042_000);
    assert_eq!(rig.said(), [open]);
    rig.opened();
    // What X still held when it fell silent is part of the hole.
    assert_eq!(rig.said(), ["twitter_sentiment up *: connected again [1990000..2042000]"]);
    rig.ms = 2_050_000;
    rig.closed(Some(429), "Too Many Requests");
    assert!(rig.due_ms().unwrap() >= 2_080_000);
    rig.said();
    rig.ms = 2_060_000;
    rig.on(Event::Stop);
    assert_eq!(
        rig.said(),
        ["twitter_sentiment gap *: not connected when the run ended [2032000..2060000]", "stopped"]
    );
}

#[test]
fn a_token_that_x_refuses_is_named() {
    let mut rig = x(records(), OnRefused::Fail);
    rig.said();
    rig.closed(Some(403), "client-not-enrolled");
    let detail = "token: must be accepted, found 403: client-not-enrolled";
    assert_eq!(rig.said(), [format!("twitter_sentiment refused *: {detail}"), format!("fail {detail}")]);
}

#[test]
fn a_line_of_a_file_becomes_a_record_of_what_it_has() {
    let mut rig = lines(true);
    assert_eq!(rig.said(), ["starting", "open posts.jsonl"]);
    rig.opened();
    rig.line(&format!(
        r#"{{"id":"a","text":"ETH up","created_at":"{}","lang":"en","author":"me","location":"here","country":"DE","followers":5,"more":[1]}}"#,
        time(-1_500)
    ));
    rig.line(
        r#"{"text":"today is fine\n","lang":"a language without end","country":"two words","author":""}"#,
    );
    rig.line(r#"{"text":"today is fine\n"}"#);
    let ms = BASE_NS / MILLI_NS;
    let bodies: Vec<Json> = rig.messages.iter().map(|message| message.body.to_owned()).collect();
    let fine = json!({"ts_ms": ms, "topic": "any", "source": "file", "text_length": 14, "text": "today is fine\n",
        "sentiment_score": "0.2023", "pos": "0.474", "neg": "0.000", "neu": "0.526"});
    assert_eq!(
        bodies[0],
        json!({"id": "a", "ts_ms": ms - 1_500, "author": "me", "topic": "ether", "source": "file",
        "location": "here", "lang": "en", "country": "DE", "text_length": 6, "text": "ETH up", "followers": 5,
        "sentiment_score": "0.0000", "pos": "0.000", "neg": "0.000", "neu": "1.000"})
    );
    assert_eq!(bodies[1..], [fine.to_owned(), fine], "without an id nothing is taken for a repetition");
    let ties: Vec<u32> = rig.messages.iter().map(|message| message.tie).collect();
    assert_eq!(ties, [0, 0, 1]);
}

#[test]
fn a_file_ends_once_its_bad_lines_are_counted_and_one_that_cannot_be_read_is_named() {
    let mut rig = lines(false);
    rig.opened();
    rig.said();
    for line in
        ["", " ", "{", "{}", "{\"text\":7}", "{\"text\":\"eth\",\"followers\":-1}", "{\"text\":\"eth\"}"]
    {
        rig.line(line);
    }
    rig.closed(None, "end of file");
    let said = rig.said();
    assert!(said[0].starts_with("twitter_sentiment+0 {"), "{said:?}");
    assert!(said[1].starts_with("twitter_sentiment gap *: messages that could not be read"), "{said:?}");
    assert!(said[1].ends_with(" lost=4"), "{said:?}");
    assert_eq!(said[2..], ["twitter_sentiment down *: the file has ended", "stopped the file has ended"]);
    let counts = Counts { connections: 1, published: 1, malformed: 4, untimed: 1, ..Counts::default() };
    assert_eq!(rig.connector.counts(), counts);
    assert_eq!(rig.due_ms(), None);
    let mut rig = lines(false);
    rig.said();
    rig.closed(None, "No such file or directory");
    assert_eq!(rig.said(), ["fail posts.jsonl: must be readable, found No such file or directory"]);
}
