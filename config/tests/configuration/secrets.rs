//! A secret is looked up, used, and never shown.

use tickline_config::Loaded;
use tickline_config::model::{Config, InfluxTarget, SinkKind};

use crate::load;

const SINK: &str = "[sinks.s]\nkind = 'influxdb'\nversion = 1\nurl = 'http://h:1'\ndatabase = 'd'\n";

fn login(loaded: &Loaded) -> Option<(String, String)> {
    let sink = loaded.config.sinks.values().next()?;
    let SinkKind::Influx(influx) = &sink.kind else { return None };
    let InfluxTarget::V1 { login, .. } = &influx.target else { return None };
    login.as_ref().map(|(user, password)| (user.clone(), password.expose().to_owned()))
}

#[test]
fn a_secret_comes_from_the_environment() {
    let text = format!("{SINK}username = 'u'\npassword = 'env:PW'\n");
    let loaded = load(&text, &[], &[("PW", "hunter2")]).unwrap();
    assert_eq!(login(&loaded), Some(("u".to_owned(), "hunter2".to_owned())));
    assert!(loaded.effective.contains("password = \"env:PW\""));
    assert!(!format!("{loaded:?}").contains("hunter2"));
}

#[test]
fn a_secret_comes_from_a_file_without_its_last_newline() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pw");
    std::fs::write(&file, "hunter2\n").unwrap();
    let text = format!("{SINK}username = 'u'\npassword = 'file:{}'\n", file.display());
    let loaded = load(&text, &[], &[]).unwrap();
    assert_eq!(login(&loaded), Some(("u".to_owned(), "hunter2".to_owned())));
    assert!(!format!("{loaded:?}").contains("hunter2"));
}

#[test]
fn a_secret_itself_is_refused_and_not_repeated() {
    let refused = "must be \"env:NAME\" or \"file:PATH\", found the secret itself";
    let text = format!("{SINK}username = 'u'\npassword = 'hunter2'\n");
    assert_eq!(load(&text, &[], &[]), Err(format!("t.toml:7:1: sinks.s.password: {refused}")));
    let by_variable = format!("{SINK}username = 'u'\npassword = '${{PW}}'\n");
    let error = load(&by_variable, &[], &[("PW", "hunter2")]);
    assert_eq!(error, Err(format!("t.toml:7:1: sinks.s.password: {refused}")));
    let by_set = load(&format!("{SINK}username = 'u'\n"), &["sinks.s.password=hunter2"], &[]);
    assert_eq!(by_set, Err(format!("--set sinks.s.password: sinks.s.password: {refused}")));
}

#[test]
fn a_secret_that_is_not_there_says_where_it_was_looked_for() {
    let token = "[sinks.s]\nkind = 'influxdb'\nversion = 2\nurl = 'http://h:1'\norg = 'o'\nbucket = 'b'\n";
    for (value, rule) in [
        (
            "env:NONE",
            "names environment variable \"NONE\", which is not set (--env-file FILE reads variables)",
        ),
        ("env:EMPTY", "must lead to one line of text, found none or more in env:EMPTY"),
        (
            "file:/no/such",
            "names file \"/no/such\", which cannot be read: No such file or directory (os error 2)",
        ),
    ] {
        let error = load(&format!("{token}token = '{value}'\n"), &[], &[("EMPTY", "\n")]);
        assert_eq!(error, Err(format!("t.toml:7:1: sinks.s.token: {rule}")));
    }
}

#[test]
fn a_login_in_a_url_is_refused_and_not_repeated() {
    let error = load(&SINK.replace("//h:1", "//u:hunter2@h:1"), &[], &[]);
    assert_eq!(error, Err("t.toml:4:1: sinks.s.url: must not carry a login, found one".to_owned()));
}

#[test]
fn the_login_of_a_run_without_a_file_is_used_and_masked() {
    let feeds = ["kraken_tick".to_owned()];
    let loaded = Config::quick_run(&feeds, "http://u:hunt%40er%24%7B2@h:1/tick", &[], &|_| None).unwrap();
    assert_eq!(login(&loaded), Some(("u".to_owned(), "hunt@er${2".to_owned())));
    assert!(loaded.effective.contains("password = \"***\""));
    assert!(!format!("{loaded:?}").contains("hunt"));
    let other = Config::quick_run(&feeds, "http://u:other@h:1/tick", &[], &|_| None).unwrap();
    assert_eq!(loaded.sha256, other.sha256);
}

#[test]
fn a_url_of_a_run_without_a_file_that_is_wrong_is_not_repeated() {
    for url in
        ["http://u:hunter2@h:1", "u:hunter2@h:1/tick", "http://hunter2@h:1/tick", "http://u:hunter2@h:x/tick"]
    {
        let error = Config::quick_run(&["kraken_tick".to_owned()], url, &[], &|_| None).unwrap_err();
        let form = "must be http://[USER:PASSWORD@]HOST:PORT/DATABASE, found another form";
        assert_eq!(error.to_string(), format!("--influx: {form}"), "{url}");
    }
}
