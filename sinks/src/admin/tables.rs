//! Databases whose tables must be there before points are: what a configuration wants, made and compared. Nothing that
//! is there is changed or removed.

use tickline_config::model::SinkKind;
use tickline_config::secret::Secret;

use crate::open::OpenError;

/// Type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// 64-bit float.
    Float,
    /// 64-bit integer.
    Int,
    /// True or false.
    Bool,
    /// Text.
    Text,
}

/// A table as a configuration wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name: that of the measurement.
    pub name: String,
    /// Tags, which are its key with the time.
    pub tags: Vec<String>,
    /// Fields, in the order of the table.
    pub fields: Vec<(String, FieldType)>,
}

/// What has to be done so that the tables are as they are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// SQL, in this order.
    pub statements: Vec<String>,
    /// What only somebody who knows the points can decide.
    pub conflicts: Vec<String>,
}

/// What the server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Version in words.
    pub version: String,
    /// Clock, s since 1970.
    pub time_s: i64,
    /// What makes it unfit for points.
    pub unfit: Vec<String>,
    /// What its owner should know.
    pub notes: Vec<String>,
}

/// A session of whoever may make tables. Errors are in words.
pub trait TableAdmin {
    /// What the server says of itself, and whether the login may write to the tables that are there.
    fn server(&mut self, wanted: &[Wanted]) -> Result<Server, String>;

    /// What [`apply`](Self::apply) would do.
    fn plan(&mut self, wanted: &[Wanted]) -> Result<Plan, String>;

    /// Makes the tables; returns what was done.
    fn apply(&mut self, wanted: &[Wanted]) -> Result<Plan, String>;
}

/// A session for the tables of the sink `name`, as `owner` if there is one; the sink's own user may then write to what
/// the owner makes. None: such a database needs no tables.
pub fn open(
    name: &str,
    kind: &SinkKind,
    owner: Option<(&str, Secret)>,
) -> Option<Result<Box<dyn TableAdmin>, OpenError>> {
    let postgres = match kind {
        SinkKind::Postgres(postgres) => postgres,
        SinkKind::Quest(quest) => {
            let server = crate::questdb::admin::Server::new(name, quest);
            return Some(server.map(|server| Box::new(server) as Box<dyn TableAdmin>));
        }
        _ => return None,
    };
    #[cfg(feature = "postgresql")]
    return Some(match crate::postgres::admin::Admin::new(name, postgres, owner) {
        Ok(admin) => Ok(Box::new(admin)),
        Err(error) => Err(error),
    });
    #[cfg(not(feature = "postgresql"))]
    {
        let (_, _) = (postgres, owner);
        Some(Err(OpenError::without(name, "postgresql")))
    }
}
