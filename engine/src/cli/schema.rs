//! `tickline schema`

use std::fmt::Write;

use tickline_feeds::schema::{
    FieldType, MEASUREMENTS, OWN_MEASUREMENTS, SCHEMA_VERSION, SYSTEM_FIELDS, to_json,
};

use super::{Exit, Failure, print_text};

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
pub(super) struct SchemaArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &SchemaArgs) -> Result<Exit, Failure> {
    if args.json {
        print_text(&format!("{:#}\n", to_json()))?;
    } else {
        print_text(&table().map_err(Failure::failed)?)?;
    }
    Ok(Exit::Ok)
}

fn table() -> Result<String, std::fmt::Error> {
    let mut out = format!("schema version {SCHEMA_VERSION}\n");
    for measurement in MEASUREMENTS.iter().chain(OWN_MEASUREMENTS) {
        let (name, from, tags) = (measurement.name, measurement.from, measurement.tags.join(", "));
        writeln!(out, "{name}  (from {from})  tags: {tags}")?;
        for field in measurement.fields {
            let core = if field.core { "core" } else { "" };
            writeln!(out, "  {:<28} {:<8} {core}", field.name, type_name(field.kind))?;
        }
    }
    writeln!(out, "system fields of every tick point, all integer")?;
    for field in SYSTEM_FIELDS {
        writeln!(out, "  {:<28} {}", field.name, field.about)?;
    }
    writeln!(out, "a custom feed writes what its section says: see config/examples/custom.toml")?;
    Ok(out)
}

/// The type as InfluxDB names it.
pub(super) const fn type_name(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Float => "float",
        FieldType::Integer => "integer",
        FieldType::Boolean => "boolean",
        FieldType::String => "string",
    }
}
