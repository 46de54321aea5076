use super::*;
use crate::prng::Prng;

fn lower(values: &[f64]) -> Vec<Run> {
    values.iter().map(|value| [("m".to_owned(), (*value, Better::Lower))].into()).collect()
}

fn one(base: &[f64], head: &[f64]) -> Row {
    compare(("a", &lower(base)), ("b", &lower(head)), |_| 0.05).unwrap().rows.remove(0)
}

#[test]
fn a_shown_and_large_change_is_told_from_noise_and_from_a_small_one() {
    let base = [100.0, 101.0, 99.0, 100.5, 99.5];
    let times = |factor: f64| base.map(|value| value * factor);
    assert_eq!(one(&base, &base).meaning, Meaning::Unchanged);
    assert_eq!(one(&base, &times(1.02)).meaning, Meaning::Small);
    assert_eq!(one(&base, &times(1.10)).meaning, Meaning::Worse);
    assert_eq!(one(&base, &times(0.90)).meaning, Meaning::Better);
    // Twice as much in one run of five is no change that was shown.
    assert_eq!(one(&base, &[100.0, 201.0, 99.0, 100.0, 99.0]).meaning, Meaning::Unchanged);
}

#[test]
fn pairs_take_out_what_changed_on_the_machine_meanwhile() {
    // The machine gets slower and slower; the head is 10 % slower in each pair.
    let base = [100.0, 150.0, 220.0, 330.0, 500.0];
    let head = [111.0, 164.0, 243.0, 362.0, 551.0];
    let row = one(&base, &head);
    assert_eq!(row.meaning, Meaning::Worse);
    assert!((row.change - 0.10).abs() < 0.005 && row.interval.0 > 0.08 && row.interval.1 < 0.12, "{row:?}");
    // One run less, and they are no pairs any more: nothing is shown.
    assert_eq!(one(&base[..4], &head).meaning, Meaning::Unchanged);
}

/// The quantiles stand in every table of the distribution: 4.303 for 2 degrees of freedom, 2.776 for 4.
#[test]
fn an_interval_is_as_wide_as_students_table_says() {
    let width = |values: &[f64]| {
        let zero = vec![0.0; values.len()];
        interval(&zero, values, 0.95).1 - mean(values)
    };
    let error = |values: &[f64]| squared_error(values).sqrt();
    for (values, table) in [(&[1.0, 2.0, 3.0][..], 4.303), (&[1.0, 2.0, 3.0, 4.0, 5.0][..], 2.776)] {
        assert!((width(values) / error(values) - table).abs() < 0.001);
    }
}

#[test]
fn runs_of_one_program_are_found_changed_in_less_than_one_comparison_of_twenty() {
    let mut prng = Prng::new(7);
    let mut noisy = |runs: usize| -> Vec<Run> {
        let figure = |prng: &mut Prng| (0..12).map(|_| prng.unit()).sum::<f64>() + 94.0;
        let metrics =
            |prng: &mut Prng| (0..10).map(|m| (format!("m{m}"), (figure(prng), Better::Lower))).collect();
        (0..runs).map(|_| metrics(&mut prng)).collect()
    };
    let changed = |compared: Comparison| compared.rows.iter().any(|row| row.meaning != Meaning::Unchanged);
    let alarms =
        (0..400).filter(|_| changed(compare(("", &noisy(5)), ("", &noisy(5)), |_| 0.0).unwrap())).count();
    // 5 % of 400 are 20; four standard deviations more are 37.
    assert!(alarms <= 37, "{alarms} of 400");
}

#[test]
fn a_higher_rate_is_better_and_a_higher_latency_worse() {
    let report = |rate: f64, p99: f64| {
        format!(
            r#"{{"msgs_per_s":{rate},"ledger":{{"received":1000}},"cpu_s":{{"rx":0.001,"enc":0.001,"wr":0}},
            "latency_ns":{{"due_to_encode":{{"p50":5,"p99":{p99},"p999":0}}}},
            "sinks":{{"influx":{{"due_to_ack_ns":{{"p99":{p99}}}}}}}}}"#
        )
    };
    let runs = |rate: f64, p99: f64| {
        let text: String = [1.0, 1.01, 0.99].map(|noise| report(rate * noise, p99 * noise)).concat();
        super::runs("x", &text).unwrap()
    };
    let compared = compare(("a", &runs(1_000.0, 100.0)), ("b", &runs(1_200.0, 120.0)), |_| 0.05).unwrap();
    let rows = compared.rows;
    let meaning: Vec<(&str, Meaning)> = rows.iter().map(|row| (row.metric.as_str(), row.meaning)).collect();
    assert_eq!(
        meaning,
        [
            ("cpu_ns_a_message", Meaning::Unchanged),
            ("due_to_ack.influx.p99", Meaning::Worse),
            ("due_to_encode.p50", Meaning::Unchanged),
            ("due_to_encode.p99", Meaning::Worse),
            ("msgs_per_s", Meaning::Better),
        ]
    );
    assert!((rows[0].base - 2_000.0).abs() < 1e-6);
}

#[test]
fn a_bench_result_with_pairs_has_a_run_a_pair_and_an_array_is_as_good_as_a_list() {
    let pair = |ours: f64| format!(r#"{{"tickline_msgs_per_s":{ours},"floor_msgs_per_s":2}}"#);
    let bench = format!(r#"{{"msgs_per_s":5,"pairs":[{},{},{}]}}"#, pair(1.0), pair(2.0), pair(3.0));
    let runs = super::runs("x", &bench).unwrap();
    assert_eq!(runs.iter().map(|run| run["msgs_per_s"].0).collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
    assert_eq!(runs[0]["ratio_to_floor"], (0.5, Better::Higher));
    let array = r#"[{"benches":{"d":5}},{"benches":{"d":6}}] {"benches":{"d":7}}"#;
    assert_eq!(super::runs("x", array).unwrap().len(), 3);
}

#[test]
fn what_cannot_be_compared_is_refused_with_the_reason() {
    let said = |text: &str| runs("f.json", text).unwrap_err().to_string();
    assert!(said("{").starts_with("f.json: must be JSON, found EOF"), "{}", said("{"));
    assert_eq!(
        said("{}"),
        "f.json: must have reports or bench results, found no figure that can be compared"
    );
    assert_eq!(said(""), said("{}"));
    let invalid = said(r#"{"msgs_per_s":1,"verdict":"invalid"}"#);
    assert_eq!(invalid, "f.json: every run must have passed, found one with verdict \"invalid\"");
    let few = said(r#"{"msgs_per_s":1} {"msgs_per_s":1}"#);
    assert!(few.starts_with("f.json: must have at least 3 runs, found 2;"), "{few}");
    let other: Vec<Run> = (0..3).map(|_| [("n".to_owned(), (1.0, Better::Lower))].into()).collect();
    let error = compare(("a", &lower(&[1.0; 3])), ("b", &other), |_| 0.0).unwrap_err().to_string();
    assert_eq!(error, "a and b: must have a metric in common, found none");
}

/// Runs of a load report with these counts of lost messages.
fn losing(lost: &[u64]) -> Vec<Run> {
    let report = |lost: &u64| {
        format!(
            r#"{{"load":{{"sent":1000}},"elapsed_s":2,"latency_ns":{{"due_to_send":{{"p50":1,"p90":2,"p99":3,"p999":4,"max":5}}}},
            "ledger":{{"lost_before_receive":{lost},"lost_overload":null,"dropped":{{"spool_full":1}},"dropped_frames":{{"queue_full":2}}}}}}"#
        )
    };
    runs("x", &lost.iter().map(report).collect::<String>()).unwrap()
}

#[test]
fn a_load_report_has_its_rate_all_quantiles_and_what_should_not_be_there() {
    let names: Vec<(String, f64)> =
        losing(&[4; 3])[0].iter().map(|(name, (figure, _))| (name.clone(), *figure)).collect();
    let expected = [
        ("dropped", 3.0),
        ("due_to_send.max", 5.0),
        ("due_to_send.p50", 1.0),
        ("due_to_send.p90", 2.0),
        ("due_to_send.p99", 3.0),
        ("due_to_send.p999", 4.0),
        ("lost", 4.0),
        ("sent_per_s", 500.0),
    ];
    assert_eq!(names, expected.map(|(name, figure)| (name.to_owned(), figure)));
}

#[test]
fn losses_where_there_were_none_are_worse_and_one_loss_of_three_runs_is_not_shown() {
    let meaning = |base: &[u64], head: &[u64]| {
        let compared = compare(("a", &losing(base)), ("b", &losing(head)), |_| 0.05).unwrap();
        let row = compared.rows.into_iter().find(|row| row.metric == "lost").unwrap();
        (row.meaning, row.change)
    };
    assert_eq!(meaning(&[0, 0, 0], &[7, 7, 7]), (Meaning::Worse, 7.0));
    assert_eq!(meaning(&[7, 7, 7], &[0, 0, 0]), (Meaning::Better, -7.0));
    assert_eq!(meaning(&[0, 0, 0], &[0, 0, 0]), (Meaning::Unchanged, 0.0));
    assert_eq!(meaning(&[0, 0, 0], &[0, 9, 0]), (Meaning::Unchanged, 3.0));
}

#[test]
fn what_is_missing_in_a_run_is_told_and_what_is_new_is_told_apart() {
    let side = |names: &[&str]| -> Run {
        names.iter().map(|name| ((*name).to_owned(), (1.0, Better::Lower))).collect()
    };
    let base = vec![
        side(&["a", "gone", "now_and_then"]),
        side(&["a", "gone", "now_and_then"]),
        side(&["a", "gone"]),
    ];
    let head = vec![side(&["a", "now_and_then", "new"]); 3];
    let compared = compare(("a", &base), ("b", &head), |_| 0.05).unwrap();
    assert_eq!(compared.rows.iter().map(|row| row.metric.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(
        (compared.missing, compared.new),
        (vec!["gone".to_owned(), "now_and_then".to_owned()], vec!["new".to_owned()])
    );
}
