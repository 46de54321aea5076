//! `tickline schema`

use tickline_feeds::schema::{FieldType, MEASUREMENTS, SCHEMA_VERSION, SYSTEM_FIELDS, to_json};

use super::{Exit, Failure};

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
pub(super) struct SchemaArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &SchemaArgs) -> Result<Exit, Failure> {
    if args.json {
        println!("{:#}", to_json());
        return Ok(Exit::Ok);
    }
    println!("schema version {SCHEMA_VERSION}");
    for measurement in MEASUREMENTS {
        println!("{}  tags: {}", measurement.name, measurement.tags.join(", "));
        for field in measurement.fields {
            let core = if field.core { "core" } else { "" };
            println!("  {:<28} {:<8} {core}", field.name, type_name(field.kind));
        }
    }
    let system: Vec<&str> = SYSTEM_FIELDS.iter().map(|field| field.name).collect();
    println!("system fields of every tick point: {}", system.join(", "));
    Ok(Exit::Ok)
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
