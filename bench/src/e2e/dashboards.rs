//! `tickline-bench dashboards`: how long an InfluxDB that holds a month of quotes takes for each query of the dashboards, with
//! the window and the choice that a dashboard opens with.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tickline::dashboard::{all, queries};
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::host::{build, host};
use tickline_loadgen::result::distribution;

use super::Code;
use super::pairs::duration;
use super::server::Server;

/// Lines in one request.
const LINES: u64 = 20_000;

/// Arguments of `dashboards`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// InfluxDB 1 whose database tickline_bench is dropped and filled.
    #[arg(long, value_name = "URL")]
    influx: String,
    /// Days of quotes.
    #[arg(long, default_value_t = 30)]
    days: u64,
    /// Pairs; each has a quote every `every`.
    #[arg(long, default_value_t = 10)]
    pairs: u64,
    /// Time between two quotes of a pair.
    #[arg(long, default_value = "2s", value_parser = duration)]
    every: Duration,
    /// Times that each query is asked.
    #[arg(long, default_value_t = 20)]
    rounds: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Code> {
    let server = Server::new(&arguments.influx)?;
    server.renew()?;
    let clock = OsClock::start();
    let points = fill(&server, arguments, clock.wall().0)?;
    let (mut all_ns, mut worst) = (distribution(), (0, String::new()));
    let wanted = ["tickline-kraken-tick"];
    for dashboard in all(&|_| None).iter().filter(|of| wanted.contains(&of.uid.as_str())) {
        for (title, query) in queries(dashboard) {
            let query = query.replace("$timeFilter", "time > now() - 1h").replace("$__interval", "10s");
            let query = query.replace("$pair", "P0");
            for _ in 0..arguments.rounds {
                let before = clock.mono();
                server.query(&query)?;
                let took = clock.mono().since(before);
                all_ns.saturating_record(took);
                if took > worst.0 {
                    worst = (took, title.clone());
                }
            }
        }
    }
    let ms = |quantile: f64| all_ns.value_at_quantile(quantile) as f64 / 1e6;
    let object = json!({
        "command": "dashboards", "days": arguments.days, "pairs": arguments.pairs, "points": points,
        "queries": all_ns.len(), "p50_ms": ms(0.5), "p95_ms": ms(0.95), "max_ms": worst.0 as f64 / 1e6,
        "slowest": worst.1,
        "build": build(env!("CARGO_PKG_VERSION"), option_env!("TICKLINE_COMMIT")), "host": host(),
    });
    println!("{object:#}");
    Ok(Code::Ok)
}

/// Writes quotes of every field that the engine writes by itself; returns how many.
fn fill(server: &Server, arguments: &Arguments, now_ns: i64) -> Result<u64> {
    let every_ns = i64::try_from(arguments.every.as_nanos())?;
    let steps = arguments.days * 86_400_000_000_000 / every_ns.unsigned_abs();
    let (mut text, mut lines, mut points) = (String::new(), 0, 0);
    for step in 0..steps {
        let time = now_ns - (steps - step) as i64 * every_ns;
        for pair in 0..arguments.pairs {
            let bid = 100.0 + pair as f64 + (step % 1_000) as f64 / 100.0;
            text.push_str(&format!(
                "kraken_tick,base=P,exchange=kraken,pair=P{pair},quote=USD bid={bid},bid_qty=1.5,ask={},ask_qty=2.5,last_trade_price={bid},volume={step},vwap={bid},recv_ns={time}i {time}\n",
                bid + 0.1
            ));
            lines += 1;
        }
        if lines >= LINES || step + 1 == steps {
            server.write(std::mem::take(&mut text))?;
            points += std::mem::take(&mut lines);
        }
    }
    Ok(points)
}
