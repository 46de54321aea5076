//! `tickline dashboards`: for Grafana, as files or over its API.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tickline_config::model::{Config, InfluxTarget, SinkKind};
use tickline_config::secret::Secret;
use tickline_feeds::decoder::measurements;

use super::{ConfigArgs, Exit, Failure, environment};
use crate::dashboard::{Dashboard, FOLDER, all};

mod grafana;

use grafana::Grafana;

/// Environment variable with the login, where nothing else is said.
const LOGIN_ENV: &str = "GRAFANA_LOGIN";

/// Uid of the data source.
const DATASOURCE: &str = "tickline-influxdb";

/// What to do with them.
#[derive(Debug, clap::Subcommand)]
pub(super) enum DashboardsCommand {
    /// Write dashboards and the files of Grafana's provisioning into a folder.
    Render {
        #[command(flatten)]
        config: ConfigArgs,
        /// Folder; files of the same names are replaced.
        dir: PathBuf,
    },
    /// Put data source, folder and dashboards into a Grafana; twice is as good as once.
    Provision {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(flatten)]
        grafana: GrafanaArgs,
    },
    /// Take the dashboards, the folder and the data source out again.
    Delete {
        #[command(flatten)]
        grafana: GrafanaArgs,
    },
}

/// Which Grafana.
#[derive(Debug, clap::Args)]
pub(super) struct GrafanaArgs {
    /// Its address.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
    grafana: String,
    /// Environment variable that holds a service account's token, or USER:PASSWORD.
    #[arg(long, value_name = "NAME", default_value = LOGIN_ENV)]
    login_env: String,
}

impl GrafanaArgs {
    fn open(&self) -> Result<Grafana, Failure> {
        let login = environment(&self.login_env).ok_or_else(|| {
            let rule = "must hold a service account's token, or USER:PASSWORD, found nothing";
            Failure::configuration(format!("environment variable {}: {rule}", self.login_env))
        })?;
        Grafana::new(&self.grafana, Secret::new(&login)).map_err(Failure::usage)
    }
}

pub(super) fn run(command: &DashboardsCommand) -> Result<Exit, Failure> {
    match command {
        DashboardsCommand::Render { config, dir } => render(&config.load()?.config, dir),
        DashboardsCommand::Provision { config, grafana } => {
            let count = provision(&config.load()?.config, &grafana.open()?)?;
            println!("{count} dashboards in folder {FOLDER}, data source {DATASOURCE}");
            Ok(Exit::Ok)
        }
        DashboardsCommand::Delete { grafana } => delete(&grafana.open()?),
    }
}

/// Every dashboard, its measurements where the configuration's sinks put them.
fn dashboards(config: &Config) -> Vec<Dashboard> {
    all(&|measurement| {
        let writes = |feed: &&String| {
            let feed = config.feeds.get(*feed);
            feed.is_some_and(|feed| measurements(feed.decoder).iter().any(|of| of.name == measurement))
        };
        let feed = config.feeds.keys().find(writes)?;
        config.sinks.values().filter(|sink| sink.takes(feed)).find_map(|sink| match &sink.kind {
            SinkKind::Influx(influx) => match &influx.target {
                InfluxTarget::V1 { retention_policy, .. } => retention_policy.clone(),
                _ => None,
            },
            _ => None,
        })
    })
}

/// The data source of the first InfluxDB 1; its password is not written into a file.
fn datasource(config: &Config, with_password: bool) -> Result<Value, Failure> {
    let influx = config.sinks.values().find_map(|sink| match &sink.kind {
        SinkKind::Influx(influx) => match &influx.target {
            InfluxTarget::V1 { database, login, .. } => {
                let url = config.up.grafana_database.clone().unwrap_or_else(|| influx.url.clone());
                Some((url, database.clone(), login.clone()))
            }
            _ => None,
        },
        _ => None,
    });
    let rule = "sinks: dashboards need an InfluxDB 1 sink (version = 1), found none";
    let (url, database, login) = influx.ok_or_else(|| Failure::configuration(rule))?;
    let (user, password) = login.map_or((None, None), |(user, password)| (Some(user), Some(password)));
    let password = match password {
        Some(password) if with_password => json!({ "password": password.expose() }),
        // Grafana reads variables of its own environment.
        Some(_) => json!({ "password": "$INFLUX_PASSWORD" }),
        None => json!({}),
    };
    Ok(
        json!({ "uid": DATASOURCE, "name": "tickline InfluxDB", "type": "influxdb", "access": "proxy", "url": url,
        "user": user.unwrap_or_default(), "jsonData": { "dbName": database, "httpMode": "POST" },
        "secureJsonData": password }),
    )
}

fn render(config: &Config, dir: &Path) -> Result<Exit, Failure> {
    let source = datasource(config, false)?;
    let write = |path: PathBuf, value: &Value| {
        let failed = |error: std::io::Error| Failure::failed(format!("{}: {error}", path.display()));
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        // JSON is YAML.
        std::fs::write(&path, format!("{value:#}\n")).map_err(failed)
    };
    let all = dashboards(config);
    for dashboard in &all {
        write(dir.join("dashboards").join(format!("{}.json", dashboard.uid)), &dashboard.model)?;
    }
    let sources = json!({ "apiVersion": 1, "datasources": [source] });
    write(dir.join("provisioning/datasources/tickline.yaml"), &sources)?;
    let provider = json!({ "apiVersion": 1, "providers": [{ "name": "tickline", "folder": FOLDER, "type": "file",
        "allowUiUpdates": true, "options": { "path": "/var/lib/grafana/dashboards/tickline" } }] });
    write(dir.join("provisioning/dashboards/tickline.yaml"), &provider)?;
    println!(
        "{} dashboards in {}; provisioning expects them in /var/lib/grafana/dashboards/tickline",
        all.len(),
        dir.display()
    );
    Ok(Exit::Ok)
}

/// Puts data source, folder and dashboards into the Grafana at this address; how many of them.
pub(super) fn provision_at(config: &Config, url: &str) -> Result<usize, Failure> {
    let args = GrafanaArgs { grafana: url.to_owned(), login_env: LOGIN_ENV.to_owned() };
    provision(config, &args.open()?)
}

/// Whether a Grafana has every dashboard; `GRAFANA_LOGIN` is its login.
pub(super) fn looked_up_at(url: &str) -> Result<String, String> {
    let args = GrafanaArgs { grafana: url.to_owned(), login_env: LOGIN_ENV.to_owned() };
    let grafana = args.open().map_err(|failure| failure.message)?;
    let all = all(&|_| None);
    for dashboard in &all {
        if !grafana.has(&format!("/api/dashboards/uid/{}", dashboard.uid))? {
            return Err(format!("{url} lacks {}: tickline dashboards provision", dashboard.uid));
        }
    }
    Ok(format!("{url} has {}", all.len()))
}

fn provision(config: &Config, grafana: &Grafana) -> Result<usize, Failure> {
    let failed = |error: String| Failure::failed(error);
    grafana.put_datasource(DATASOURCE, &datasource(config, true)?).map_err(failed)?;
    grafana.put_folder(FOLDER).map_err(failed)?;
    let all = dashboards(config);
    for dashboard in &all {
        grafana.put_dashboard(FOLDER, &dashboard.model).map_err(failed)?;
    }
    Ok(all.len())
}

fn delete(grafana: &Grafana) -> Result<Exit, Failure> {
    let failed = |error: String| Failure::failed(error);
    let mut gone = 0;
    for dashboard in all(&|_| None) {
        gone += u32::from(grafana.delete(&format!("/api/dashboards/uid/{}", dashboard.uid)).map_err(failed)?);
    }
    grafana.delete(&format!("/api/folders/{FOLDER}")).map_err(failed)?;
    grafana.delete(&format!("/api/datasources/uid/{DATASOURCE}")).map_err(failed)?;
    println!("{gone} dashboards deleted");
    Ok(Exit::Ok)
}
