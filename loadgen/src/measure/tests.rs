use tickline_config::report::{FeedReport, Ledger, SourceReport};

use super::*;
use crate::plan::{FeedLoad, LoadPlan, Rate};
use crate::result::{FeedResult, LoadResult, distribution};
use crate::run::start;
use crate::target::Target;
use crate::target::tests::serve;

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
    Watch::new(Target::new("http://127.0.0.1:1").unwrap(), target(before, &[]), None)
}

#[test]
fn messages_that_the_target_never_heard_of_are_lost() {
    let load = LoadResult { feeds: vec![feed(1, 100), feed(2, 50), feed(3, 7)] };
    // It knows 90 of the first source, all of the second, and nothing of the third, whatever its feeds are named.
    let ledger =
        Ledger { published: Some(140), lost_before_receive: Some(5), balanced: true, ..Ledger::default() };
    let mut report = load.report("loadgen run", Build::default());
    watch(Ledger::default()).join(&mut report, target(ledger, &[(1, 90), (2, 50), (9, 1_000)]), &load);
    assert_eq!(report.ledger.published, Some(157));
    assert_eq!(report.ledger.lost_before_receive, Some(22));
    assert_eq!(report.verdict, Verdict::Pass);
}

#[test]
fn a_ledger_that_does_not_balance_fails_the_run() {
    let load = LoadResult { feeds: vec![feed(1, 100)] };
    let mut report = load.report("loadgen run", Build::default());
    watch(Ledger::default()).join(&mut report, target(Ledger::default(), &[(1, 100)]), &load);
    assert_eq!((report.verdict, report.reasons.len()), (Verdict::Fail, 1));
    assert_eq!(report.ledger.lost_before_receive, None);
}

#[test]
fn a_target_has_settled_when_all_came_and_nothing_waits_that_did_not_wait_before() {
    let before = Ledger {
        received: 10,
        published: Some(10),
        spooled: 5,
        in_flight: 2,
        balanced: true,
        ..Ledger::default()
    };
    let watch = watch(before.clone());
    let settled = |ledger: Ledger| watch.has_settled(&target(ledger, &[]), 100);
    let done = Ledger { received: 110, published: Some(110), ..before };
    assert!(settled(done.clone()));
    // Some were lost: the end of the feed tells that no more will come.
    assert!(settled(Ledger { received: 60, ..done.clone() }));
    assert!(!settled(Ledger { received: 109, published: Some(109), ..done.clone() }));
    assert!(!settled(Ledger { queued: 1, ..done.clone() }));
    assert!(!settled(Ledger { in_flight: 3, ..done.clone() }));
    assert!(!settled(Ledger { spooled: 6, ..done.clone() }));
    assert!(!settled(Ledger { balanced: false, ..done }), "points are in an open batch");
}

/// A short load without subscribers, measured at a target.
fn measured(watch: Watch) -> Measured {
    measured_until(watch, Duration::from_secs(30), |_| false)
}

/// The same, stopped when a second says so.
fn measured_until(watch: Watch, settle: Duration, stops: impl Fn(&Second) -> bool) -> Measured {
    let endpoint = "tcp://127.0.0.1:*".to_owned();
    let load = FeedLoad { endpoint, ..FeedLoad::new("kraken_tick", "", Rate::PerSecond(100.0)).unwrap() };
    let plan = LoadPlan {
        feeds: vec![load],
        duration: Some(Duration::from_millis(1_500)),
        wait: false,
        ..LoadPlan::default()
    };
    let running = start(plan, OsClock::start()).unwrap();
    let stop = AtomicBool::new(false);
    let terms = Terms { command: "loadgen run", build: Build::default(), settle, stop: &stop };
    let show = |_: &Running, second: Option<&Second>| {
        if second.is_some_and(&stops) {
            stop.store(true, Ordering::Relaxed);
        }
    };
    measure(running, Some(watch), terms, show).unwrap()
}

fn answer(report: &Report) -> String {
    let json = serde_json::to_string(report).unwrap();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{json}", json.len())
}

#[test]
fn a_target_that_goes_away_leaves_what_the_generator_saw_and_no_figures_of_its_own() {
    let begun = |before: Report| {
        let target = Target::new(&serve(1, move || answer(&before))).unwrap();
        Watch::begin(target, &OsClock::start()).unwrap()
    };
    let standing = || target(Ledger { received: 7, ..Ledger::default() }, &[]);
    let needed = measured(begun(standing()));
    assert_eq!((needed.report.load.sent, needed.report.verdict), (150, Verdict::Fail));
    assert!(needed.report.target.is_none() && needed.report.ledger.received == 0, "{:?}", needed.report);
    let missing = needed.missing.unwrap();
    assert!(needed.report.reasons.contains(&format!("the engine's figures are missing: {missing}")));
    let lucky = measured(begun(standing()).if_it_lasts());
    assert_ne!(lucky.report.verdict, Verdict::Fail, "{:?}", lucky.report.reasons);
    // Each message is in a second, the last ones in the one after.
    let late: Vec<u64> = lucky.seconds.iter().map(|second| second.send.count).collect();
    assert_eq!(late.iter().sum::<u64>(), 150);
    assert!(late[0] > 0, "{late:?}");
    assert!(lucky.missing.is_some() && lucky.seconds.iter().all(|second| second.target.is_none()));
}

#[test]
fn one_answer_that_does_not_come_is_a_hole_in_the_seconds_and_a_restart_is_the_end_of_the_figures() {
    for restarts in [false, true] {
        let mut answers = 0;
        let say = move || {
            answers += 1;
            if answers == 2 {
                return "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned();
            }
            let received = if answers > 3 { 150 } else { 50 };
            let mut report = target(Ledger { received, balanced: true, ..Ledger::default() }, &[]);
            report.elapsed_s = if restarts && answers > 3 { 0.5 } else { f64::from(answers) };
            answer(&report)
        };
        let target = Target::new(&serve(usize::MAX, say)).unwrap();
        let mut watch = Watch::begin(target, &OsClock::start()).unwrap();
        watch.before = Report::default();
        let measured = measured(watch);
        assert_eq!(measured.missing.is_some(), restarts, "{:?}", measured.missing);
        assert!(measured.seconds[0].target.is_none(), "{:?}", measured.seconds);
        if !restarts {
            assert_eq!((measured.report.ledger.received, measured.settled_s.is_some()), (150, true));
        }
    }
}

#[test]
fn what_a_stop_leaves_unsettled_is_no_result_whether_it_comes_before_the_last_message_or_after_it() {
    let unsettled = || {
        let mut answers = 0;
        let say = move || {
            answers += 1;
            let ledger = Ledger { received: 150, in_flight: 3, balanced: true, ..Ledger::default() };
            answer(&Report { elapsed_s: f64::from(answers), ..target(ledger, &[]) })
        };
        let mut watch =
            Watch::begin(Target::new(&serve(usize::MAX, say)).unwrap(), &OsClock::start()).unwrap();
        watch.before = Report::default();
        watch
    };
    let settling = measured_until(unsettled(), Duration::from_secs(30), |second| second.sent == 0);
    assert_eq!((settling.report.load.sent, settling.report.verdict), (150, Verdict::Invalid));
    assert_eq!(settling.report.reasons, ["stopped before the target had settled"]);
    let sending = measured_until(unsettled(), Duration::from_millis(100), |_| true);
    assert_eq!(sending.report.verdict, Verdict::Fail);
    assert!(
        sending.report.reasons.iter().any(|reason| reason.contains("had not settled")),
        "{:?}",
        sending.report.reasons
    );
}
