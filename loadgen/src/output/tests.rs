use hdrhistogram::Histogram;
use tickline_config::report::{Latency, Report, SinkReport, ThresholdReport, Verdict};

use super::*;
use crate::measure::{Measured, TargetSecond};
use crate::result::{self, LoadResult};

fn latency(values: &[u64]) -> Latency {
    let mut histogram = result::distribution();
    values.iter().for_each(|value| histogram.record(*value).unwrap());
    Latency { hdr: result::encode(&histogram), ..result::latency(&histogram) }
}

fn measured() -> Measured {
    let mut report: Report = LoadResult::default().report("loadgen run", crate::host::build("0.1.0", None));
    report.elapsed_s = 2.0;
    (report.load.planned, report.load.sent) = (2_000, 2_000);
    report.latency_ns.insert("due_to_send".to_owned(), latency(&[100, 200]));
    let ack = latency(&[1_000_000, 2_000_000, 3_000_000]);
    let sink = SinkReport {
        due_to_ack_ns: ack.clone(),
        publish_to_ack_ns: latency(&[900_000]),
        ..SinkReport::default()
    };
    report.sinks.insert("<a>".to_owned(), sink);
    report.thresholds.push(ThresholdReport {
        condition: "p99.9>20ms".to_owned(),
        measured: "3.00 ms".to_owned(),
        crossed: false,
    });
    let target = TargetSecond {
        received: 500,
        written: 1_500,
        in_flight: 3,
        spooled: 4,
        stages: vec![("encode".to_owned(), Latency::default()), ("ack.<a>".to_owned(), ack)],
    };
    let second = |at_s, span_s, target| Second { at_s, span_s, sent: 500, send: latency(&[200]), target };
    Measured {
        report,
        seconds: vec![second(0.5, 0.5, Some(target)), second(1.5, 1.0, None)],
        start: tickline_feeds::clock::WallNanos(0),
        ended_s: 1.5,
        settled_s: None,
        left: 0,
        missing: None,
    }
}

#[test]
fn a_csv_has_a_line_a_second_and_says_nothing_where_nothing_was_measured() {
    let expected = "\
at_s,sent_per_s,received_per_s,written_per_s,in_flight,spooled,send.count,send.p50_ns,send.p99_ns,send.p999_ns,send.max_ns,encode.count,encode.p50_ns,encode.p99_ns,encode.p999_ns,encode.max_ns,ack.<a>.count,ack.<a>.p50_ns,ack.<a>.p99_ns,ack.<a>.p999_ns,ack.<a>.max_ns
0.500,1000.0,1000.0,3000.0,3,4,1,200,200,200,200,0,,,,,3,2000895,3000319,3000319,3000319
1.500,500.0,,,,,1,200,200,200,200,0,,,,,0,,,,
";
    assert_eq!(csv(&measured().seconds), expected);
}

#[test]
fn the_text_has_both_latencies_and_each_condition() {
    let text = text(&measured().report);
    let expected = "\
planned 2000, sent 2000 (1000/s), late 0, blocked 0, busiest sender 0.0 %

latency to            from       count        p50        p90        p99      p99.9     p99.99        max
send                  due            2     100 ns     200 ns     200 ns     200 ns     200 ns     200 ns
ack.<a>               due            3    2.00 ms    3.00 ms    3.00 ms    3.00 ms    3.00 ms    3.00 ms
                      sent           1   900.1 µs   900.1 µs   900.1 µs   900.1 µs   900.1 µs   900.1 µs
fail if p99.9>20ms                3.00 ms  ok
";
    assert_eq!(text, expected);
}

#[test]
fn the_page_is_one_file_and_names_are_not_markup() {
    let mut measured = measured();
    measured.report.verdict = Verdict::Invalid;
    measured.report.reasons.push("<script>alert(1)</script>".to_owned());
    let page = page(&measured);
    assert!(page.contains("ack.&lt;a&gt;") && page.contains("&lt;script&gt;"), "{page}");
    assert!(!page.contains("<a>") && !page.contains("<script"), "{page}");
    assert!(page.contains("<h1>loadgen run <span class=\"invalid\">invalid</span>"), "{page}");
}

#[test]
fn a_text_and_a_page_say_the_same_of_a_run_that_is_invalid_and_crossed_a_threshold() {
    let mut measured = measured();
    let crossed = |measured: &Measured| {
        let page = page(measured);
        let class = page.split("<h1>loadgen run <span class=\"").nth(1).unwrap();
        (class.split('"').next().unwrap().to_owned(), text(&measured.report))
    };
    measured.report.reasons.push("3 late".to_owned());
    measured.report.thresholds[0].crossed = true;
    let (word, said) = crossed(&measured);
    assert_eq!(word, "fail");
    assert!(said.contains("3.00 ms  CROSSED\nnote: 3 late"), "{said}");
    measured.report.verdict = Verdict::Invalid;
    let (word, said) = crossed(&measured);
    assert_eq!(word, "invalid");
    assert!(said.contains("CROSSED\ninvalid: 3 late"), "{said}");
    measured.report.thresholds[0] = ThresholdReport {
        crossed: false,
        measured: "unknown".to_owned(),
        ..measured.report.thresholds[0].clone()
    };
    let (_, said) = crossed(&measured);
    assert!(said.contains("unknown  NOT MEASURED"), "{said}");
}

#[test]
fn an_interval_log_begins_with_the_first_message_and_has_the_generators_own_stage() {
    let log = interval_log(&measured().seconds, tickline_feeds::clock::WallNanos(1_500_000_000_000_000_000));
    let log = String::from_utf8(log.unwrap()).unwrap();
    assert!(log.contains("#[StartTime: 1500000000.000 "), "{log}");
    let tags = log.lines().filter_map(|line| line.strip_prefix("Tag=")?.split(',').next());
    assert_eq!(tags.collect::<Vec<_>>(), ["send", "ack.<a>", "send"], "{log}");
}

#[test]
fn a_page_of_a_run_without_target_has_no_empty_pictures() {
    let seconds = vec![Second { at_s: 1.0, span_s: 1.0, sent: 5, ..Second::default() }];
    let page = page(&Measured { seconds, ..measured() });
    assert!(page.contains("Rate over time") && !page.contains("over time</h2><section></section>"), "{page}");
}

#[test]
fn a_percentile_file_counts_up_to_everything() {
    let mut histogram: Histogram<u64> = result::distribution();
    (1..=1_000).for_each(|n| histogram.record(n * 1_000).unwrap());
    let text = percentiles(&histogram);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "       Value     Percentile TotalCount 1/(1-Percentile)");
    assert_eq!(lines[2], "       1.000 0.000000000000          1           1.00");
    assert_eq!(lines[3], "     100.031 0.100000000000        100           1.11");
    assert!(text.contains("\n    1000.447 1.000000000000       1000\n"), "{text}");
    assert!(
        lines[lines.len() - 2].starts_with("#[Max     =     1000.447, TotalCount     =         1000]"),
        "{text}"
    );
}
