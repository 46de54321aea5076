use tickline_config::report::{FeedReport, Ledger, SourceReport};

use super::*;
use crate::result::distribution;

fn feed(src: u32, last_seq: u64) -> FeedResult {
    FeedResult {
        feed: "kraken_tick".to_owned(),
        endpoint: String::new(),
        src,
        planned: last_seq,
        sent: last_seq,
        last_seq,
        bytes: 0,
        late: 0,
        blocked: 0,
        busy_ns: 0,
        elapsed_ns: 1,
        paced: true,
        ended: true,
        lateness: distribution(),
    }
}

fn target(ledger: Ledger, sources: &[(u32, u64)]) -> Report {
    let source =
        |(src, last): &(u32, u64)| SourceReport { src: *src, last: *last, ..SourceReport::default() };
    let sources = sources.iter().map(source).collect();
    let feed = FeedReport { sources, ..FeedReport::default() };
    Report { ledger, feeds: [("mine".to_owned(), feed)].into(), ..Report::default() }
}

fn watch(before: Ledger) -> Watch {
    let before = target(before, &[]);
    let target = Target::new("http://127.0.0.1:1").unwrap();
    Watch { target, last: before.clone(), before, clock_error_ns: None }
}

#[test]
fn messages_that_the_target_never_heard_of_are_lost() {
    let load = LoadResult { feeds: vec![feed(1, 100), feed(2, 50), feed(3, 7)] };
    // It knows 90 of the first source, all of the second, and nothing of the third, whatever its feeds are named.
    let ledger =
        Ledger { published: Some(140), lost_before_receive: Some(5), balanced: true, ..Ledger::default() };
    let mut report = load.report("loadgen run", Build::default());
    join(&mut report, target(ledger, &[(1, 90), (2, 50), (9, 1_000)]), &load, &watch(Ledger::default()));
    assert_eq!(report.ledger.published, Some(157));
    assert_eq!(report.ledger.lost_before_receive, Some(22));
    assert_eq!(report.verdict, Verdict::Pass);
}

#[test]
fn a_ledger_that_does_not_balance_fails_the_run() {
    let load = LoadResult { feeds: vec![feed(1, 100)] };
    let mut report = load.report("loadgen run", Build::default());
    join(&mut report, target(Ledger::default(), &[(1, 100)]), &load, &watch(Ledger::default()));
    assert_eq!((report.verdict, report.reasons.len()), (Verdict::Fail, 1));
    assert_eq!(report.ledger.lost_before_receive, None);
}

#[test]
fn a_target_has_settled_when_all_came_and_nothing_waits_that_did_not_wait_before() {
    let before = Ledger { received: 10, published: Some(10), spooled: 5, in_flight: 2, ..Ledger::default() };
    let watch = watch(before.clone());
    let settled = |ledger: Ledger| watch.has_settled(&target(ledger, &[]), 100);
    let done = Ledger { received: 110, published: Some(110), ..before };
    assert!(settled(done.clone()));
    // Some were lost: the end of the feed tells that no more will come.
    assert!(settled(Ledger { received: 60, ..done.clone() }));
    assert!(!settled(Ledger { received: 109, published: Some(109), ..done.clone() }));
    assert!(!settled(Ledger { queued: 1, ..done.clone() }));
    assert!(!settled(Ledger { in_flight: 3, ..done.clone() }));
    assert!(!settled(Ledger { spooled: 6, ..done }));
}
