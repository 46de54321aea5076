//! Defaults, files, arguments, variables and the registry, laid over each other.

use std::path::PathBuf;
use std::time::Duration;

use tickline_config::model::{
    Config, CustomTime, CustomType, DecoderKind, Durability, Encode, FieldChoice, Format, InfluxTarget,
    Pinning, Receive, SinkKind, Spool, SystemFields, Tiebreak, TimeUnit, WhenFull,
};
use tickline_config::registry::PORTS;

use crate::load;

const MIB: usize = 1024 * 1024;

#[test]
fn the_defaults_alone_are_a_valid_configuration() {
    let loaded = Config::load(&[], &[], &|_| None).unwrap();
    let engine = &loaded.config.engine;
    assert!(!engine.instance.is_empty());
    assert_eq!(engine.state_dir, PathBuf::from("./tickline-data"));
    assert_eq!(engine.shutdown_timeout, Duration::from_secs(30));
    assert_eq!((engine.receive, engine.encode, engine.encoders), (Receive::Blocking, Encode::Thread, 1));
    assert_eq!((&engine.pinning, engine.burst_max), (&Pinning::Auto, 256));
    assert_eq!((engine.queue_frames_max, engine.queue_bytes_max), (65_536, 32 * MIB));
    assert_eq!((engine.when_full, engine.message_bytes_max), (WhenFull::Block, 4 * MIB));
    assert_eq!((engine.rcvhwm, engine.rcvbuf), (100_000, 4 * MIB));
    assert_eq!(
        (engine.batch_linger, engine.batch_age_max),
        (Duration::from_millis(5), Duration::from_millis(500))
    );
    assert_eq!((engine.batch_bytes_max, engine.batch_lines_max), (MIB, 5_000));
    assert_eq!(engine.quarantine_bytes_max, 64 * MIB as u64);
    assert_eq!(loaded.config.http.listen, Some(([127, 0, 0, 1], 9600).into()));
    assert!(!loaded.config.compat.legacy_tick);
    let days = |n: u64| Some(Duration::from_secs(n * 86_400));
    let kept: Vec<_> =
        loaded.config.retention.iter().map(|(n, r)| (n.as_str(), r.duration, r.default)).collect();
    let want = [("archive", None, false), ("default", days(30), true), ("high_frequency", days(7), false)];
    assert_eq!(kept[..3], want);
    assert_eq!(kept[3], ("long_term", days(365), false));
    assert_eq!((loaded.config.feeds.len(), loaded.config.sinks.len()), (0, 0));
    let missing = loaded.config.require_runnable().unwrap_err().to_string();
    let none = "must have at least one, found none";
    assert_eq!(missing, format!("configuration: feeds: {none}\nconfiguration: sinks: {none}"));
}

#[test]
fn a_feed_of_the_registry_needs_no_keys() {
    let loaded = load("[feeds.kraken_depth]\n[feeds.oandav20_tick]\n[feeds.oanda]\n", &[], &[]).unwrap();
    let depth = &loaded.config.feeds["kraken_depth"];
    assert_eq!((depth.endpoint.as_str(), depth.topic.as_str()), ("tcp://127.0.0.1:5560", "kr_depth"));
    assert_eq!(
        (depth.aliases.as_slice(), depth.decoder),
        (&["kraken_depth".to_owned()][..], DecoderKind::KrakenDepth)
    );
    assert_eq!((&depth.fields, depth.tiebreak, depth.fan_in), (&FieldChoice::Core, Tiebreak::Ordinal, false));
    assert_eq!(depth.system_fields, SystemFields { recv_ns: true, flags: true, seq: false });
    assert_eq!((depth.series_max, &depth.custom), (200_000, &None));
    assert_eq!(loaded.config.feeds["oandav20_tick"].decoder, DecoderKind::OandaTick);
    assert_eq!(loaded.config.feeds["oanda"].topic, "*");
    assert_eq!((depth.format, &depth.account), (Format::Msgpack, &None));
}

#[test]
fn every_feed_of_the_registry_has_a_decoder_and_may_be_read_as_text() {
    for row in PORTS.iter().filter(|row| !row.topic.is_empty()) {
        let name = row.feed();
        let loaded = load(&format!("[feeds.{name}]\nformat = 'json'\n"), &[], &[]).unwrap();
        let feed = &loaded.config.feeds[name];
        let known = DecoderKind::ALL.iter().find(|(decoder, _)| *decoder == row.decoder).unwrap();
        assert_eq!((feed.decoder, feed.format), (known.1, Format::Json), "{name}");
    }
}

#[test]
fn another_topic_has_no_aliases_of_the_registry() {
    let loaded = load("[feeds.kraken_depth]\ntopic = 'mine'\n", &[], &[]).unwrap();
    assert_eq!(loaded.config.feeds["kraken_depth"].aliases, [""; 0]);
}

#[test]
fn a_feed_of_ones_own_keeps_its_fields_in_the_order_of_the_file() {
    let text = "[feeds.x]\nendpoint = 'ipc:///tmp/x'\ntopic = 't'\n[feeds.x.custom]\nmeasurement = 'm'\n\
                time = { path = 'a.ts', unit = 'us' }\ntags = { z = 's', b = 'c' }\n\
                fields = { price = 'px:float', count = 'q.n:int', Open = 'o:bool', a = 'x:y:str' }\n";
    let loaded = load(text, &[], &[]).unwrap();
    assert_eq!(loaded.config.feeds["x"].decoder, DecoderKind::Custom);
    let custom = loaded.config.feeds["x"].custom.clone().unwrap();
    let path = |keys: &[&str]| keys.iter().map(|k| k.to_string()).collect::<Vec<_>>();
    assert_eq!(custom.time, Some(CustomTime { path: path(&["a", "ts"]), unit: TimeUnit::Micros }));
    assert_eq!(custom.tags, [("b".to_owned(), path(&["c"])), ("z".to_owned(), path(&["s"]))]);
    let fields = [
        ("price".to_owned(), path(&["px"]), CustomType::Float),
        ("count".to_owned(), path(&["q", "n"]), CustomType::Int),
        ("Open".to_owned(), path(&["o"]), CustomType::Bool),
        ("a".to_owned(), path(&["x:y"]), CustomType::Str),
    ];
    assert_eq!(custom.fields, fields);
    let again = load(&loaded.effective, &[], &[]).unwrap();
    assert_eq!(again.config.feeds["x"].custom, Some(custom));
}

#[test]
fn each_sink_has_the_defaults_of_its_kind() {
    let text = "[sinks.one]\nkind = 'influxdb'\nversion = 1\nurl = 'http://h:1/'\ndatabase = 'd'\n\
                [sinks.three]\nkind = 'influxdb'\nversion = 3\nurl = 'https://[::1]:2'\ndatabase = 'd'\n\
                [sinks.files]\nkind = 'parquet'\ndir = 'p'\n[sinks.lines]\nkind = 'file'\npath = 'l'\n\
                [sinks.none]\nkind = 'null'\ndurability = 'memory'\nwhen_full = 'drop_oldest'\n\
                [sinks.safe]\nkind = 'null'\ndurability = 'journal'\nspool.max_age = '7d'\n";
    let sinks = load(text, &[], &[]).unwrap().config.sinks;
    let SinkKind::Influx(one) = &sinks["one"].kind else { panic!("{sinks:?}") };
    assert_eq!((one.url.as_str(), one.connections, one.timeout), ("http://h:1", 2, Duration::from_secs(10)));
    assert_eq!((one.gzip, one.request_bytes_max, &one.proxy), (false, 4 * MIB, &None));
    let target = InfluxTarget::V1 { database: "d".to_owned(), retention_policy: None, login: None };
    assert_eq!(one.target, target);
    let SinkKind::Influx(three) = &sinks["three"].kind else { panic!("{sinks:?}") };
    assert_eq!((three.url.as_str(), three.connections), ("https://[::1]:2", 8));
    let SinkKind::Parquet(files) = &sinks["files"].kind else { panic!("{sinks:?}") };
    assert_eq!(
        (files.file_bytes_max, files.held_bytes_max, files.open_files_max),
        (64 * MIB as u64, 64 * MIB, 64)
    );
    assert_eq!(files.file_age_max, Duration::from_secs(60));
    let full: Vec<_> =
        sinks.values().map(|s| (s.when_full, s.queue_batches_max, s.feeds.is_none())).collect();
    let block = (WhenFull::Block, 16, true);
    assert_eq!(full, [block, block, (WhenFull::DropOldest, 16, true), block, block, block]);
    assert_eq!((sinks["one"].durability, sinks["safe"].durability), (Durability::Spill, Durability::Journal));
    let spool = Spool { age_max: Some(Duration::from_secs(7 * 86_400)), ..sinks["one"].spool.clone() };
    assert_eq!(sinks["safe"].spool, spool);
    assert_eq!((spool.dir, spool.bytes_max, spool.when_full), (None, 8 << 30, WhenFull::Block));
}

#[test]
fn later_files_and_then_sets_win() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["a.toml", "b.toml"].map(|name| folder.path().join(name));
    std::fs::write(&first, "[engine]\nencoders = 2\nburst_max = 10\nrcvhwm = 5\n").unwrap();
    std::fs::write(&second, "[engine]\nburst_max = 20\nrcvhwm = 6\n").unwrap();
    let sets = ["engine.rcvhwm=7", "engine.batch_linger=2ms", "feeds.kraken_tick={}", "http.listen = 'off'"];
    let loaded = Config::load(&[first, second], &sets.map(str::to_owned), &|_| None).unwrap();
    let engine = &loaded.config.engine;
    assert_eq!((engine.encoders, engine.burst_max, engine.rcvhwm), (2, 20, 7));
    assert_eq!(engine.batch_linger, Duration::from_millis(2));
    assert!(loaded.config.feeds.contains_key("kraken_tick"));
    assert_eq!(loaded.config.http.listen, None);
}

#[test]
fn variables_stand_in_texts_and_cannot_add_keys() {
    let env = [("STATE_DIRECTORY", "/var/lib/tickline"), ("EVIL", "x' }\"}"), ("TWO_LINES", "x\n[sinks.s]")];
    let loaded = load("[feeds.kraken_tick]\ntopic = 'i-${EVIL}-$${EVIL}'\n", &[], &env).unwrap();
    assert_eq!(loaded.config.engine.state_dir, PathBuf::from("/var/lib/tickline"));
    assert_eq!(loaded.config.feeds["kraken_tick"].topic, "i-x' }\"}-${EVIL}");
    assert_eq!(load(&loaded.effective, &[], &[]).unwrap(), loaded);
    let error = load("[engine]\nstate_dir = '${TWO_LINES}'\n", &[], &env).unwrap_err();
    let rule = "must be one line of text, not empty, found \"x\\n[sinks.s]\"";
    assert_eq!(error, format!("t.toml:2:1: engine.state_dir: {rule}"));
}

#[test]
fn the_effective_text_loads_to_the_same_configuration_and_the_same_hash() {
    let text =
        "[feeds.kraken_tick]\nfields = ['bid']\n[engine]\npinning = [1, 0]\n[sinks.s]\nkind = 'null'\n";
    let loaded = load(text, &[], &[]).unwrap();
    assert_eq!(loaded.config.engine.pinning, Pinning::Cores(vec![1, 0]));
    assert_eq!(load(&loaded.effective, &[], &[]).unwrap(), loaded);
    let other = load(&text.replace("bid", "ask"), &[], &[]).unwrap();
    assert_ne!(loaded.sha256, other.sha256);
    assert_eq!(loaded.sha256.len(), 64);
}

#[test]
fn a_run_without_a_file_has_feeds_and_one_influxdb() {
    let feeds = ["kraken_tick", "kr_depth"].map(str::to_owned);
    let sets = ["sinks.influx.gzip=true".to_owned()];
    let loaded = Config::quick_run(&feeds, "http://localhost:8086/tick", &sets, &|_| None).unwrap();
    assert_eq!(loaded.config.feeds.keys().collect::<Vec<_>>(), ["kraken_depth", "kraken_tick"]);
    let SinkKind::Influx(influx) = &loaded.config.sinks["influx"].kind else { panic!("{loaded:?}") };
    assert_eq!((influx.url.as_str(), influx.gzip), ("http://localhost:8086", true));
    let error = Config::quick_run(&["kraken_tik".to_owned()], "http://h:1/d", &[], &|_| None).unwrap_err();
    let want = "--feed kraken_tik: must be a feed of the registry, did you mean \"kraken_tick\"";
    assert_eq!(error.to_string(), want);
}
