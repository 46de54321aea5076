use tickline_feeds::news::Cause;

use super::*;

/// A feed with these keys.
pub(in crate::stage::encode) fn feed(keys: &[&str]) -> Feed {
    let own = ["decoder=\"kraken_tick\"", "topic=\"t\"", "endpoint=\"tcp://127.0.0.1:5600\""];
    let sets: Vec<String> = own.iter().chain(keys).map(|key| format!("feeds.f.{key}")).collect();
    let loaded = tickline_config::model::Config::load(&[], &sets, &|_| None).unwrap();
    loaded.config.feeds["f"].clone()
}

fn own() -> Own {
    Own::new(&"f".into(), &"host-1".into(), &feed(&[]), 0)
}

fn gap(from_ns: i64, seqs: (u64, u64), lost: Option<u64>) -> News {
    let (scope, detail) = ("t".to_owned(), "source 7".to_owned());
    News::Gap(Gap { cause: Cause::Zmq, from_ns, to_ns: from_ns + 5, lost, seqs: Some(seqs), scope, detail })
}

fn text(own: &mut Own, now_ns: u64, end: bool) -> String {
    let mut lines = Vec::new();
    own.write_news(MonoNanos(now_ns), WallNanos(0), end, &mut lines);
    String::from_utf8(lines).unwrap()
}

#[test]
fn holes_of_one_cause_within_a_second_are_one_row_with_their_sum_and_span() {
    let mut own = own();
    own.hear(&mut vec![gap(100, (4, 6), Some(3)), gap(200, (9, 9), Some(1))], MonoNanos(0));
    assert_eq!(text(&mut own, GATHER_NS - 1, false), "");
    let row = "feed_gap,cause=zmq,feed=f,instance=host-1 from_ns=100i,to_ns=205i,lost=4i,from_seq=4i,\
               to_seq=9i,scope=\"t\",detail=\"source 7\" 100\n";
    assert_eq!(text(&mut own, GATHER_NS, false), row);
    assert!(!own.is_due(MonoNanos(u64::MAX)));
    own.hear(&mut vec![gap(100, (12, 12), None)], MonoNanos(0));
    let again = text(&mut own, 1, true);
    assert!(again.ends_with(" 101\n") && !again.contains("lost="), "{again}");
    assert_eq!(own.points, 2);
}

#[test]
fn an_event_is_told_at_its_time_and_one_that_no_one_knows_under_other() {
    let mut own = own();
    let event = |kind: &str, detail: &str| {
        let (kind, detail) = (kind.to_owned(), detail.to_owned());
        News::Event(Event { at_ns: 50, kind, scope: "BTC \"x\"".into(), detail })
    };
    own.hear(&mut vec![event("down", ""), event("strange kind", "d")], MonoNanos(0));
    let rows = "feed_event,feed=f,instance=host-1,kind=down scope=\"BTC \\\"x\\\"\" 50\n\
                feed_event,feed=f,instance=host-1,kind=other scope=\"BTC \\\"x\\\"\",detail=\"strange kind, d\" 50\n";
    assert_eq!(text(&mut own, 0, false), rows);
}

#[test]
fn a_flood_of_sources_and_events_makes_a_few_rows_that_say_how_many() {
    let mut own = own();
    for n in 0..10_000 {
        let News::Gap(gap) = gap(100, (1, 1), Some(1)) else { unreachable!() };
        let gap = News::Gap(Gap { detail: format!("source {n}"), ..gap });
        let (kind, scope) = ("up".to_owned(), n.to_string());
        let event = Event { at_ns: i64::MAX, kind, scope, detail: String::new() };
        own.hear(&mut vec![gap, News::Event(event)], MonoNanos(0));
    }
    let rows = text(&mut own, GATHER_NS, true);
    assert_eq!(rows.lines().count(), EVENTS_MAX + 1 + GAPS_MAX);
    assert!(rows.contains("detail=\"9968 further events within a second\""), "{rows}");
    let lost = |row: &str| row.split_once("lost=")?.1.split_once('i')?.0.parse::<u64>().ok();
    assert_eq!(rows.lines().filter_map(lost).sum::<u64>(), 10_000);
}
