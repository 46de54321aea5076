//! Every form of error, with its exact words.

use tickline_config::model::{Config, DecoderKind};

use crate::load;

const FEED: &str = "[feeds.x]\nendpoint = 'tcp://h:1'\ntopic = 't'\n";
const SINK: &str = "[sinks.s]\nkind = 'influxdb'\nversion = 1\nurl = 'http://h:1'\ndatabase = 'd'\n";

fn assert_all(cases: &[(String, &str)]) {
    for (text, want) in cases {
        assert_eq!(load(text, &[], &[]).err().as_deref(), Some(*want), "{text}");
    }
}

#[test]
fn a_value_out_of_range_or_of_the_wrong_type_says_the_rule_and_what_was_found() {
    let cases = [
        ("batch_linger = 5", "batch_linger: must carry a unit, such as \"5ms\", found 5"),
        ("batch_linger = 1.5", "batch_linger: must carry a unit, such as \"1.5ms\", found 1.5"),
        ("shutdown_timeout = 30", "shutdown_timeout: must carry a unit, such as \"30s\", found 30"),
        ("rcvbuf = 64", "rcvbuf: must carry a unit, such as \"64KiB\", found 64"),
        ("batch_linger = '5'", "batch_linger: must be 0ms..=10s, found \"5\""),
        ("batch_linger = '1m'", "batch_linger: must be 0ms..=10s, found \"1m\""),
        ("batch_linger = true", "batch_linger: must be 0ms..=10s, found true"),
        ("rcvbuf = '1KiB'", "rcvbuf: must be 4KiB..=1GiB, found \"1KiB\""),
        ("encoders = 0", "encoders: must be 1..=64, found 0"),
        ("encoders = 'two'", "encoders: must be 1..=64, found \"two\""),
        ("encoders = 2.0", "encoders: must be 1..=64, found 2.0"),
        ("encoders = 99999999999999999999", "encoders: must be 1..=64, found 99999999999999999999"),
        ("encoders = 2020-01-01", "encoders: must be 1..=64, found 2020-01-01"),
        ("instance = ''", "instance: must be 1..=64 letters, digits, . - and _, the first no ., found \"\""),
        ("instance = 7", "instance: must be 1..=64 letters, digits, . - and _, the first no ., found 7"),
        ("receive = 'poll'", "receive: must be \"blocking\" or \"multiplexed\", found \"poll\""),
        ("pinning = 'on'", "pinning: must be \"off\", \"auto\" or a list of different cores, found \"on\""),
        ("pinning = [1, 1]", "pinning: must be \"off\", \"auto\" or a list of different cores, found [1, 1]"),
        (
            "when_full = 'wait'",
            "when_full: must be \"block\", \"drop_oldest\" or \"drop_newest\", found \"wait\"",
        ),
        (
            "when_full = 'spool'",
            "when_full: must be \"block\", \"drop_oldest\" or \"drop_newest\", found \"spool\"",
        ),
        (
            "instance = '../x'",
            "instance: must be 1..=64 letters, digits, . - and _, the first no ., found \"../x\"",
        ),
        ("state_dir = ''", "state_dir: must be one line of text, not empty, found \"\""),
        ("state_dir = 7", "state_dir: must be one line of text, not empty, found 7"),
        (
            "instance = '${NONE}'",
            "instance: needs environment variable NONE, which is not set (--env-file FILE reads variables)",
        ),
        ("state_dir = '${NONE:?set it}'", "state_dir: needs environment variable NONE: set it"),
        ("encodres = 1", "encodres: unknown key, did you mean \"encoders\""),
    ];
    for (line, want) in cases {
        let error = load(&format!("[engine]\n  {line}\n"), &[], &[]).unwrap_err();
        assert_eq!(error, format!("t.toml:2:3: engine.{want}"), "{line}");
    }
}

#[test]
fn unknown_sections_and_keys_come_with_a_suggestion_or_a_list() {
    let top = "engine, http, compat, archive, forward, routes, feeds, sinks, publishers, alerting, alerts, retention, up, phases, services, canary, rollups";
    assert_all(&[
        ("[engin]\n".to_owned(), "t.toml:1:2: engin: unknown key, did you mean \"engine\""),
        ("[zzzzzzzzz]\n".to_owned(), &format!("t.toml:1:2: zzzzzzzzz: unknown key, there are {top}")),
        ("[http]\nx = 1\n".to_owned(), "t.toml:2:1: http.x: unknown key, there are listen, remote"),
        ("engine = 1\n".to_owned(), "t.toml:1:1: engine: must be a table, found 1"),
        ("feeds = 1\n".to_owned(), "t.toml:1:1: feeds: must be a table, found 1"),
        ("[feeds]\nx = 1\n".to_owned(), "t.toml:2:1: feeds.x: must be a table, found 1"),
        (
            "[defaults.feed]\nseries_max = 1\n".to_owned(),
            "t.toml:1:2: defaults: belongs to the built-in file, set the key in [feeds.NAME], [sinks.NAME] or \
             [retention.NAME]",
        ),
        (
            "[feeds._x]\nendpoint = 'tcp://h:1'\ntopic = 't'\ndecoder = 'oanda_tick'\n".to_owned(),
            "t.toml:1:8: feeds._x: name must be 1..=64 letters, digits, - and _, the first no _, found \"_x\"",
        ),
    ]);
}

#[test]
fn a_feed_says_what_it_lacks_and_which_decoders_there_are() {
    let names = DecoderKind::ALL.map(|(name, _)| name);
    let decoders = names.map(|name| format!("{name:?}"))[..names.len() - 1].join(", ");
    assert_all(&[
        (
            "[feeds.x]\ndecoder = 'oanda_tick'\n".to_owned(),
            "t.toml:1:8: feeds.x.endpoint: must be set, since \"x\" is no feed of the registry\n\
             t.toml:1:8: feeds.x.topic: must be set, since \"x\" is no feed of the registry",
        ),
        (
            FEED.to_owned(),
            &format!("t.toml:1:8: feeds.x.decoder: must be {decoders} or \"custom\", found \"x\""),
        ),
        (
            "[feeds.last_value_cache]\ntopic = 't'\n".to_owned(),
            &format!(
                "t.toml:1:8: feeds.last_value_cache.decoder: this version has {}, found none for \"last_value_cache\"",
                names.join(", ")
            ),
        ),
        (
            "[feeds.kraken_orders]\naccount = 'main'\n[feeds.kraken_tick]\naccount = 'x'\nformat = 'x01'\n\
             [feeds.kraken_depth]\nformat = 'x01'\n[feeds.oanda_orders]\naccount = 'a b'\nformat = 'csv'\n"
                .to_owned(),
            "t.toml:4:1: feeds.kraken_tick.account: belongs to decoder \"kraken_orders\", \"oanda_orders\" or \
             \"betfair_orders\", found \"kraken_tick\"\n\
             t.toml:7:1: feeds.kraken_depth.format: belongs to decoder \"kraken_tick\", \"oanda_tick\", \
             \"kraken_eurusd_tick\" or \"kraken_eurusd_depth\", found \"kraken_depth\"\n\
             t.toml:9:1: feeds.oanda_orders.account: must be 1..=64 letters, digits, . - and _, the first no ., \
             found \"a b\"\n\
             t.toml:10:1: feeds.oanda_orders.format: must be \"msgpack\", \"x01\" or \"json\", found \"csv\"",
        ),
        (
            "[feeds.kraken_depth]\ndeadband_ppm = 5\n[feeds.kraken_tick]\ndeadband_ppm = -1\n".to_owned(),
            "t.toml:2:1: feeds.kraken_depth.deadband_ppm: belongs to decoder \"kraken_tick\" or \"oanda_tick\", found \
             \"kraken_depth\"\n\
             t.toml:4:1: feeds.kraken_tick.deadband_ppm: must be 0..=1000000, found -1",
        ),
        (
            "[feeds.kraken_tick]\ndeadband_ppm = 5\nfields = ['last']\n".to_owned(),
            "t.toml:2:1: feeds.kraken_tick.deadband_ppm: needs bid or ask among the fields",
        ),
        (
            "[feeds.kraken_tick]\nendpoint = 'localhost:5558'\n".to_owned(),
            "t.toml:2:1: feeds.kraken_tick.endpoint: must be tcp://HOST:PORT or ipc://PATH, \
             found \"localhost:5558\"",
        ),
        (
            "[feeds.kraken_tick]\nfields = 'most'\nsystem_fields = ['size']\naliases = ['']\n".to_owned(),
            "t.toml:2:1: feeds.kraken_tick.fields: must be \"core\", \"all\" or a list of field names, found \"most\"\n\
             t.toml:3:1: feeds.kraken_tick.system_fields: must be a list of \"recv_ns\", \"flags\" or \"seq\", \
             found [\"size\"]\n\
             t.toml:4:1: feeds.kraken_tick.aliases: must be a list of texts, none of them empty, found [\"\"]",
        ),
    ]);
}

#[test]
fn a_feed_of_ones_own_is_checked_name_by_name() {
    let custom = |lines: &str| format!("{FEED}[feeds.x.custom]\n{lines}");
    let reserved = "must be names that are not reserved (time, recv_ns, flags, seq, venue_ns)";
    assert_all(&[
        (
            format!("{FEED}decoder = 'custom'\n"),
            "t.toml:1:8: feeds.x.custom: must be a table, since decoder is \"custom\", found nothing",
        ),
        (
            custom("measurement = 'm'\nfields = { a = 'b:int' }\n")
                .replace("topic", "decoder = 'oanda_tick'\ntopic"),
            "t.toml:5:10: feeds.x.custom: belongs to decoder \"custom\", found decoder \"oanda_tick\"",
        ),
        (
            custom("mesurement = 'm'\nfields = { a = 'b:int' }\n"),
            "t.toml:4:10: feeds.x.custom.measurement: must be one line of text, not empty, found nothing\n\
             t.toml:5:1: feeds.x.custom.mesurement: unknown key, did you mean \"measurement\"",
        ),
        (
            custom("measurement = 'm'\nfields = { a = 'b:long' }\n"),
            &format!(
                "t.toml:6:1: feeds.x.custom.fields: {reserved} and PATH:float, :int, :bool or :str, found \"a\" = \"b:long\""
            ),
        ),
        (
            custom("measurement = 'm'\nfields = {}\n"),
            "t.toml:6:1: feeds.x.custom.fields: must have at least one field, found none",
        ),
        (
            custom("measurement = 'm'\nfields = { a = 'b:int' }\ntags = { a = 'c' }\n"),
            "t.toml:6:1: feeds.x.custom.fields: must not have the name of a tag, found \"a\"",
        ),
        (
            custom(
                "measurement = '_m'\nfields = { a = 'b:int' }\ntags = { time = 'c' }\ntime = { path = 'a..b', unit = 'min' }\n",
            ),
            &format!(
                "t.toml:5:1: feeds.x.custom.measurement: must be 1..=256 bytes without control characters, a backslash \
                 at the end or _ in front, found \"_m\"\n\
                 t.toml:7:1: feeds.x.custom.tags: {reserved} and a path of keys joined by dots, found \"time\"\n\
                 t.toml:8:10: feeds.x.custom.time.path: must be keys joined by dots, found \"a..b\"\n\
                 t.toml:8:25: feeds.x.custom.time.unit: must be \"s\", \"ms\", \"us\" or \"ns\", found \"min\""
            ),
        ),
    ]);
}

#[test]
fn a_sink_is_checked_by_its_kind_and_version() {
    let kinds =
        "\"influxdb\", \"victoriametrics\", \"questdb\", \"postgresql\", \"parquet\", \"file\" or \"null\"";
    let url = "must be http://HOST:PORT or https://HOST:PORT, without path";
    assert_all(&[
        (
            "[sinks.s]\ndir = 'x'\n".to_owned(),
            &format!("t.toml:1:8: sinks.s.kind: must be {kinds}, found nothing"),
        ),
        (
            "[sinks.s]\nkind = 'kafka'\n".to_owned(),
            &format!("t.toml:2:1: sinks.s.kind: must be {kinds}, found \"kafka\""),
        ),
        (
            "[sinks.s]\nkind = 'influxdb'\nurl = 'http://h'\n".to_owned(),
            "t.toml:1:8: sinks.s.version: must be 1..=3, found nothing",
        ),
        (SINK.replace("= 1", "= 4"), "t.toml:3:1: sinks.s.version: must be 1..=3, found 4"),
        (
            "[sinks.s]\nkind = 'postgresql'\nservers = ['h']\nport = 1\n".to_owned(),
            "t.toml:1:8: sinks.s.database: must be one line of text, not empty, found nothing\n\
             t.toml:1:8: sinks.s.username: must be one line of text, not empty, found nothing\n\
             t.toml:3:1: sinks.s.servers: must be a list of \"HOST:PORT\" or \"/FOLDER:PORT\", found [\"h\"]\n\
             t.toml:4:1: sinks.s.port: unknown key, there are kind, feeds, queue_batches_max, durability, when_full, spool, \
             servers, database, schema, username, password, connections, timeout, request_bytes_max, tls, tls_ca",
        ),
        (
            "[sinks.s]\nkind = 'file'\n".to_owned(),
            "t.toml:1:8: sinks.s.path: must be one line of text, not empty, found nothing",
        ),
        (
            format!("{SINK}bucket = 'b'\n"),
            "t.toml:6:1: sinks.s.bucket: belongs to version 2, found version 1",
        ),
        (
            format!("{SINK}dir = 'b'\n"),
            "t.toml:6:1: sinks.s.dir: belongs to kind \"parquet\", found version 1",
        ),
        (
            format!("{SINK}username = 'u'\n"),
            "t.toml:1:8: sinks.s.password: must be set beside username, found nothing",
        ),
        (
            SINK.replace("h:1'", "h:1/write'"),
            &format!("t.toml:4:1: sinks.s.url: {url}, found \"http://h:1/write\""),
        ),
        (
            SINK.replace("= 1", "= 3") + "connections = 2\n",
            "t.toml:6:1: sinks.s.connections: must be 8..=64, found 2",
        ),
        (
            format!("{SINK}request_bytes_max = '64'\n"),
            "t.toml:6:1: sinks.s.request_bytes_max: must be 4KiB..=25MB, found \"64\"",
        ),
    ]);
}

#[test]
fn rules_between_keys_name_both_keys() {
    let two = "[feeds.a]\nendpoint = 'tcp://localhost:1'\ntopic = 't'\ndecoder = 'oanda_tick'\n\
               [feeds.b]\nendpoint = 'tcp://127.0.0.1:1'\ntopic = 'u'\ndecoder = 'oanda_tick'\n";
    assert_eq!(load(two, &[], &[]).map(|l| l.config.feeds.len()), Ok(2), "topics differ");
    assert_all(&[
        (
            two.replace("'u'", "'t'"),
            "t.toml:5:8: feeds.b: feeds.a and feeds.b must differ in endpoint or topic, found \"t\" at \
             tcp://127.0.0.1:1 in both",
        ),
        (
            two.replace("'u'", "'*'"),
            "t.toml:5:8: feeds.b: feeds.a and feeds.b must differ in endpoint or topic, found \"*\" at \
             tcp://127.0.0.1:1 in both",
        ),
        (
            "[http]\nlisten = '0.0.0.0:5558'\nremote = true\n[feeds.kraken_tick]\n".to_owned(),
            "t.toml:4:8: feeds.kraken_tick.endpoint: http.listen and feeds.kraken_tick.endpoint must have different \
             ports, found 5558 in both",
        ),
        (
            "[engine]\nbatch_age_max = '2ms'\n".to_owned(),
            "t.toml:2:1: engine.batch_age_max: engine.batch_linger must be at most engine.batch_age_max, found \
             \"5ms\" and \"2ms\"",
        ),
        (
            format!("{SINK}request_bytes_max = '4KiB'\n"),
            "t.toml:6:1: sinks.s.request_bytes_max: engine.batch_bytes_max must be at most \
             sinks.s.request_bytes_max, found \"1MiB\" and \"4KiB\"",
        ),
        (
            "[engine]\nqueue_bytes_max = '1MiB'\nqueue_frames_max = 8\n".to_owned(),
            "t.toml:2:1: engine.queue_bytes_max: engine.message_bytes_max must be at most engine.queue_bytes_max, \
             found \"4MiB\" and \"1MiB\"\n\
             t.toml:3:1: engine.queue_frames_max: engine.burst_max must be at most engine.queue_frames_max, found \
             256 and 8",
        ),
        (
            "[feeds.kraken_tick]\n[sinks.s]\nkind = 'null'\nfeeds = ['kraken_tik']\n".to_owned(),
            "t.toml:4:1: sinks.s.feeds: must name feeds of the configuration, found \"kraken_tik\", did you mean \
             \"kraken_tick\"",
        ),
        (
            "[sinks.a]\nkind = 'file'\npath = 'p'\n[sinks.b]\nkind = 'file'\npath = 'p'\n".to_owned(),
            "t.toml:6:1: sinks.b.path: sinks.a.path and sinks.b.path must differ, found \"p\" in both",
        ),
        (
            "[retention.r]\nduration = '1d'\nshard_duration = '2d'\ndefault = true\n".to_owned(),
            "t.toml:3:1: retention.r.shard_duration: shard_duration must be at most duration, found \"2d\" and \
             \"1d\"\n\
             t.toml:4:1: retention.r.default: at most one policy must be the default, found \
             retention.default.default and retention.r.default",
        ),
    ]);
}

#[test]
fn a_rule_between_keys_is_not_told_of_a_key_that_is_wrong_itself() {
    let text = "[engine]\nbatch_age_max = 2\n[feeds.a]\nendpoint = 1\n[feeds.b]\nendpoint = 1\n";
    let error = load(text, &[], &[]).unwrap_err();
    assert!(!error.contains("must differ") && !error.contains("at most"), "{error}");
}

#[test]
fn all_violations_are_told_in_the_order_of_files_and_arguments() {
    let text =
        "[sinks.s]\nkind = 'null'\nfoo = 1\n[engine]\nencoders = 0\n[feeds.kraken_tick]\nseries_max = 0\n";
    let error = load(text, &["engine.rcvhwm=0", "http.listen=here"], &[]).unwrap_err();
    let want = "t.toml:3:1: sinks.s.foo: unknown key, there are kind, feeds, queue_batches_max, \
                durability, when_full, spool\n\
                t.toml:5:1: engine.encoders: must be 1..=64, found 0\n\
                t.toml:7:1: feeds.kraken_tick.series_max: must be 1..=100000000, found 0\n\
                --set engine.rcvhwm: engine.rcvhwm: must be 1..=100000000, found 0\n\
                --set http.listen: http.listen: must be an IP address and port, such as \"127.0.0.1:9600\", or \
                \"off\", found \"here\"";
    assert_eq!(error, want);
}

#[test]
fn a_sink_with_a_spool_has_no_other_policy_and_one_without_has_no_spool() {
    let with = |lines: &str| load(&format!("[sinks.s]\nkind = 'null'\n{lines}"), &[], &[]).unwrap_err();
    assert_eq!(
        with("when_full = 'block'\n"),
        "t.toml:3:1: sinks.s.when_full: must be \"spool\" or absent unless durability is \"memory\"; \
         spool.when_full says what a full spool does"
    );
    assert_eq!(
        with("durability = 'memory'\nwhen_full = 'spool'\n"),
        "t.toml:4:1: sinks.s.when_full: must be \"block\", \"drop_oldest\" or \"drop_newest\" with durability \"memory\", found \"spool\""
    );
    assert_eq!(
        with("spool.max_bytes = '1MiB'\n"),
        "t.toml:3:7: sinks.s.spool.max_bytes: engine.batch_bytes_max must be at most half of \
         sinks.s.spool.max_bytes, found \"1MiB\" and \"1MiB\""
    );
    assert_eq!(
        with("[sinks.s.spool]\nmax_byte = '1GiB'\nsync_every = 50\n"),
        "t.toml:4:1: sinks.s.spool.max_byte: unknown key, did you mean \"max_bytes\"\n\
         t.toml:5:1: sinks.s.spool.sync_every: must carry a unit, such as \"50ms\", found 50"
    );
}

#[test]
fn text_that_is_no_toml_says_where() {
    assert_all(&[
        (
            "[engine]\nencoders = \n[engine]\n".to_owned(),
            "t.toml:2:12: string values must be quoted, expected literal string\n\
             t.toml:3:2: duplicate key",
        ),
        ("x\n".to_owned(), "t.toml:1:2: key with no value, expected `=`"),
    ]);
}

#[test]
fn a_file_that_cannot_be_read_and_a_set_without_value_are_told() {
    let sets = ["engine".to_owned(), "engine.=1".to_owned()];
    let error = Config::load(&["/no/such.toml".into()], &sets, &|_| None).unwrap_err();
    let want = "/no/such.toml: cannot be read: No such file or directory (os error 2)\n\
                --set engine: must be KEY=VALUE, such as engine.encoders=2\n\
                --set engine.: must be KEY=VALUE, such as engine.encoders=2";
    assert_eq!(error.to_string(), want);
    let deep = format!("a{}", ".a".repeat(100_000));
    let error = Config::load(&[], &[format!("{deep}=1")], &|_| None).unwrap_err();
    assert_eq!(error.to_string(), format!("--set {deep}: must be KEY=VALUE, such as engine.encoders=2"));
}
