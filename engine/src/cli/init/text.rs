//! The text of what `tickline init` writes. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Venues that it knows.
pub(super) const VENUES: &[&str] = &["kraken", "oanda", "betfair", "sentiment"];

/// Where points go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Database {
    #[default]
    Influx1,
    Influx2,
    Influx3,
    Parquet,
}

impl Database {
    pub(super) fn of(text: &str) -> Result<Self, String> {
        match text {
            "influxdb1" => Ok(Database::Influx1),
            "influxdb2" => Ok(Database::Influx2),
            "influxdb3" => Ok(Database::Influx3),
            "parquet" => Ok(Database::Parquet),
            _ => Err(format!("must be one of influxdb1, influxdb2, influxdb3, parquet, found {text:?}")),
        }
    }

    /// Where it answers if nobody says; docker-compose.yml has InfluxDB 2 beside InfluxDB 1.
    pub(super) const fn url(self, docker: bool) -> &'static str {
        match self {
            Database::Influx3 => "http://127.0.0.1:8181",
            Database::Influx2 if docker => "http://127.0.0.1:8087",
            _ => "http://127.0.0.1:8086",
        }
    }

    /// Its container; none: those that the built-in configuration names.
    const fn container(self) -> Option<&'static str> {
        match self {
            Database::Influx2 => Some("influxdb2"),
            Database::Influx3 => Some("influxdb3"),
            Database::Influx1 | Database::Parquet => None,
        }
    }
}

/// Where a line of `.env` comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It says this.
    Fixed(&'static str),
    /// It is made here, with this before it.
    Made(&'static str),
    /// `admin` and the password of this line.
    Admin(&'static str),
    /// It is the database's user.
    User,
    /// It is somebody else's, who must be asked.
    Theirs,
}

/// What docker-compose.yml asks for, and the logins that `tickline up` needs of its administrators.
const COMPOSE_SECRETS: [(&str, Origin); 8] = [
    ("INFLUXDB_ADMIN_USER", Origin::Fixed("admin")),
    ("INFLUXDB_ADMIN_PASSWORD", Origin::Made("")),
    ("INFLUX_ADMIN_LOGIN", Origin::Admin("INFLUXDB_ADMIN_PASSWORD")),
    ("TICKLINE_INFLUX_USER", Origin::User),
    ("TICKLINE_INFLUX_PASSWORD", Origin::Made("")),
    // InfluxDB 3 takes no token that begins otherwise.
    ("TICKLINE_INFLUX_TOKEN", Origin::Made("apiv3_")),
    ("GRAFANA_ADMIN_PASSWORD", Origin::Made("")),
    ("GRAFANA_LOGIN", Origin::Admin("GRAFANA_ADMIN_PASSWORD")),
];

/// What is wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) venues: Vec<&'static str>,
    pub(super) symbols: Vec<String>,
    pub(super) database: Database,
    pub(super) url: String,
    pub(super) runtime: &'static str,
    /// Empty: none.
    pub(super) user: String,
    /// Empty: none.
    pub(super) grafana: String,
    pub(super) port: u16,
}

impl Wanted {
    /// `tickline.toml`
    pub(super) fn config(&self) -> String {
        let mut out = String::from(
            "# Written by tickline init. Every key and its default: tickline config defaults. Secrets stand in .env.\n",
        );
        // Writing to a String cannot fail.
        write!(out, "\n[http]\nlisten = \"127.0.0.1:{}\"\n", self.port).ok();
        if self.database == Database::Parquet {
            out.push_str("\n[up]\nruntime = \"none\"\n");
        } else {
            write!(out, "\n[up]\nruntime = {:?}\n", self.runtime).ok();
            if let Some(container) = self.database.container().filter(|_| self.docker()) {
                writeln!(out, "containers = [{container:?}]").ok();
            }
        }
        if !self.grafana.is_empty() {
            writeln!(out, "grafana = {:?}", self.grafana).ok();
            if self.docker() {
                out.push_str("grafana_database = \"http://influxdb:8086\"\n");
            }
        }
        self.venues.iter().for_each(|venue| self.venue(venue, &mut out));
        self.sink(&mut out);
        out
    }

    fn venue(&self, venue: &str, out: &mut String) {
        let feeds: &[&str] = match venue {
            "kraken" => {
                for kind in ["kraken_tick", "kraken_depth", "kraken_trades"] {
                    write!(out, "\n[publishers.{kind}]\nsymbols = {:?}\n", self.symbols).ok();
                }
                &["kraken_tick", "kraken_depth", "kraken_trades"]
            }
            "oanda" => {
                out.push_str(
                    "\n[publishers.oanda_tick]\naccount = \"${OANDA_ACCOUNT:?the account's number, in .env}\"\ntoken = \"env:OANDA_TOKEN\"\n",
                );
                &["oanda_tick"]
            }
            "betfair" => {
                out.push_str(
                    "\n[publishers.betfair_stream]\napp_key = \"env:BETFAIR_APP_KEY\"\nusername = \"${BETFAIR_USERNAME:?the account's name, \
                     in .env}\"\npassword = \"env:BETFAIR_PASSWORD\"\ntls_client = \"betfair.pem\"\nevent_type_ids = [\"7\"]\n\
                     country_codes = [\"GB\"]\nmarket_types = [\"WIN\"]\n",
                );
                &["betfair_stream"]
            }
            _ => {
                out.push_str("\n[publishers.twitter_sentiment]\nsource = \"x\"\ntoken = \"env:X_TOKEN\"\n");
                &["twitter_sentiment"]
            }
        };
        for feed in feeds {
            write!(out, "\n[feeds.{feed}]\n").ok();
        }
    }

    fn sink(&self, out: &mut String) {
        // In a container of its own tickline finds the database elsewhere.
        let url = if self.docker() { format!("${{INFLUX_URL:-{}}}", self.url) } else { self.url.clone() };
        match self.database {
            Database::Influx1 => {
                // Betfair's ladders are many, and of interest for days: they have a policy of their own.
                let (betfair, others): (Vec<&str>, Vec<&str>) =
                    self.venues.iter().copied().partition(|venue| *venue == "betfair");
                if !others.is_empty() {
                    let glob = |venue: &&str| {
                        if *venue == "sentiment" { "twitter_*".to_owned() } else { format!("{venue}_*") }
                    };
                    let globs: Vec<String> = others.iter().map(glob).collect();
                    let feeds =
                        if betfair.is_empty() { String::new() } else { format!("feeds = {globs:?}\n") };
                    self.influx1("influx", &url, &feeds, out);
                }
                if !betfair.is_empty() {
                    let feeds = if others.is_empty() { "" } else { "feeds = [\"betfair_*\"]\n" };
                    self.influx1(
                        "betfair",
                        &url,
                        &format!("{feeds}retention_policy = \"high_frequency\"\n"),
                        out,
                    );
                }
                out.push_str("\n# Marked ticks from end to end, each minute.\n[canary]\nevery = \"1m\"\n");
                out.push_str(
                    "\n# Bars of 1 m, 5 m and 1 h, kept for a year.\n[rollups]\npolicy = \"long_term\"\n",
                );
            }
            Database::Influx2 => {
                let keys = "org = \"trading\"\nbucket = \"tick\"\ntoken = \"env:TICKLINE_INFLUX_TOKEN\"\n";
                write!(out, "\n[sinks.influx]\nkind = \"influxdb\"\nversion = 2\nurl = {url:?}\n{keys}").ok();
            }
            Database::Influx3 => {
                let keys = "database = \"tick\"\ntoken = \"env:TICKLINE_INFLUX_TOKEN\"\n";
                write!(out, "\n[sinks.influx]\nkind = \"influxdb\"\nversion = 3\nurl = {url:?}\n{keys}").ok();
            }
            Database::Parquet => out.push_str("\n[sinks.files]\nkind = \"parquet\"\ndir = \"parquet\"\n"),
        }
    }

    fn influx1(&self, name: &str, url: &str, further: &str, out: &mut String) {
        write!(out, "\n[sinks.{name}]\nkind = \"influxdb\"\nversion = 1\nurl = {url:?}\ndatabase = \"tick\"\n{further}").ok();
        // The container makes the user that .env names, once: a later answer does not change it.
        let user = if self.docker() { "${TICKLINE_INFLUX_USER:?in .env}" } else { self.user.as_str() };
        if !user.is_empty() {
            write!(out, "username = {user:?}\npassword = \"env:TICKLINE_INFLUX_PASSWORD\"\n").ok();
        }
    }

    /// Whether docker compose runs the database.
    pub(super) fn docker(&self) -> bool {
        self.runtime == "docker"
    }

    /// What `.env` needs, and where it comes from.
    pub(super) fn secrets(&self) -> Vec<(&'static str, Origin)> {
        let mut secrets = Vec::new();
        match self.database {
            // Compose wants all of them, whichever database is used.
            _ if self.docker() => secrets.extend(COMPOSE_SECRETS),
            Database::Influx1 if !self.user.is_empty() => {
                secrets.push(("TICKLINE_INFLUX_PASSWORD", Origin::Theirs))
            }
            Database::Influx2 | Database::Influx3 => secrets.push(("TICKLINE_INFLUX_TOKEN", Origin::Theirs)),
            _ => {}
        }
        if !self.docker() && !self.grafana.is_empty() {
            secrets.push(("GRAFANA_LOGIN", Origin::Theirs));
        }
        for venue in &self.venues {
            let names: &[&str] = match *venue {
                "oanda" => &["OANDA_ACCOUNT", "OANDA_TOKEN"],
                "betfair" => &["BETFAIR_APP_KEY", "BETFAIR_USERNAME", "BETFAIR_PASSWORD"],
                "sentiment" => &["X_TOKEN"],
                _ => &[],
            };
            secrets.extend(names.iter().map(|name| (*name, Origin::Theirs)));
        }
        secrets
    }

    /// The file of docker compose, where that runs the database.
    pub(super) fn compose_file(&self) -> Option<&'static str> {
        self.docker().then_some(include_str!("../../../../docker-compose.yml"))
    }
}

/// `.env`
pub(super) fn env(secrets: &BTreeMap<String, String>) -> String {
    let mut out = String::from(
        "# Secrets of tickline.toml and docker-compose.yml. Written by tickline init; keep it to yourself.\n",
    );
    for (name, value) in secrets {
        writeln!(out, "{name}={value}").ok();
    }
    out
}
