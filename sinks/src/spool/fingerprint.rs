//! What tells one sink from another on disk, so that a changed one never receives what was meant for its predecessor.

use sha2::{Digest, Sha256};
use tickline_config::model::{InfluxTarget, Sink, SinkKind};

/// The fingerprint of a sink: where it writes to, without logins, and that its times are in ns.
pub fn fingerprint(sink: &Sink) -> [u8; 16] {
    let parts: Vec<String> = match &sink.kind {
        SinkKind::Influx(influx) => {
            let target = match &influx.target {
                InfluxTarget::V1 { database, retention_policy, .. } => {
                    let policy = retention_policy.as_ref().map_or(String::new(), |name| format!("={name}"));
                    vec!["1".to_owned(), database.clone(), policy]
                }
                InfluxTarget::V2 { org, bucket, .. } => vec!["2".to_owned(), org.clone(), bucket.clone()],
                InfluxTarget::V3 { database, .. } => vec!["3".to_owned(), database.clone()],
            };
            ["influxdb".to_owned(), influx.url.clone()].into_iter().chain(target).collect()
        }
        SinkKind::Postgres(postgres) => {
            let servers = postgres.servers.iter().map(|(host, port)| format!("{host}:{port}"));
            let parts = ["postgresql".to_owned(), postgres.database.clone(), postgres.schema.clone()];
            parts.into_iter().chain(servers).collect()
        }
        SinkKind::Quest(quest) => vec!["questdb".to_owned(), quest.url.clone()],
        SinkKind::Victoria(victoria) => vec!["victoriametrics".to_owned(), victoria.url.clone()],
        SinkKind::Parquet(parquet) => vec!["parquet".to_owned(), parquet.dir.display().to_string()],
        SinkKind::File(file) => vec!["file".to_owned(), file.path.display().to_string()],
        SinkKind::Null => vec!["null".to_owned()],
    };
    let mut digest = Sha256::new();
    for part in parts.iter().map(String::as_str).chain(["ns"]) {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    let mut short = [0; 16];
    short.iter_mut().zip(digest.finalize()).for_each(|(to, from)| *to = from);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickline_config::model::Config;

    fn of(keys: &str) -> [u8; 16] {
        let sets: Vec<String> = keys.split(' ').map(|key| format!("sinks.s.{key}")).collect();
        let config = Config::load(&[], &sets, &|_| Some("secret".to_owned())).unwrap().config;
        fingerprint(&config.sinks["s"])
    }

    #[test]
    fn another_address_database_or_policy_is_another_sink_and_another_login_is_not() {
        let base = "kind=influxdb version=1 url=http://h:1 database=d";
        let same = of(base);
        assert_eq!(of(&format!("{base} username=u password=env:P timeout=3s connections=4")), same);
        let others = [
            "kind=influxdb version=1 url=http://h:2 database=d",
            "kind=influxdb version=1 url=http://h:1 database=e",
            "kind=influxdb version=3 url=http://h:1 database=d",
            "kind=influxdb version=1 url=http://h:1 database=d retention_policy=p",
            "kind=postgresql database=d username=u",
            "kind=postgresql database=d username=u schema=s",
            "kind=postgresql database=d username=u servers=[\"h:1\"]",
            "kind=questdb url=http://h:1",
            "kind=victoriametrics url=http://h:1",
            "kind=parquet dir=d",
            "kind=file path=d",
            "kind=null",
        ];
        let all: std::collections::BTreeSet<[u8; 16]> =
            others.iter().map(|keys| of(keys)).chain([same]).collect();
        assert_eq!(all.len(), others.len() + 1);
    }
}
