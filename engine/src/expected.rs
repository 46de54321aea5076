//! What a configuration will write: measurements with their tags and fields, from the schema and from custom feeds.

use tickline_config::model::{Config, Custom, CustomType, Sink};
use tickline_feeds::schema::{
    FieldType, LEGACY_TICK, MEASUREMENTS, Measurement, OWN_MEASUREMENTS, SYSTEM_FIELDS,
};

/// One measurement that a run may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected<'c> {
    /// Its name.
    pub measurement: &'c str,
    /// Names of its tags.
    pub tags: Vec<&'c str>,
    /// Its fields with their types, [`SYSTEM_FIELDS`] included.
    pub fields: Vec<(&'c str, FieldType)>,
}

/// The venue decoders' measurements and those of custom feeds.
pub fn of_all(config: &Config) -> Vec<Expected<'_>> {
    let mut all: Vec<Expected<'_>> = MEASUREMENTS.iter().map(of_venue).collect();
    all.extend(config.feeds.values().filter_map(|feed| feed.custom.as_ref()).map(of_custom));
    all
}

/// What goes to one sink: its feeds' measurements, and what the engine writes itself.
pub fn of_sink<'c>(config: &'c Config, sink: &Sink) -> Vec<Expected<'c>> {
    let mut all: Vec<Expected<'c>> = Vec::new();
    for (_, feed) in config.feeds.iter().filter(|(name, _)| sink.takes(name)) {
        let decoder = feed.decoder.name();
        let of = |measurement: &&Measurement| {
            let made = measurement.name != LEGACY_TICK.name || config.compat.legacy_tick;
            made && measurement.from.split(' ').next() == Some(decoder)
        };
        all.extend(MEASUREMENTS.iter().filter(of).map(of_venue));
        all.extend(feed.custom.as_ref().map(of_custom));
    }
    all.extend(OWN_MEASUREMENTS.iter().map(|own| Expected { fields: fields(own), ..of_venue(own) }));
    join(all)
}

fn fields(of: &Measurement) -> Vec<(&'static str, FieldType)> {
    of.fields.iter().map(|field| (field.name, field.kind)).collect()
}

fn system<'c>() -> impl Iterator<Item = (&'c str, FieldType)> {
    SYSTEM_FIELDS.iter().map(|field| (field.name, field.kind))
}

fn of_venue<'c>(of: &'static Measurement) -> Expected<'c> {
    let fields = fields(of).into_iter().chain(system()).collect();
    Expected { measurement: of.name, tags: of.tags.to_vec(), fields }
}

fn of_custom(custom: &Custom) -> Expected<'_> {
    let mut fields: Vec<(&str, FieldType)> =
        custom.fields.iter().map(|(name, _, kind)| (name.as_str(), field_type(*kind))).collect();
    fields.extend(system());
    let tags = custom.tags.iter().map(|(name, _)| name.as_str()).collect();
    Expected { measurement: &custom.measurement, tags, fields }
}

fn field_type(kind: CustomType) -> FieldType {
    match kind {
        CustomType::Float => FieldType::Float,
        CustomType::Int => FieldType::Integer,
        CustomType::Bool => FieldType::Boolean,
        CustomType::Str => FieldType::String,
    }
}

/// Feeds of one decoder write one measurement; custom feeds may share one, too, each with fields of its own.
fn join(all: Vec<Expected<'_>>) -> Vec<Expected<'_>> {
    let mut joined: Vec<Expected<'_>> = Vec::new();
    for one in all {
        let Some(known) = joined.iter_mut().find(|known| known.measurement == one.measurement) else {
            joined.push(one);
            continue;
        };
        let tags: Vec<&str> = one.tags.into_iter().filter(|tag| !known.tags.contains(tag)).collect();
        known.tags.extend(tags);
        let new = |field: &(&str, FieldType)| known.fields.iter().all(|(name, _)| *name != field.0);
        let fields: Vec<(&str, FieldType)> = one.fields.into_iter().filter(new).collect();
        known.fields.extend(fields);
    }
    joined
}
