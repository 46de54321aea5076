use tickline_config::report::{FeedReport, SinkReport};

use super::*;
use crate::result::LoadResult;

fn condition(text: &str) -> Condition {
    text.parse().unwrap()
}

fn report() -> Report {
    let mut report = LoadResult::default().report("loadgen run", crate::host::build("0.1.0", None));
    report.elapsed_s = 2.0;
    (report.load.sent, report.load.late, report.load.blocked) = (10_000, 3, 7);
    report.ledger.lost_before_receive = Some(4);
    report.ledger.lost_overload = Some(1);
    report.ledger.dropped_frames.insert("queue_full".to_owned(), 2);
    report.ledger.dropped.insert("spool_full".to_owned(), 5);
    report.ledger.rejected.insert("bad_line".to_owned(), 6);
    let distribution = |p999| Latency { count: 9, p50: 1_000, p999, max: 90_000_000, ..Latency::default() };
    report.latency_ns.insert("due_to_encode".to_owned(), distribution(2_000_000));
    for (name, p999) in [("a", 10_000_000), ("b", 20_000_000)] {
        let sink = SinkReport { due_to_ack_ns: distribution(p999), ..SinkReport::default() };
        report.sinks.insert(name.to_owned(), sink);
    }
    report.feeds.insert("kraken_tick".to_owned(), FeedReport::default());
    report
}

#[test]
fn each_metric_is_read_where_the_report_has_it() {
    let report = report();
    for (text, measured) in [
        ("sent>0", 10_000.0),
        ("rate>1/s", 5_000.0),
        ("late>0", 3.0),
        ("blocked>0", 7.0),
        ("lost>0", 5.0),
        ("dropped>0", 7.0),
        ("rejected>0", 6.0),
        // One feed and two sinks whose ledgers say that they do not balance.
        ("unbalanced>0", 3.0),
        ("p50>1ms", 1_000.0),
        // The slowest sink counts.
        ("p99.9>1ms", 20_000_000.0),
        ("ack.p99.9>1ms", 20_000_000.0),
        ("encode.p99.9>1ms", 2_000_000.0),
        ("max>1ms", 90_000_000.0),
    ] {
        assert_eq!(condition(text).measured(&report), Some(measured), "{text}");
    }
    assert_eq!(condition("receive.p50>1ms").measured(&report), None);
}

#[test]
fn an_operator_compares_as_written() {
    let report = report();
    for (text, holds) in [
        ("lost>5", false),
        ("lost>=5", true),
        ("lost<5", false),
        ("lost <= 5", true),
        ("lost=5", true),
        ("lost=0", false),
        ("p99.9>20ms", false),
        ("p99.9>=20ms", true),
        ("p99.9<10ms", false),
        ("rate<5001/s", true),
    ] {
        assert_eq!(condition(text).holds(&report), Some(holds), "{text}");
    }
}

#[test]
fn what_is_no_condition_is_refused_with_the_rule() {
    for (text, said) in [
        ("p99.9", "condition: must be METRIC OPERATOR VALUE such as p99.9>20ms or lost>0, found \"p99.9\""),
        ("", "condition: must be METRIC OPERATOR VALUE such as p99.9>20ms or lost>0, found \"\""),
        ("p95>1ms", "ack. in front, found \"p95\""),
        ("write.p50>1ms", "ack. in front, found \"write.p50\""),
        ("send.lost>0", "ack. in front, found \"send.lost\""),
        ("p50>1", "condition: value of p50 must be a duration such as 20ms, found \"1\""),
        ("rate>5", "condition: value of rate must be messages a second such as 5000/s, found \"5\""),
        ("lost>-1", "condition: value of lost must be a whole number such as 0, found \"-1\""),
        ("lost==0", "condition: value of lost must be a whole number such as 0, found \"=0\""),
        ("lost>1ms", "found \"1ms\""),
    ] {
        let error = text.parse::<Condition>().unwrap_err().to_string();
        assert!(error.ends_with(said), "{text}: {error}");
    }
}

#[test]
fn only_the_generators_own_figures_do_without_a_target() {
    let needs = |text| condition(text).metric().needs_target();
    assert!(
        ["sent>0", "rate<1/s", "late>0", "blocked>0", "send.p99>1ms"].into_iter().all(|text| !needs(text))
    );
    assert!(
        ["lost>0", "dropped>0", "rejected>0", "unbalanced>0", "p99>1ms", "receive.max>1s"]
            .into_iter()
            .all(needs)
    );
}

#[test]
fn an_opposite_holds_exactly_where_the_condition_does_not() {
    let report = report();
    for (text, opposite) in [
        ("p99.9>50ms", "p99.9<=50ms"),
        ("lost >= 5", "lost < 5"),
        ("rate<5000/s", "rate>=5000/s"),
        ("encode.p50<=1ms", "encode.p50>1ms"),
    ] {
        let turned = condition(text).opposite().unwrap();
        assert_eq!((turned.to_string().as_str(), &turned), (opposite, &condition(opposite)));
        assert_ne!(condition(text).holds(&report), turned.holds(&report), "{text}");
    }
    assert_eq!(condition("lost=0").opposite(), None);
}

#[test]
fn what_a_run_cannot_measure_is_known_before_it() {
    let (with_sinks, without) = (report(), Report::default());
    let sight = Sight { scheduled: true, target: Some(&with_sinks), clock_error_ns: Some(2_000_000) };
    let said = |sight: Sight<'_>, text: &str| sight.shows(&[condition(text)]).unwrap_err().to_string();
    for seen in ["p99<3ms", "send.p99<1us", "lost=0", "rate>1/s"] {
        assert_eq!(sight.shows(&[condition(seen)]), Ok(()), "{seen}");
    }
    let blurred =
        "encode.p99<1ms: must be more than the clocks may differ, found ± 2.00 ms to the target's host";
    assert_eq!(said(sight, "encode.p99<1ms"), blurred);
    for unscheduled in ["p99<3ms", "send.p99<1us"] {
        let told = said(Sight { scheduled: false, ..sight }, unscheduled);
        assert_eq!(told, format!("{unscheduled}: must have a schedule, found the rate max: nothing is due"));
    }
    let told = said(Sight { target: Some(&without), ..sight }, "ack.p99<3ms");
    assert_eq!(told, "ack.p99<3ms: must have a target with a sink, found none");
    let told = said(Sight { target: None, ..sight }, "lost=0");
    assert_eq!(told, "lost=0: must have a target, found --target none");
}
