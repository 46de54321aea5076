//! `venue`: a simulated venue until a signal or its time is over. One line of JSON says where it is, and one at the end
//! what its faults were.

use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::venue::betfair::{self, BetfairVenue};
use tickline_loadgen::venue::kraken::{self, KrakenVenue};
use tickline_loadgen::venue::oanda::{self, OandaVenue};
use tickline_loadgen::venue::{Feed, Pace, Simulator, VenueError};

use super::{Usage, stop_on_signals};
use crate::cli::{Symbols, VenueArg, VenueArgs};

/// Messages a second where nothing else is said.
const RATE: f64 = 50.0;

/// How often it looks for a signal.
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn run(args: VenueArgs) -> anyhow::Result<u8> {
    let stop = stop_on_signals()?;
    let (venue, said) = start(&args)?;
    let mut line = json!({ "venue": format!("{:?}", args.venue).to_lowercase(), "stream": venue.stream, "rest": venue.rest });
    line["credentials"] = said;
    if let Some((folder, certificates)) = args.tls.as_ref().zip(venue.certificates.as_ref()) {
        certificates.write(folder).with_context(|| folder.display().to_string())?;
        line["ca"] = folder.join("ca.pem").display().to_string().into();
    }
    print(&line)?;
    let clock = OsClock::start();
    let is_over = || args.duration.is_some_and(|duration| clock.mono().0 >= duration.as_nanos() as u64);
    while !stop.load(Ordering::Relaxed) && !is_over() {
        std::thread::park_timeout(LOOK);
    }
    let record = venue.stop();
    print(&json!({ "made": record.made, "connections": record.connections, "journal": record.journal }))?;
    Ok(0)
}

fn print(line: &serde_json::Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("stdout")
}

fn usage(error: VenueError) -> anyhow::Error {
    match error {
        VenueError::Fault(error) => Usage::of(error),
        VenueError::Recording(_) => Usage::of(error),
        other => other.into(),
    }
}

/// The venue, and what its clients must know to get in.
fn start(args: &VenueArgs) -> anyhow::Result<(Simulator, serde_json::Value)> {
    let usual = if args.recordings.is_empty() { Pace::Rate(RATE) } else { Pace::Recorded(1.0) };
    let feed = Feed {
        listen: args.listen,
        tls: args.tls.is_some(),
        pace: args.rate.unwrap_or(usual),
        messages: args.messages,
        seed: args.seed,
        faults: args.faults.clone(),
        keep: false,
        ..Feed::default()
    };
    let recordings = args.recordings.clone();
    let names = |count: fn(usize) -> Vec<String>| match &args.symbols {
        Symbols::Count(_) if !recordings.is_empty() => Vec::new(),
        Symbols::Count(n) => count(*n),
        Symbols::Named(names) => names.clone(),
    };
    match args.venue {
        VenueArg::Kraken => {
            let credentials = kraken::Credentials::default();
            let said = json!({ "key": credentials.key, "secret": credentials.secret });
            let venue = KrakenVenue { feed, symbols: names(kraken::symbols), credentials, recordings };
            Ok((kraken::start(venue).map_err(usage)?, said))
        }
        VenueArg::Oanda => {
            let account = oanda::Account::default();
            let said = json!({ "account": account.id, "token": account.token });
            let venue = OandaVenue { feed, instruments: names(oanda::instruments), account, recordings };
            Ok((oanda::start(venue).map_err(usage)?, said))
        }
        VenueArg::Betfair => {
            let Symbols::Count(markets) = args.symbols else {
                return Err(Usage::of("symbols: must be a number of markets for betfair, found names"));
            };
            let credentials = betfair::Credentials::default();
            let betfair::Credentials { app_key, username, password, session } = &credentials;
            let said =
                json!({ "app_key": app_key, "username": username, "password": password, "session": session });
            let venue = BetfairVenue { feed, markets, credentials, recordings, ..BetfairVenue::default() };
            Ok((betfair::start(venue).map_err(usage)?, said))
        }
    }
}
