//! `tickline top`: the status page in a terminal.

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use tickline_config::report::Report;
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::target::Target;

use super::health::Place;
use super::{Exit, Failure};

mod draw;

use draw::draw;

/// Time between two looks at the engine.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Arguments of `top`.
#[derive(Debug, clap::Args)]
pub(super) struct TopArgs {
    #[command(flatten)]
    place: Place,
}

/// What is shown.
#[derive(Debug, Default)]
struct Shown {
    url: String,
    /// The last answer, and the one before.
    now: Option<Report>,
    before: Option<Report>,
    /// What `/history` says of the last 15 minutes.
    history: serde_json::Value,
    /// Why there is no answer now.
    error: Option<String>,
    /// Wall time of the look, ns since 1970.
    at_ns: i64,
}

impl Shown {
    fn look(&mut self, target: &Target) {
        let looked = target.glance().and_then(|(report, at_ns)| Ok((report, at_ns, target.history()?)));
        match looked {
            Ok((report, at_ns, history)) => {
                // Another run counts from 0 again.
                let same = self.now.as_ref().is_some_and(|old| old.elapsed_s <= report.elapsed_s);
                self.before = self.now.take().filter(|_| same);
                (self.now, self.at_ns, self.history, self.error) = (Some(report), at_ns, history, None);
            }
            Err(error) => self.error = Some(error.to_string()),
        }
    }
}

pub(super) fn run(args: &TopArgs) -> Result<Exit, Failure> {
    let url = args.place.url()?;
    let target = Target::new(&url).map_err(|error| Failure::usage(error.to_string()))?;
    if !stdout().is_terminal() {
        return Err(Failure::usage("top: needs a terminal; tickline health says the same once"));
    }
    let mut shown = Shown { url, ..Shown::default() };
    let mut terminal = ratatui::init();
    let ended = watch(&mut terminal, &target, &mut shown);
    ratatui::restore();
    ended.map(|()| Exit::Ok).map_err(Failure::failed)
}

fn watch(terminal: &mut ratatui::DefaultTerminal, target: &Target, shown: &mut Shown) -> std::io::Result<()> {
    let clock = OsClock::start();
    loop {
        shown.look(target);
        let looked = clock.mono();
        loop {
            terminal.draw(|frame| draw(frame, shown))?;
            let rest = LOOK_EVERY.saturating_sub(Duration::from_nanos(clock.mono().since(looked)));
            if rest.is_zero() || !event::poll(rest)? {
                break;
            }
            if let Event::Key(key) = event::read()? {
                let interrupted =
                    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                if interrupted || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                    return Ok(());
                }
            }
        }
    }
}
