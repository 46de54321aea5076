//! The contracts of tickline: typed configuration, port registry, units, secrets, validation and the report
//! schema. It reads files and environment variables and nothing else: no network, no threads, no clock.

pub mod model;
pub mod registry;
pub mod report;
pub mod secret;
