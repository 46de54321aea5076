//! `tickline alerts`: the rules of the configuration for others.

use crate::alert::render::{grafana, prometheus};

use super::{ConfigArgs, Exit, Failure, print_text};

/// For whom.
#[derive(Debug, clap::Subcommand)]
pub(super) enum AlertsCommand {
    /// Print them as a rule file of Prometheus (promtool check rules).
    Prometheus(ConfigArgs),
    /// Print them as a file for Grafana's provisioning/alerting.
    Grafana {
        #[command(flatten)]
        config: ConfigArgs,
        /// Uid of the data source, a Prometheus that scrapes /metrics.
        #[arg(long, default_value = "prometheus")]
        datasource: String,
    },
}

pub(super) fn run(command: &AlertsCommand) -> Result<Exit, Failure> {
    let text = match command {
        AlertsCommand::Prometheus(config) => prometheus(&config.load()?.config.alerts),
        AlertsCommand::Grafana { config, datasource } => grafana(&config.load()?.config.alerts, datasource),
    };
    print_text(&text).map(|()| Exit::Ok)
}
