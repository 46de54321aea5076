//! When a rule fires and when it ends, by a clock of the test's own.

use tickline_config::filter::Condition;

use super::*;

fn rule(when: &str, hold_s: u64, keep_s: u64) -> Alert {
    Alert {
        when: Condition::parse(when).unwrap(),
        labels: Vec::new(),
        increase_over: None,
        hold: Duration::from_secs(hold_s),
        keep: Duration::from_secs(keep_s),
        severity: Some(Severity::Page),
        summary: "{feed} is at {value}".into(),
    }
}

fn rules(rule: Alert) -> Rules {
    Rules::new([("r".to_owned(), rule)].into())
}

/// What has changed at a second, such as `fires a is at 2` or `ends a is at 2`.
fn at(rules: &mut Rules, second: u64, page: &str) -> Vec<String> {
    let changes = rules.look(page, MonoNanos(second * 1_000_000_000), second as i64 * 1_000_000_000);
    let said = |change| match change {
        Change::Fires(of) => format!("fires {} since {}", of.summary, of.since_ns / 1_000_000_000),
        Change::Ends(of) => format!("ends {}", of.summary),
    };
    changes.into_iter().map(said).collect()
}

fn metric(pairs: &[(&str, f64)]) -> String {
    let line = |(feed, value): &(&str, f64)| format!("tickline_m{{feed=\"{feed}\"}} {value}\n");
    pairs.iter().map(line).collect()
}

#[test]
fn a_rule_waits_fires_once_and_ends_when_it_has_not_held_for_a_while() {
    let mut rules = rules(rule("m > 1", 10, 20));
    assert!(at(&mut rules, 0, &metric(&[("a", 2.0)])).is_empty());
    assert!(at(&mut rules, 5, &metric(&[("a", 1.0)])).is_empty(), "a break begins again");
    assert!(at(&mut rules, 10, &metric(&[("a", 2.0)])).is_empty());
    assert_eq!(at(&mut rules, 20, &metric(&[("a", 3.0)])), ["fires a is at 3 since 10"]);
    assert!(at(&mut rules, 25, &metric(&[("a", 4.0)])).is_empty(), "told once");
    assert!(at(&mut rules, 30, &metric(&[("a", 1.0)])).is_empty(), "it flaps");
    assert!(at(&mut rules, 35, &metric(&[("a", 2.0)])).is_empty(), "and goes on");
    assert!(at(&mut rules, 54, &metric(&[("a", 0.0)])).is_empty());
    assert_eq!(at(&mut rules, 55, &metric(&[("a", 0.0)])), ["ends a is at 3"]);
    assert!(rules.firing().is_empty());
}

#[test]
fn each_series_stands_for_itself_and_only_those_that_fit_the_globs() {
    let mut rules = rules(Alert { labels: vec![("feed".into(), "a*".into())], ..rule("m >= 1", 0, 0) });
    let page = metric(&[("a1", 1.0), ("a2", 0.0), ("b", 9.0)]);
    assert_eq!(at(&mut rules, 0, &page), ["fires a1 is at 1 since 0"]);
    let page = metric(&[("a1", 1.0), ("a2", 5.5), ("b", 9.0)]);
    assert_eq!(at(&mut rules, 5, &page), ["fires a2 is at 5.500 since 5"]);
    assert_eq!(at(&mut rules, 10, &metric(&[("a2", 5.5)])), ["ends a1 is at 1"], "its feed was removed");
}

#[test]
fn an_increase_is_what_a_counter_has_grown_in_the_span_also_over_a_restart() {
    let five_minutes = Some(Duration::from_secs(300));
    let mut rules = rules(Alert { increase_over: five_minutes, ..rule("m > 0", 0, 0) });
    assert!(at(&mut rules, 0, &metric(&[("a", 1_000.0)])).is_empty(), "nothing to compare with yet");
    assert!(at(&mut rules, 100, &metric(&[("a", 1_000.0)])).is_empty());
    assert_eq!(at(&mut rules, 200, &metric(&[("a", 1_007.0)])), ["fires a is at 7 since 200"]);
    assert!(at(&mut rules, 400, &metric(&[("a", 1_007.0)])).is_empty(), "still within five minutes");
    assert_eq!(at(&mut rules, 500, &metric(&[("a", 1_007.0)])), ["ends a is at 7"]);
    assert_eq!(
        at(&mut rules, 510, &metric(&[("a", 3.0)])),
        ["fires a is at 3 since 510"],
        "it counts from 0 again"
    );
}

#[test]
fn a_rule_that_is_off_says_nothing() {
    let mut rules = rules(Alert { severity: None, ..rule("m > 0", 0, 0) });
    assert!(at(&mut rules, 0, &metric(&[("a", 1.0)])).is_empty());
}
