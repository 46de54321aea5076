//! Databases whose tables must be made before points come: what the configuration wants of them.

use tickline_config::model::{Config, Sink};
use tickline_config::secret::Secret;
use tickline_feeds::schema::FieldType;
use tickline_sinks::admin::PROBE;
use tickline_sinks::admin::tables::{self, Plan, Server, TableAdmin, Wanted};

use super::environment;
use crate::expected::{self, Expected};

/// Environment variable with the login of the tables' owner, USER:PASSWORD. Only one may make tables; the engine's own
/// user may then INSERT into them and no more.
const ADMIN_LOGIN: &str = "POSTGRES_ADMIN_LOGIN";

/// The tables of one sink.
pub(super) struct Tables {
    admin: Box<dyn TableAdmin>,
    wanted: Vec<Wanted>,
}

/// Those of a sink whose database has tables: as their owner where the environment has that login and `as_owner` is
/// set, else as the sink's user.
pub(super) fn open(
    config: &Config,
    name: &str,
    sink: &Sink,
    as_owner: bool,
) -> Option<Result<Tables, String>> {
    let login = environment(ADMIN_LOGIN).filter(|_| as_owner);
    let owner = login.as_deref().and_then(|pair| pair.split_once(':'));
    let owner = owner.map(|(user, password)| (user, Secret::new(password)));
    let probe =
        Expected { measurement: PROBE, tags: vec!["instance"], fields: vec![("ok", FieldType::Boolean)] };
    let wanted = expected::of_sink(config, sink).iter().chain([&probe]).map(wanted).collect();
    let admin = tables::open(name, &sink.kind, owner)?;
    Some(admin.map(|admin| Tables { admin, wanted }).map_err(|error| error.to_string()))
}

fn wanted(of: &Expected<'_>) -> Wanted {
    let kind = |kind: &FieldType| match kind {
        FieldType::Float => tables::FieldType::Float,
        FieldType::Integer => tables::FieldType::Int,
        FieldType::Boolean => tables::FieldType::Bool,
        FieldType::String => tables::FieldType::Text,
    };
    Wanted {
        name: of.measurement.to_owned(),
        tags: of.tags.iter().map(|tag| (*tag).to_owned()).collect(),
        fields: of.fields.iter().map(|(name, of)| ((*name).to_owned(), kind(of))).collect(),
    }
}

impl Tables {
    /// What [`apply`](Self::apply) would do.
    pub(super) fn plan(&mut self) -> Result<Plan, String> {
        self.admin.plan(&self.wanted)
    }

    /// Makes what is missing.
    pub(super) fn apply(&mut self) -> Result<Plan, String> {
        self.admin.apply(&self.wanted)
    }

    /// What the server says of itself.
    pub(super) fn server(&mut self) -> Result<Server, String> {
        self.admin.server(&self.wanted)
    }
}
