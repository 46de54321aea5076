//! The sink for VictoriaMetrics against a real server: what it keeps is read back through its own export.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use tempfile::TempDir;
use tickline_config::model::Config;
use tickline_sinks::open::open;
use tickline_sinks::sink::{FaultKind, Narrowed, Outcome, RejectReason, Request};

const PROGRAM: &str = "/usr/bin/victoria-metrics";

struct Server {
    child: Child,
    url: String,
    #[expect(dead_code, reason = "it goes with the server")]
    dir: TempDir,
}

impl Server {
    fn start(more: &[&str]) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            assert!(std::env::var_os("TICKLINE_CI").is_none(), "VictoriaMetrics is not installed");
            println!("skipped: VictoriaMetrics is not installed");
            return None;
        }
        let dir = tempfile::tempdir().expect("a temporary folder");
        // It names the address that it was given, not the one it got: one that is free now must still be free then.
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("its address").to_string();
        drop(free);
        let mut child = Command::new(PROGRAM)
            .arg(format!("-storageDataPath={}", dir.path().display()))
            .arg(format!("-httpListenAddr={address}"))
            .args(["-retentionPeriod=100y"])
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let log = BufReader::new(child.stderr.take().expect("its log"));
        let mut lines = log.lines().map_while(Result::ok);
        let ready = lines.by_ref().find(|line| line.contains("starting http server"));
        assert!(ready.is_some(), "it ended before it listened");
        // Reads to the end, so that the server never waits for a full pipe.
        std::thread::Builder::new().spawn(move || lines.for_each(drop)).expect("a thread");
        let server = Self { child, url: format!("http://{address}"), dir };
        while server.get("/health").is_none() {}
        Some(server)
    }

    fn get(&self, path: &str) -> Option<String> {
        let client = reqwest::blocking::Client::builder().no_proxy().build().expect("a client");
        client.get(format!("{}{path}", self.url)).basic_auth("u", Some("p")).send().ok()?.text().ok()
    }

    /// Every sample, as `NAME{LABELS} VALUE TIME`, sorted.
    fn samples(&self) -> Vec<String> {
        self.get("/internal/force_flush").expect("it answers");
        let text = self.get("/api/v1/export?match[]={pair!=\"\"}").expect("it answers");
        let mut samples = Vec::new();
        for line in text.lines() {
            let series: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let values = series["values"].as_array().expect("values").iter();
            for (value, time) in values.zip(series["timestamps"].as_array().expect("times")) {
                samples.push(format!(
                    "{} {} {value} {time}",
                    series["metric"]["__name__"], series["metric"]["pair"]
                ));
            }
        }
        samples.sort();
        samples
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn sink(url: &str, more: &str) -> Box<dyn tickline_sinks::sink::Sink> {
    let keys = format!("kind=\"victoriametrics\" url=\"{url}\" {more}");
    let sets: Vec<String> = keys.split_whitespace().map(|key| format!("sinks.vm.{key}")).collect();
    let config = Config::load(&[], &sets, &|_| Some("p".to_owned())).expect("a configuration").config;
    open("vm", "test", 0, &config.sinks["vm"]).expect("a sink")
}

fn request(lines: &str) -> Request {
    Request { lines: Bytes::from(lines.to_owned()), points: lines.matches('\n').count() as u64 }
}

#[test]
fn numbers_arrive_at_their_ms_and_what_it_cannot_keep_is_counted() {
    let Some(server) = Server::start(&[]) else { return };
    let lines = concat!(
        "kraken_tick,pair=BTC/USD bid=0.1,trades=5i,up=true,kind=\"limit\" 1700000000123456789\n",
        "kraken_tick,pair=BTC/USD bid=0.2 1700000000124000000\n",
        "nothing that can be read\n",
        "kraken_tick,pair=a\\,b\\ c bid=3 1700000000125000000\n",
    );
    let mut sink = sink(&server.url, "gzip=true");
    let outcome = sink.write(&request(lines));
    let Outcome::Stored { rejected, lines, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((rejected, lines), (vec![(RejectReason::BadLine, 1)], vec![2]));
    assert_eq!(sink.take_narrowed(), Narrowed { texts: 1, times: 1 });
    assert_eq!(sink.take_narrowed(), Narrowed::default());
    let kept = [
        "\"kraken_tick_bid\" \"BTC/USD\" 0.1 1700000000123",
        "\"kraken_tick_bid\" \"BTC/USD\" 0.2 1700000000124",
        "\"kraken_tick_bid\" \"a,b c\" 3 1700000000125",
        "\"kraken_tick_kind\" \"BTC/USD\" 0 1700000000123",
        "\"kraken_tick_trades\" \"BTC/USD\" 5 1700000000123",
        "\"kraken_tick_up\" \"BTC/USD\" 1 1700000000123",
    ];
    assert_eq!(server.samples(), kept);
}

#[test]
fn a_login_is_sent_and_one_that_is_refused_holds_the_points() {
    let Some(server) = Server::start(&["-httpAuth.username=u", "-httpAuth.password=p"]) else { return };
    let point = request("m,pair=x f=1 1700000000000000000\n");
    let refused = sink(&server.url, "").write(&point);
    assert!(matches!(&refused, Outcome::NotSent(fault) if fault.kind == FaultKind::Auth), "{refused:?}");
    assert_eq!(sink(&server.url, "username=\"u\" password=\"env:P\"").write(&point), Outcome::accepted());
    assert_eq!(server.samples().len(), 1);
    let url = server.url.clone();
    drop(server);
    let away = sink(&url, "").write(&point);
    assert!(matches!(&away, Outcome::NotSent(fault) if fault.kind == FaultKind::Transient), "{away:?}");
}
