//! RSS and Atom.

use serde_json::{Value as Json, json};
use tickline_feeds::connect::sentiment::{Counts, Rss, RssSettings};
use tickline_feeds::connect::{Event, OnRefused};

use crate::rig::{BASE_NS, MILLI_NS, Rig};
use crate::sentiment::records;

pub(crate) const RSS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- made up -->
<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:media="http://search.yahoo.com/mrss/">
<channel><title>News of today</title><link>https://news.test/</link><language>en-GB</language>
<item><title>ETH &amp; friends rise</title><link>https://news.test/2</link><guid isPermaLink="false">n2</guid>
 <media:title>not this one</media:title><dc:creator><![CDATA[A. Writer]]></dc:creator>
 <pubDate>Mon, 03 Aug 2026 12:29:30 GMT</pubDate>
 <description><![CDATA[<p>A <b>great</b>&nbsp;day, 1 < 2 &amp; &#8364;3 &odd; <img src="x"/></p>]]></description></item>
<item><title>Nothing to see today</title><link>https://news.test/1</link>
 <pubDate>Mon, 03 Aug 2026 14:29:00 +0200</pubDate><description/></item>
<item><title>without anything, today</title></item>
</channel></rss>"#;

pub(crate) const ATOM: &str = r#"<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de"><title>T</title><id>urn:feed</id>
<author><name>of the feed</name></author>
<entry><title type="html">Eth &lt;em&gt;today&lt;/em&gt;</title><id>urn:1</id><link rel="self" href="https://a.test/self"/>
 <link href="https://a.test/1"/><updated>2026-08-03T12:29:59Z</updated><published>2026-08-03T12:00:00Z</published>
 <author><name>Someone</name><uri>x</uri></author>
 <summary type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>Very <i>good</i></p></div></summary></entry>
<entry><title>eth again</title><link rel="alternate" href="https://a.test/2?a=1&amp;b=2"/></entry></feed>"#;

fn rss(feeds: &[&str], on_refused: OnRefused) -> Rig<Rss> {
    let mut records = records();
    records.with_text = true;
    Rig::started(Rss::new(RssSettings {
        feeds: feeds.iter().map(|&url| url.to_owned()).collect(),
        every_ns: 60_000_000_000,
        records,
        on_refused,
        seed: 1,
    }))
}

fn answer(rig: &mut Rig<Rss>, id: u32, status: Option<u16>, body: &str) {
    rig.on(Event::Answer { id, status, body: body.as_bytes() });
}

fn items(ids: std::ops::Range<u32>) -> String {
    let item = |id| format!("<item><title>today {id}</title><guid>{id}</guid></item>");
    format!("<rss><channel>{}</channel></rss>", ids.rev().map(item).collect::<String>())
}

/// The texts of what was published, oldest first, and the events.
fn said(rig: &mut Rig<Rss>) -> Vec<String> {
    let text = |text: &str| text.split("\"text\":\"").nth(1)?.split('"').next().map(str::to_owned);
    rig.said().into_iter().map(|said| text(&said).unwrap_or(said)).collect()
}

#[test]
fn articles_of_rss_are_records_oldest_first_without_markup() {
    let mut rig = rss(&["https://news.test/rss?key=secret"], OnRefused::Fail);
    assert_eq!(rig.said(), ["starting", "ask 0 https://news.test/rss?key=secret"]);
    answer(&mut rig, 0, Some(200), RSS);
    let bodies: Vec<Json> = rig.messages.iter().map(|message| message.body.to_owned()).collect();
    let ms = BASE_NS / MILLI_NS;
    assert_eq!(
        bodies,
        [
            json!({"id": "https://news.test/1", "ts_ms": ms - 60_000, "topic": "any", "source": "rss", "lang": "en",
            "text": "Nothing to see today", "text_length": 20,
            "sentiment_score": "0.0000", "pos": "0.000", "neg": "0.000", "neu": "1.000"}),
            json!({"id": "n2", "ts_ms": ms - 30_000, "author": "A. Writer", "topic": "ether", "source": "rss", "lang": "en",
            "text": "ETH & friends rise\nA great day, 1 < 2 & €3 &odd;", "text_length": 48,
            "sentiment_score": "0.7096", "pos": "0.369", "neg": "0.118", "neu": "0.513"}),
        ]
    );
    assert_eq!(
        rig.connector.counts(),
        Counts { connections: 1, published: 2, malformed: 1, ..Counts::default() }
    );
}

#[test]
fn articles_of_atom_are_records_too() {
    let mut rig = rss(&["https://a.test/atom"], OnRefused::Fail);
    answer(&mut rig, 0, Some(200), ATOM);
    let told: Vec<_> = rig
        .messages
        .iter()
        .map(|message| {
            ["id", "author", "lang", "text"]
                .map(|key| message.body[key].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    assert_eq!(
        told,
        [
            ["https://a.test/2?a=1&b=2", "", "de", "eth again"],
            ["urn:1", "Someone", "de", "Eth today\nVery good"],
        ]
    );
    assert_eq!(rig.messages[1].body["ts_ms"], BASE_NS / MILLI_NS - 1_000);
    assert_eq!(rig.messages[0].body["ts_ms"], BASE_NS / MILLI_NS, "without a time: now");
}

#[test]
fn an_article_is_published_once_and_a_feed_that_shows_nothing_known_has_a_hole() {
    let mut rig = rss(&["https://news.test/rss?key=secret"], OnRefused::Fail);
    rig.said();
    answer(&mut rig, 0, Some(200), &items(0..3));
    assert_eq!(said(&mut rig), ["today 0", "today 1", "today 2", "ready"]);
    assert_eq!(rig.due_ms(), Some(60_000));
    rig.until(60_000);
    answer(&mut rig, 0, Some(200), &items(2..5));
    assert_eq!(said(&mut rig), ["today 3", "today 4", "ask 0 https://news.test/rss?key=secret"]);
    rig.until(120_000);
    answer(&mut rig, 0, Some(200), &items(0..0));
    rig.until(180_000);
    rig.said();
    answer(&mut rig, 0, Some(200), &items(6..8));
    let gap = "twitter_sentiment gap https://news.test/rss: every article is new, so some may have gone unseen [60000..180000]";
    assert_eq!(said(&mut rig), [gap, "today 6", "today 7"]);
    assert_eq!(rig.connector.counts().repeated, 1);
}

#[test]
fn feeds_are_asked_one_after_the_other_and_ids_of_one_are_not_those_of_another() {
    let mut rig = rss(&["https://a.test/", "https://b.test/", "https://c.test/"], OnRefused::Fail);
    rig.until(2_000);
    assert_eq!(
        rig.said(),
        ["starting", "ask 0 https://a.test/", "ask 1 https://b.test/", "ask 2 https://c.test/"]
    );
    answer(&mut rig, 1, Some(200), &items(0..1));
    answer(&mut rig, 1, Some(200), &items(1..2));
    answer(&mut rig, 7, Some(200), &items(1..2));
    answer(&mut rig, 0, Some(200), &items(0..1));
    assert_eq!(said(&mut rig), ["today 0", "today 0", "ready"], "an answer that nobody awaits is no news");
}

#[test]
fn a_feed_that_fails_is_told_once_and_asked_again_with_growing_waits() {
    let mut rig = rss(&["https://a.test/", "https://b.test/rss?key=secret"], OnRefused::Fail);
    rig.until(500);
    answer(&mut rig, 0, Some(200), &items(0..1));
    rig.said();
    let mut waits = Vec::new();
    for _ in 0..3 {
        let from = rig.ms;
        answer(&mut rig, 1, Some(503), "Service Unavailable");
        waits.push(rig.due_ms().unwrap() - from);
        rig.until(from + waits[waits.len() - 1]);
    }
    assert!(waits[0] <= 1_000 && waits[1] >= 1_000 && waits[2] >= 2_000, "{waits:?}");
    let told = rig.said();
    assert_eq!(told[0], "twitter_sentiment down https://b.test/rss: 503: Service Unavailable");
    assert_eq!(told[1], "degraded 1 of 2: https://b.test/rss: 503: Service Unavailable");
    assert_eq!(told.iter().filter(|text| text.contains("down")).count(), 1, "{told:?}");
    answer(&mut rig, 1, None, "timed out");
    assert!(rig.said()[0].ends_with("down https://b.test/rss: timed out"), "another reason is told");
    let due = rig.due_ms().unwrap();
    rig.until(due);
    answer(&mut rig, 1, Some(200), &items(0..1));
    let told = said(&mut rig);
    assert_eq!(told[0], "twitter_sentiment up https://b.test/rss: answers again");
    assert_eq!(told.last().map(String::as_str), Some("ready"));
}

#[test]
fn a_feed_that_is_refused_ends_the_run_or_is_asked_every_five_minutes() {
    let mut rig = rss(&["https://a.test/rss?key=secret"], OnRefused::Fail);
    rig.said();
    answer(&mut rig, 0, Some(401), "no");
    assert_eq!(
        rig.said()[..2],
        [
            "twitter_sentiment refused https://a.test/rss: 401: no",
            "fail https://a.test/rss: must be accepted, found 401: no"
        ]
    );
    let mut rig = rss(&["https://a.test/rss"], OnRefused::Degrade);
    answer(&mut rig, 0, Some(404), "no");
    assert_eq!(rig.due_ms(), Some(300_000));
    rig.until(300_000);
    answer(&mut rig, 0, Some(429), "slow down");
    assert_eq!(rig.due_ms(), Some(360_000));
}

#[test]
fn a_feed_that_does_not_answer_when_the_run_ends_is_a_hole_told_without_its_login() {
    let mut rig = rss(&["https://me:secret@a.test/rss?key=secret", "https://b.test/rss"], OnRefused::Degrade);
    answer(&mut rig, 0, Some(200), &items(0..3));
    rig.until(60_000);
    answer(&mut rig, 0, Some(500), "");
    rig.said();
    rig.ms = 90_000;
    rig.on(Event::Stop);
    let detail = "it did not answer when the run ended";
    let gap = format!("twitter_sentiment gap https://a.test/rss: {detail} [0..90000]");
    assert_eq!(rig.said(), [gap.as_str(), "stopped"]);
}

#[test]
fn what_is_no_feed_is_counted_and_told() {
    for (body, reason) in [
        ("", "must be RSS or Atom, found no element"),
        ("<html><body>Sign in</body></html>", "must be RSS or Atom, found <html>"),
        ("{}", "must be RSS or Atom, found no element"),
        ("<rss><channel><item></channel></rss>", "ill-formed document"),
        ("<rss><channel><item><title>a & b</title>", "ill-formed document"),
        ("<rss><![CDATA[", "syntax error"),
    ] {
        let mut rig = rss(&["https://a.test/rss"], OnRefused::Fail);
        rig.said();
        answer(&mut rig, 0, Some(200), body);
        let told = format!("twitter_sentiment down https://a.test/rss: malformed: {reason}");
        assert!(rig.messages[0].to_string().starts_with(&told), "{body}: {}", rig.messages[0]);
        assert_eq!((rig.connector.counts().malformed, rig.due_ms()), (1, Some(60_000)));
    }
    let mut rig = rss(&["https://a.test/rss"], OnRefused::Fail);
    rig.on(Event::Answer {
        id: 0,
        status: Some(200),
        body: b"<rss><item><guid>1</guid><title>eth \xff</title></item></rss>",
    });
    assert_eq!(rig.connector.counts().published, 1, "a byte that is no UTF-8 does not hide the rest");
}
