//! The forwarder, its routes, and filters of feeds.

use tickline_config::model::{CacheLimits, Condition, Filter, Route, SocketKind};

use crate::load;

fn error(text: &str) -> String {
    load(text, &[], &[]).unwrap_err()
}

#[test]
fn a_forwarder_binds_the_registrys_ports_unless_it_is_told_whom_it_connects_to() {
    let forward = |text: &str| load(text, &[], &[]).unwrap().config.forward;
    let ends = |text: &str| {
        let forward = forward(text);
        (forward.input, forward.output)
    };
    let (input, output) = (Some("tcp://127.0.0.1:5554".to_owned()), Some("tcp://127.0.0.1:5555".to_owned()));
    assert_eq!(ends(""), (input.clone(), output.clone()));
    assert_eq!(ends("[forward]\nfrom = ['tcp://h:1']\n"), (None, output.clone()));
    assert_eq!(ends("[forward]\npush = ['tcp://*:1', 'tcp://*:2']\n"), (input.clone(), None));
    let both = ends("[forward]\nfrom = ['tcp://h:1']\nin = 'tcp://*:7'\nout = 'tcp://0.0.0.0:*'\n");
    assert_eq!(both, (Some("tcp://*:7".to_owned()), Some("tcp://0.0.0.0:*".to_owned())));
    assert_eq!((forward("").queue_messages_max, forward("").cache), (100_000, None));
    let limits = CacheLimits { entries_max: 7, bytes_max: 65_536 };
    let cache = forward("[forward]\ncache = true\ncache_entries_max = 7\ncache_bytes_max = '64KiB'\n").cache;
    assert_eq!(cache, Some(limits));
}

#[test]
fn what_a_forwarder_cannot_bind_or_connect_to_is_refused() {
    let binds = "tcp://ADDRESS:PORT, tcp://*:PORT (PORT may be *, a free one) or ipc://PATH";
    assert_eq!(
        error(
            "[forward]\nin = 'tcp://h'\nout = 'inproc://x'\nfrom = ['tcp://*:1']\npush = ['tcp://h:1', 'tcp://h:1']\n"
        ),
        format!(
            "t.toml:2:1: forward.in: must be {binds}, found \"tcp://h\"\n\
             t.toml:3:1: forward.out: must be {binds}, found \"inproc://x\"\n\
             t.toml:4:1: forward.from: must be a list of different tcp://HOST:PORT or ipc://PATH, found [\"tcp://*:1\"]\n\
             t.toml:5:1: forward.push: must be a list of different {binds}, found [\"tcp://h:1\", \"tcp://h:1\"]"
        )
    );
    assert_eq!(
        error("[forward]\nin = 'tcp://*:1'\nout = 'tcp://*:2'\npush = ['tcp://*:2']\n"),
        "t.toml:4:1: forward.push: forward.out and forward.push must differ, found \"tcp://*:2\" in both"
    );
}

#[test]
fn a_route_names_topics_what_it_wants_of_them_and_another_topic() {
    let text = "[routes.big]\ntopics = ['kraken_*']\ninclude = ['BTC/*']\nexclude = ['*/EUR']\n\
                where = 'bid_qty > 10'\nto = 'big'\n";
    let loaded = load(text, &[], &[]).unwrap();
    let filter = Filter {
        include: vec!["BTC/*".to_owned()],
        exclude: vec!["*/EUR".to_owned()],
        condition: Condition::parse("bid_qty > 10"),
    };
    let route = Route { topics: vec!["kraken_*".to_owned()], filter, to: "big".to_owned() };
    assert_eq!(loaded.config.routes["big"], route);
    assert_eq!(load(&loaded.effective, &[], &[]).unwrap().config, loaded.config);
    assert_eq!(
        error(
            "[routes.a]\ntopics = []\n[routes.b]\ntopics = ['b*']\nto = 'big'\nwhere = 'bid_qty > ten'\ninclude = []\n"
        ),
        "t.toml:1:9: routes.a.to: must be one line of text, not empty, found nothing\n\
         t.toml:2:1: routes.a.topics: must have at least one, found none\n\
         t.toml:5:1: routes.b.to: must be another topic than those of topics, found \"big\"\n\
         t.toml:6:1: routes.b.where: must be FIELD OPERATOR VALUE, such as \"bid_qty > 10\", \"status == 'OPEN'\" or \
         \"tradeable == true\", found \"bid_qty > ten\"\n\
         t.toml:7:1: routes.b.include: must have at least one, found none"
    );
}

#[test]
fn a_feed_has_a_filter_and_a_socket_and_both_are_checked() {
    let text = "[feeds.kraken_tick]\ninclude = ['*/USD']\nwhere = 'bid > 1'\nsocket = 'pull'\n";
    let feed = load(text, &[], &[]).unwrap().config.feeds.remove("kraken_tick").unwrap();
    assert_eq!((feed.filter.include, feed.socket), (vec!["*/USD".to_owned()], SocketKind::Pull));
    assert_eq!(feed.filter.condition, Condition::parse("bid > 1"));
    let custom = "endpoint = 'tcp://h:1'\ntopic = 't'\nexclude = ['x']\n[feeds.mine.custom]\nmeasurement = 'm'\n\
                  fields = { v = 'v:int' }\n";
    let tagged = format!("[feeds.mine]\n{custom}tags = {{ symbol = 's' }}\n");
    assert!(load(&tagged, &[], &[]).is_ok());
    assert_eq!(
        error(&format!("[feeds.mine]\n{custom}tags = {{ side = 's' }}\n")),
        "t.toml:4:1: feeds.mine.exclude: needs one of the tags symbol, pair, instrument, market_id, found none"
    );
    assert_eq!(
        error(
            "[feeds.a]\nendpoint = 'tcp://h:1'\ntopic = 'a'\ndecoder = 'oanda_tick'\nsocket = 'pull'\n\
             [feeds.b]\nendpoint = 'tcp://h:1'\ntopic = 'b'\ndecoder = 'oanda_tick'\n"
        ),
        "t.toml:5:1: feeds.a.socket: feeds.a.socket and feeds.b.socket must be equal, since both are at tcp://h:1"
    );
}

#[test]
fn a_sink_takes_the_feeds_that_its_globs_fit_and_a_glob_fits_some() {
    let text = "[feeds.kraken_tick]\n[feeds.kraken_depth]\n[feeds.oanda_tick]\n[archive]\nfeeds = ['*_tick']\n\
                [sinks.s]\nkind = 'null'\nfeeds = ['kraken_*']\n";
    let config = load(text, &[], &[]).unwrap().config;
    let takes = |feed: &str| (config.sinks["s"].takes(feed), config.archive.takes(feed));
    assert_eq!(takes("kraken_tick"), (true, true));
    assert_eq!((takes("kraken_depth"), takes("oanda_tick")), ((true, false), (false, true)));
    assert_eq!(
        error("[feeds.kraken_tick]\n[sinks.s]\nkind = 'null'\nfeeds = ['oanda_*']\n"),
        "t.toml:4:1: sinks.s.feeds: must name feeds of the configuration, found \"oanda_*\""
    );
}
