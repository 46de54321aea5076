//! The tables that a configuration wants, made and compared. What is there is only added to: a column of another type
//! or a key without a tag is told, never changed. Each statement is written down in `tickline_migrations`.

use tickline_config::model::Postgres;
use tickline_config::secret::Secret;
use tokio::runtime::Runtime;
use tokio_postgres::Client;

use crate::admin::tables::{FieldType, Plan, Server, TableAdmin, Wanted};
use crate::open::OpenError;

use super::connect::{Connector, runtime};
use super::status::Failed;
use super::table::{DESCRIBE, Kind, NANOS, TIME, Table, quoted};

/// Oldest version that is supported.
const VERSION_MIN: i32 = 130_000;
/// PostgreSQL cuts longer names, bytes.
const NAME_BYTES_MAX: usize = 63;
/// What `pg_advisory_xact_lock` is asked for, so that two that apply at once do not meet: "tickline" in ASCII.
const LOCK: i64 = 0x7469_636b_6c69_6e65;

fn kind(of: FieldType) -> Kind {
    match of {
        FieldType::Float => Kind::Float,
        FieldType::Int => Kind::Int,
        FieldType::Bool => Kind::Bool,
        FieldType::Text => Kind::Text,
    }
}

/// A session of whoever may make tables.
pub(crate) struct Admin {
    runtime: Runtime,
    connector: Connector,
    /// Who may INSERT into new tables, where it is not who makes them.
    grantee: Option<String>,
    client: Option<Client>,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("connector", &self.connector).finish_non_exhaustive()
    }
}

impl Admin {
    /// Reads certificates; connects at the first question.
    pub(crate) fn new(
        sink: &str,
        settings: &Postgres,
        owner: Option<(&str, Secret)>,
    ) -> Result<Self, OpenError> {
        let (mut settings, mut grantee) = (settings.clone(), None);
        if let Some((user, password)) = owner.filter(|(user, _)| *user != settings.username) {
            grantee = Some(std::mem::replace(&mut settings.username, user.to_owned()));
            settings.password = Some(password);
        }
        let connector = Connector::new(sink, &settings)?;
        let runtime = runtime().map_err(|source| OpenError::Runtime { sink: sink.to_owned(), source })?;
        Ok(Self { runtime, connector, grantee, client: None })
    }

    fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(&Client, &str) -> Result<T, Failed>,
    ) -> Result<T, String> {
        let Self { runtime, connector, client, .. } = self;
        let answer = runtime.block_on(async {
            let client = match client.take().filter(|client| !client.is_closed()) {
                Some(known) => client.insert(known),
                None => client.insert(connector.connect().await?),
            };
            question(client, &connector.schema).await
        });
        answer.map_err(|failed| {
            // Its transaction goes with it.
            self.client = None;
            failed.to_string()
        })
    }
}

impl TableAdmin for Admin {
    fn server(&mut self, wanted: &[Wanted]) -> Result<Server, String> {
        self.ask(async |client, schema| look(client, schema, wanted).await)
    }

    fn plan(&mut self, wanted: &[Wanted]) -> Result<Plan, String> {
        let grantee = self.grantee.clone();
        self.ask(async |client, schema| plan(client, schema, wanted, grantee.as_deref()).await)
    }

    fn apply(&mut self, wanted: &[Wanted]) -> Result<Plan, String> {
        let grantee = self.grantee.clone();
        self.ask(async |client, schema| {
            client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})")).await?;
            let plan = plan(client, schema, wanted, grantee.as_deref()).await?;
            for (number, statement) in plan.statements.iter().enumerate() {
                client.batch_execute(statement).await?;
                if number == 0 {
                    client.batch_execute(&migrations(schema)).await?;
                }
                let log = format!(
                    "INSERT INTO {}.tickline_migrations (version, statement) VALUES ($1, $2)",
                    quoted(schema)
                );
                client.execute(&log, &[&env!("CARGO_PKG_VERSION"), statement]).await?;
            }
            client.batch_execute("COMMIT").await?;
            Ok(plan)
        })
    }
}

fn migrations(schema: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {}.tickline_migrations \
         (at timestamptz NOT NULL DEFAULT clock_timestamp(), version text NOT NULL, statement text NOT NULL)",
        quoted(schema)
    )
}

async fn look(client: &Client, schema: &str, wanted: &[Wanted]) -> Result<Server, Failed> {
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
             extract(epoch FROM clock_timestamp())::bigint, current_setting('server_encoding'), \
             current_setting('fsync'), current_setting('synchronous_commit'), \
             has_database_privilege(current_database(), 'TEMP')",
            &[],
        )
        .await?;
    let (version, encoding): (String, String) = (row.try_get(1)?, row.try_get(3)?);
    let mut server = Server {
        version: format!("PostgreSQL {version}"),
        time_s: row.try_get(2)?,
        unfit: vec![],
        notes: vec![],
    };
    if row.try_get::<_, i32>(0)? < VERSION_MIN {
        server.unfit.push(format!("the server must be PostgreSQL 13 or later, found {version}"));
    }
    if encoding != "UTF8" {
        server.unfit.push(format!("the database's encoding must be UTF8, found {encoding}"));
    }
    for (place, name) in [(4, "fsync"), (5, "synchronous_commit")] {
        if row.try_get::<_, &str>(place)? == "off" {
            server
                .notes
                .push(format!("{name} is off: what the server has acknowledged can be lost when it crashes"));
        }
    }
    if !row.try_get::<_, bool>(6)? {
        server
            .unfit
            .push("the login must be allowed temporary tables (GRANT TEMPORARY ON DATABASE)".to_owned());
    }
    for of in wanted {
        let name = format!("{}.{}", quoted(schema), quoted(&of.name));
        let key: Vec<&str> = [TIME, NANOS].into_iter().chain(of.tags.iter().map(String::as_str)).collect();
        let may = client
            .query_one(
                "SELECT to_regclass($1) IS NULL OR has_table_privilege(to_regclass($1), 'INSERT') AND \
                 (SELECT coalesce(bool_and(has_column_privilege(attrelid, attnum, 'SELECT')), true) \
                  FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass($1) AND attname = ANY($2))",
                &[&name, &key],
            )
            .await?;
        if !may.try_get::<_, bool>(0)? {
            server.unfit.push(format!(
                "the login must be allowed to INSERT into {name}, and to SELECT its key ({})",
                key.join(", ")
            ));
        }
    }
    Ok(server)
}

async fn plan(
    client: &Client,
    schema: &str,
    wanted: &[Wanted],
    grantee: Option<&str>,
) -> Result<Plan, Failed> {
    let mut plan = Plan::default();
    let row = client
        .query_one(
            "SELECT to_regnamespace($1) IS NULL, \
             EXISTS (SELECT FROM pg_catalog.pg_proc WHERE proname = 'create_hypertable')",
            &[&quoted(schema)],
        )
        .await?;
    if row.try_get(0)? {
        plan.statements.push(format!("CREATE SCHEMA {}", quoted(schema)));
        plan.statements.extend(
            grantee.map(|user| format!("GRANT USAGE ON SCHEMA {} TO {}", quoted(schema), quoted(user))),
        );
    }
    let describe = client.prepare(DESCRIBE).await?;
    let hypertables = row.try_get(1)?;
    for of in wanted {
        let mut table = Table { schema: schema.to_owned(), name: of.name.clone(), columns: Vec::new() };
        if let Some(conflict) = impossible(&table, of) {
            plan.conflicts.push(conflict);
            continue;
        }
        table.columns = table.describe(client, &describe).await?;
        if table.columns.is_empty() {
            plan.statements.push(create(&table, of));
            plan.statements.extend(grantee.map(|user| {
                let (table, user) = (table.quoted(), quoted(user));
                format!("GRANT INSERT, SELECT ({}) ON {table} TO {user}", key_columns(of).join(", "))
            }));
            if hypertables {
                let name = table.quoted().replace('\'', "''");
                plan.statements.push(format!("SELECT create_hypertable('{name}', '{TIME}')"));
            }
        } else {
            compare(&table, of, &mut plan);
        }
    }
    Ok(plan)
}

/// Why no table can be like that.
fn impossible(table: &Table, of: &Wanted) -> Option<String> {
    let columns = || of.tags.iter().chain(of.fields.iter().map(|(name, _)| name));
    if let Some(long) = columns().chain([&of.name]).find(|name| name.len() > NAME_BYTES_MAX) {
        return Some(format!(
            "{}: a name must be at most {NAME_BYTES_MAX} bytes, found {long:?}",
            table.quoted()
        ));
    }
    let mut seen = vec![TIME, NANOS];
    for name in columns() {
        if seen.contains(&name.as_str()) {
            return Some(format!(
                "{}: time, ns, tags and fields must differ, found {name} twice",
                table.quoted()
            ));
        }
        seen.push(name);
    }
    None
}

/// The time leads the key: rows come in its order, so that an index page is written to while it is in memory.
fn create(table: &Table, of: &Wanted) -> String {
    let columns = of.tags.iter().map(|tag| format!("{} text NOT NULL DEFAULT ''", quoted(tag)));
    let fields = of.fields.iter().map(|(name, of)| format!("{} {}", quoted(name), kind(*of).name()));
    let columns: Vec<String> = columns.chain(fields).collect();
    format!(
        "CREATE TABLE {} ({} timestamptz NOT NULL, {} smallint NOT NULL, {}, PRIMARY KEY ({}))",
        table.quoted(),
        quoted(TIME),
        quoted(NANOS),
        columns.join(", "),
        key_columns(of).join(", ")
    )
}

fn key_columns(of: &Wanted) -> Vec<String> {
    [TIME, NANOS].into_iter().chain(of.tags.iter().map(String::as_str)).map(quoted).collect()
}

fn compare(table: &Table, of: &Wanted, plan: &mut Plan) {
    let name = table.quoted();
    let mut wanted = vec![(TIME, Kind::Time, true), (NANOS, Kind::Nanos, true)];
    wanted.extend(of.tags.iter().map(|tag| (tag.as_str(), Kind::Text, true)));
    wanted.extend(of.fields.iter().map(|(field, of)| (field.as_str(), kind(*of), false)));
    for (column, wanted, key) in wanted {
        let place = format!("{name}.{}", quoted(column));
        match table.columns.iter().find(|known| known.name == column) {
            None if key => {
                plan.conflicts.push(format!("{place}: must be in the table's key, found no such column"))
            }
            None => plan.statements.push(format!(
                "ALTER TABLE {name} ADD COLUMN {} {}",
                quoted(column),
                wanted.name()
            )),
            Some(found) if found.kind != wanted => {
                plan.conflicts.push(format!(
                    "{place}: must be {}, found {}",
                    wanted.name(),
                    found.kind.name()
                ));
            }
            Some(found) if found.key != key => {
                let (must, is) = if key { ("must be", "is not") } else { ("must not be", "is") };
                plan.conflicts.push(format!("{place}: {must} in the table's unique key, and {is}"));
            }
            Some(_) => {}
        }
    }
    // A key over more than ours lets the same point in twice; columns that are not in it are nobody's concern.
    for other in table.columns.iter().filter(|known| known.key) {
        let ours = [TIME, NANOS].contains(&other.name.as_str()) || of.tags.contains(&other.name);
        if !ours {
            plan.conflicts.push(format!(
                "{name}.{}: must not be in the table's unique key, and is",
                quoted(&other.name)
            ));
        }
    }
}
