use super::*;

fn parse(text: &str) -> Result<Scenario, String> {
    Scenario::parse(text, Path::new("s.toml"), "127.0.0.1").map_err(|error| error.to_string())
}

#[test]
fn every_shipped_scenario_is_a_plan_that_its_venues_could_send() {
    for (name, _) in SHIPPED {
        let scenario = Scenario::open(name, "127.0.0.1").unwrap();
        assert!(scenario.plan.duration.is_some(), "{name}");
        let beyond: Vec<String> = scenario.plan.feeds.iter().filter_map(FeedLoad::beyond_venue).collect();
        assert_eq!(beyond, Vec::<String>::new(), "{name}");
        assert!(!scenario.fail_if.is_empty(), "{name}");
    }
}

#[test]
fn a_scenario_becomes_a_plan() {
    let scenario = parse(
        r#"
        seed = 9
        fail_if = ["p99.9>20ms", "lost>0"]
        [feeds.kraken_tick]
        curve = [{ for = "10s", rate = "100/s", to = "300/s" }, { for = "5s", rate = "300/s" }]
        arrivals = "burst=60/10ms"
        symbols = 500
        zipf = 1.5
        endpoint = "tcp://127.0.0.1:*"
        [feeds.betfair_stream]
        rate = "max"
        conflate = "500ms"
        "#,
    )
    .unwrap();
    let LoadPlan { feeds, duration, seed, .. } = scenario.plan;
    assert_eq!((duration, seed), (Some(Duration::from_secs(15)), 9));
    assert_eq!(
        scenario.fail_if.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["p99.9>20ms", "lost>0"]
    );
    let [betfair, kraken] = &feeds[..] else { panic!("{feeds:?}") };
    assert_eq!((betfair.pace.clone(), betfair.conflate_ns), (Pace::FlatOut, Some(500_000_000)));
    assert_eq!((kraken.symbols, kraken.zipf), (500, 1.5));
    assert_eq!(kraken.arrivals, Arrivals::Bursts { messages: 60, within_ns: 10_000_000 });
    assert_eq!(kraken.pace.messages(15_000_000_000), Some(3_500));
    assert_eq!(kraken.endpoint, "tcp://127.0.0.1:*");
}

#[test]
fn a_contradiction_is_told_with_its_line_and_all_of_them_at_once() {
    for (text, said) in [
        ("seed = 1\n[feeds]\n", "s.toml:1:1: feeds: must have at least one feed"),
        ("[feeds.nonsense]\nrate=\"1/s\"\n", "s.toml:1:8: feeds: feed: must be one of"),
        (
            "[feeds.kraken_tick]\n",
            "s.toml:1:8: feeds.kraken_tick: must have exactly one of rate, curve and recorded",
        ),
        (
            "[feeds.kraken_tick]\nrate = \"0/s\"\n",
            "s.toml:2:8: feeds.kraken_tick.rate: rate: must be a number above 0",
        ),
        ("[feeds.kraken_tick]\nrate = \"5/s\"\nspeed = 1\n", "s.toml:3:1: unknown field `speed`"),
        ("[feeds.kraken_tick]\ncurve = []\n", "feeds.kraken_tick.curve: must have at least one piece"),
        (
            "[feeds.kraken_tick]\ncurve = [{ for = \"0s\", rate = \"5/s\" }]\n",
            "s.toml:2:18: feeds.kraken_tick.curve: must be a duration above 0 such as 10s, found \"0s\"",
        ),
        (
            "[feeds.kraken_tick]\ncurve = [{ for = \"1s\", rate = \"max\" }]\n",
            "a piece must have a rate such as 5000/s, found \"max\"",
        ),
        (
            "[feeds.kraken_tick]\nrate = \"max\"\narrivals = \"venue\"\n",
            "s.toml:3:12: feeds.kraken_tick.arrivals: must go with a rate or a curve",
        ),
        ("[feeds.kraken_tick]\nrate = \"5/s\"\nsymbols = 0\n", "symbols: must be 1..=1000000, found 0"),
        ("[feeds.kraken_tick]\nrate = \"5/s\"\nzipf = -1.0\n", "zipf: must be 0.0..=10.0, found -1"),
        ("[feeds.kraken_tick]\nrate = \"5/s\"\nconflate = \"1s\"\n", "conflate: must be of betfair_stream"),
        (
            "[feeds.kraken_tick]\nrecorded = \"none.cap\"\n",
            "feeds.kraken_tick.recorded: none.cap: No such file",
        ),
        (
            "duration = \"20s\"\n[feeds.kraken_tick]\ncurve = [{ for = \"10s\", rate = \"5/s\" }]\n",
            "s.toml:1:12: duration: must be at most what the curve of kraken_tick tells, 10s, found 20s",
        ),
        (
            "[feeds.kraken_tick]\nrate=\"5/s\"\n[feeds.oanda_tick]\nrate=\"5/s\"\nendpoint=\"tcp://127.0.0.1:5558\"\n",
            "s.toml:3:8: feeds.oanda_tick.endpoint: tcp://127.0.0.1:5558 is that of kraken_tick, too",
        ),
        (
            "fail_if = [\"p95>1ms\"]\n[feeds.kraken_tick]\nrate = \"5/s\"\n",
            "s.toml:1:12: fail_if: condition: metric must be",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(said), "{text}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let both = "[feeds.kraken_tick]\nrate = \"0/s\"\n[feeds.nonsense]\nrate = \"1/s\"\n";
    assert_eq!(parse(both).unwrap_err().lines().count(), 2);
}

#[test]
fn a_name_that_is_no_file_lists_the_shipped_scenarios() {
    let error = Scenario::open("nonsense", "127.0.0.1").unwrap_err().to_string();
    assert!(error.starts_with("scenario: must be a file or one of steady, venues, opening,"), "{error}");
}

#[test]
fn the_gaps_of_a_capture_can_be_the_curve_of_another_feed_of_its_kind() {
    let folder = tempfile::tempdir().unwrap();
    let load = |rate| FeedLoad::new("kraken_tick", "", Rate::PerSecond(rate)).unwrap();
    let plan = LoadPlan { feeds: vec![load(1_000.0)], ..LoadPlan::default() };
    crate::run::write_capture(&plan, &[5], &folder.path().join("r.cap")).unwrap();
    let text = "duration = \"1s\"\n[feeds.kraken_tick]\nrecorded = \"r.cap\"\n";
    let scenario = Scenario::parse(text, &folder.path().join("s.toml"), "").unwrap();
    let pace = &scenario.plan.feeds[0].pace;
    assert_eq!(*pace, Pace::Recorded([0, 1_000_000, 2_000_000, 3_000_000, 4_000_000].into()));
    assert_eq!(pace.messages(1_000_000_000), Some(1_000));
}

#[test]
fn everything_that_is_wrong_with_one_feed_is_told_together() {
    let text = "[feeds.kraken_tick]\nrate = \"fast\"\narrivals = \"rarely\"\nsymbols = 0\nzipf = 11.0\nconflate = \"1\"\n";
    let error = Scenario::parse(text, Path::new("s.toml"), "127.0.0.1").unwrap_err();
    let mut told: Vec<usize> =
        error.0.iter().map(|line| line.split(':').nth(1).unwrap().parse().unwrap()).collect();
    told.sort_unstable();
    // Two rules for the last one: what a duration is, and whose it is.
    assert_eq!(told, [2, 3, 4, 5, 6, 6], "{error}");
}
