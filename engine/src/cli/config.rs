//! `tickline config`

use std::path::PathBuf;

use tickline_config::{DEFAULTS, import, schema};

use super::{ConfigArgs, Exit, Failure, print_text};

/// What to do with configurations.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ConfigCommand {
    /// Print every key with its default, as a commented file.
    Defaults,
    /// Print the effective configuration, secrets masked.
    Show(ConfigArgs),
    /// Print the JSON Schema of the configuration.
    Schema,
    /// Turn the predecessor's integration_config.json into a configuration, on standard output.
    Import {
        /// The predecessor's file.
        file: PathBuf,
    },
}

pub(super) fn run(command: &ConfigCommand) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Defaults => print_text(DEFAULTS)?,
        ConfigCommand::Show(args) => print_text(&args.load()?.effective)?,
        ConfigCommand::Schema => print_text(&schema::config_schema_json())?,
        ConfigCommand::Import { file } => {
            let name = file.display();
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::configuration(format!("{name}: {error}")))?;
            let imported =
                import::import(&text).map_err(|error| Failure::configuration(format!("{name}: {error}")))?;
            for warning in &imported.warnings {
                eprintln!("{name}: {warning}");
            }
            print_text(&imported.toml)?;
        }
    }
    Ok(Exit::Ok)
}
