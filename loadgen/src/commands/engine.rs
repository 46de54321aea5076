//! The engine that a search or a drain needs: one that runs already, or one of our own for as long as it takes.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use tickline_config::model::{Config, SinkKind};
use tickline_loadgen::child::Engine;
use tickline_loadgen::target::{DEFAULT_URL, Target};

use super::{Misconfigured, Usage};
use crate::cli::EngineArgs;

/// An engine; one of our own ends with it.
pub(super) struct Found {
    pub(super) target: Target,
    own: Option<Engine>,
}

impl Found {
    /// As the command line says; `sets` only for one of our own. `stop` is what signals set: without that, one that
    /// came now would leave our engine behind.
    pub(super) fn by(args: &EngineArgs, sets: &[String], stop: &AtomicBool) -> anyhow::Result<Self> {
        let Some(config) = &args.run else {
            let url = args.target.as_deref().unwrap_or(DEFAULT_URL);
            return Ok(Self { target: Target::new(url).map_err(Usage::of)?, own: None });
        };
        let program = args.engine.clone().map_or_else(beside, Ok)?;
        let engine = Engine::configured(&program, config, sets, stop)?;
        Ok(Self { target: Target::new(engine.target()?.url())?, own: Some(engine) })
    }

    /// Ends one of our own.
    pub(super) fn end(self) -> anyhow::Result<()> {
        let Some(engine) = self.own else { return Ok(()) };
        let ended = engine.stop()?;
        anyhow::ensure!(
            ended.code == Some(0),
            "the engine ended with {:?}: {}",
            ended.code,
            ended.log.join("\n")
        );
        Ok(())
    }
}

/// The engine's program in the folder of this one.
pub(super) fn beside() -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.parent().context("a folder")?.join("tickline"))
}

/// Name and address of each InfluxDB sink of a configuration.
pub(super) fn databases(config: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let env = |name: &str| std::env::var(name).ok();
    let loaded = Config::load(&[config.to_owned()], &[], &env).map_err(Misconfigured::of)?;
    let influx = loaded.config.sinks.iter().filter_map(|(name, sink)| match &sink.kind {
        SinkKind::Influx(influx) => Some((name.clone(), influx.url.clone())),
        _ => None,
    });
    Ok(influx.collect())
}
