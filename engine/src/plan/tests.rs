use std::collections::BTreeMap;
use std::time::Duration;

use tickline_config::model::{
    Alerting, Archive, Canary, Compat, DecoderKind, Engine, FieldChoice, Filter, Format, Forward, Http,
    Rollups, Session, SocketKind, Spool, SystemFields, Tiebreak, Up, WhenFull,
};

use super::*;

fn feed(endpoint: &str) -> Feed {
    Feed {
        silence_max: None,
        data_silence_max: None,
        session: Session::Always,
        curve_server_key: None,
        endpoint: endpoint.into(),
        topic: "t".into(),
        aliases: vec![],
        decoder: DecoderKind::KrakenTick,
        format: Format::Msgpack,
        account: None,
        fields: FieldChoice::Core,
        system_fields: SystemFields { recv_ns: true, flags: true, seq: false },
        tiebreak: Tiebreak::Ordinal,
        fan_in: false,
        socket: SocketKind::Sub,
        filter: Filter::default(),
        deadband_ppm: None,
        series_max: 1_000,
        custom: None,
    }
}

fn sink(feeds: Option<&[&str]>) -> Sink {
    let feeds = feeds.map(|feeds| feeds.iter().map(|f| (*f).to_owned()).collect());
    let spool = Spool {
        dir: None,
        bytes_max: 8 << 30,
        free_bytes_min: 0,
        age_max: None,
        when_full: WhenFull::Block,
        sync_every: Duration::from_millis(50),
        sync_bytes: 1 << 20,
    };
    let (durability, when_full) = (Durability::Memory, WhenFull::Block);
    Sink { feeds, queue_batches_max: 16, durability, when_full, spool, kind: SinkKind::Null }
}

fn config() -> Config {
    let engine = Engine {
        ledger_every: None,
        curve_secret_key: None,
        instance: "test".into(),
        state_dir: "/state".into(),
        kraken_pairs: None,
        shutdown_timeout: Duration::from_secs(30),
        receive: Receive::Blocking,
        encode: Encode::Thread,
        encoders: 2,
        pinning: Pinning::Off,
        burst_max: 256,
        queue_frames_max: 1_000,
        queue_bytes_max: 1 << 20,
        when_full: WhenFull::Block,
        message_bytes_max: 1 << 20,
        rcvhwm: 1_000,
        rcvbuf: 1 << 20,
        batch_linger: Duration::from_millis(5),
        batch_bytes_max: 1 << 20,
        batch_lines_max: 5_000,
        batch_age_max: Duration::from_millis(500),
        quarantine_bytes_max: 1 << 20,
        rejects_bytes_max: 1 << 20,
    };
    let feeds = [("a", "tcp://h:1"), ("b", "tcp://h:2"), ("c", "tcp://h:1")];
    let sinks = [("all", sink(None)), ("some", sink(Some(&["b"])))];
    Config {
        engine,
        http: Http { listen: None },
        compat: Compat::default(),
        archive: Archive {
            dir: None,
            rotate: Duration::from_secs(3_600),
            bytes_max: 1 << 30,
            free_bytes_min: 0,
            compress: true,
            feeds: None,
            when_full: WhenFull::Block,
            flight: None,
            flight_bytes_max: 1 << 20,
        },
        forward: Forward::default(),
        routes: BTreeMap::new(),
        feeds: feeds.map(|(name, endpoint)| (name.to_owned(), feed(endpoint))).into(),
        sinks: sinks.map(|(name, sink)| (name.to_owned(), sink)).into(),
        publishers: BTreeMap::new(),
        alerting: Alerting::default(),
        alerts: BTreeMap::new(),
        retention: BTreeMap::new(),
        up: Up::default(),
        phases: Vec::new(),
        services: BTreeMap::new(),
        canary: Canary::default(),
        rollups: Rollups::default(),
    }
}

fn threads(plan: &Plan) -> Vec<(String, Option<usize>)> {
    let all = plan.receivers.iter().map(|r| &r.thread).chain(&plan.encoders);
    let all = all.chain(plan.writers.iter().map(|w| &w.thread));
    all.map(|thread| (thread.name.clone(), thread.core)).collect()
}

#[test]
fn feeds_on_one_endpoint_share_a_receiver_and_each_has_one_encoder_and_its_sinks() {
    let plan = Plan::new(&config(), &[0, 1]).unwrap();
    assert_eq!(plan.endpoints, ["tcp://h:1", "tcp://h:2"]);
    let seen: Vec<_> = plan.feeds.iter().map(|f| (f.endpoint, f.encoder, f.sinks.clone())).collect();
    assert_eq!(seen, [(0, 0, vec![0]), (1, 1, vec![0, 1]), (0, 0, vec![0])]);
    let names: Vec<_> = threads(&plan).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["rx-a", "rx-b", "enc-0", "enc-1", "wr-all-0", "wr-some-0"]);
}

#[test]
fn threads_are_bound_in_order_and_automatically_only_from_four_cores_up() {
    let mut config = config();
    config.engine.pinning = Pinning::Auto;
    assert!(threads(&Plan::new(&config, &[0, 1, 2]).unwrap()).iter().all(|(_, core)| core.is_none()));
    let four = threads(&Plan::new(&config, &[0, 1, 2, 3]).unwrap());
    assert_eq!(four.iter().map(|t| t.1).collect::<Vec<_>>(), [Some(1), Some(2), Some(3), None, None, None]);
    config.engine.pinning = Pinning::Cores(vec![5, 4]);
    let listed = threads(&Plan::new(&config, &[4, 5]).unwrap());
    assert_eq!(listed[..3], [("rx-a".into(), Some(5)), ("rx-b".into(), Some(4)), ("enc-0".into(), None)]);
    let refused = Plan::new(&config, &[0, 1]).unwrap_err().to_string();
    assert_eq!(refused, "engine.pinning: must list cores out of [0, 1], found 5");
}

#[test]
fn inline_and_multiplexed_have_no_encoders_and_one_receiver() {
    let mut config = config();
    (config.engine.encode, config.engine.receive) = (Encode::Inline, Receive::Multiplexed);
    let plan = Plan::new(&config, &[0]).unwrap();
    let names: Vec<_> = threads(&plan).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["rx-all", "wr-all-0", "wr-some-0"]);
    assert!(plan.feeds.iter().all(|feed| feed.encoder == 0));
}

#[test]
fn what_libzmq_may_hold_stands_apart_from_the_memory_of_the_stages() {
    let plan = Plan::new(&config(), &[0]).unwrap();
    assert_eq!(plan.libzmq_bytes, 2 * 1_000 * (1 << 20));
    let frames = plan.memory.iter().find(|row| row.bound == "queue_bytes_max").unwrap();
    assert_eq!(frames.bytes, 2 * (1 << 20), "two encoders");
    assert_eq!(plan.memory_bytes(), plan.memory.iter().map(|row| row.bytes).sum::<u64>());
}

#[test]
fn receivers_hold_batches_and_histograms_only_where_they_encode() {
    let mut config = config();
    config.engine.encoders = 1;
    let held = |config: &Config| {
        let plan = Plan::new(config, &[0]).unwrap();
        let row = |what: &str| plan.memory.iter().find(|row| row.what == what).unwrap().bytes;
        (plan.encoders.len(), row("open and empty batches"), row("histograms"))
    };
    let (encoders, batches, histograms) = held(&config);
    config.engine.encode = Encode::Inline;
    // Two receivers and two writers then, one encoder and two writers before.
    assert_eq!((encoders, held(&config)), (1, (0, 2 * batches, histograms / 3 * 4)));
}

#[test]
fn a_sink_with_a_spool_has_a_thread_a_folder_and_memory_for_it() {
    let mut config = config();
    let before = Plan::new(&config, &[0]).unwrap().memory_bytes();
    config.sinks.get_mut("some").unwrap().durability = Durability::Spill;
    let plan = Plan::new(&config, &[0]).unwrap();
    assert_eq!(plan.sinks[0].spooler, None);
    assert_eq!(plan.sinks[1].spooler.as_ref().unwrap().name, "sp-some");
    assert!(plan.files.contains(&("spool", "/state/spool/some".into())));
    assert!(plan.memory_bytes() > before);
}

#[test]
fn there_is_no_plan_without_a_feed_or_a_sink() {
    let (mut no_feed, mut no_sink) = (config(), config());
    no_feed.feeds.clear();
    no_sink.sinks.clear();
    assert_eq!(Plan::new(&no_feed, &[0]), Err(PlanError::NoFeed));
    assert_eq!(Plan::new(&no_sink, &[0]), Err(PlanError::NoSink));
}
