//! `tickline init`: a configuration and its secrets, from questions at a terminal or from flags.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{BufRead, IsTerminal, Read, Write, stdin, stdout};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tickline_config::model::Config;

use super::up::{Logging, UpArgs, up};
use super::{ConfigArgs, Exit, FURTHER, Failure, doctor, environment, read_env_file};

mod text;

use text::{Database, Origin, VENUES, Wanted};

/// Bytes of a password that is made here; it is written as twice as many characters.
const PASSWORD_BYTES: usize = 16;

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
pub(super) struct InitArgs {
    /// Folder that tickline.toml and .env are written into.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Ask nothing: flags, and defaults for what no flag says.
    #[arg(long)]
    yes: bool,
    /// Venues, separated by commas: kraken, oanda, betfair, sentiment.
    #[arg(long, value_name = "LIST")]
    venues: Option<String>,
    /// Kraken's pairs, separated by commas.
    #[arg(long, value_name = "LIST")]
    symbols: Option<String>,
    /// influxdb1, influxdb2, influxdb3 or parquet.
    #[arg(long, value_name = "KIND")]
    database: Option<String>,
    /// Where the database answers.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Who runs it: docker, external or none.
    #[arg(long, value_name = "WHO")]
    runtime: Option<String>,
    /// User of an InfluxDB 1; empty: it asks for none.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Grafana; empty: there is none.
    #[arg(long, value_name = "URL")]
    grafana: Option<String>,
    /// Port of the status page.
    #[arg(long, value_name = "PORT")]
    port: Option<String>,
    /// Replace a tickline.toml that is there. Secrets that .env has stay.
    #[arg(long)]
    force: bool,
    /// With --yes: also start it.
    #[arg(long, requires = "yes")]
    up: bool,
}

/// Who answers: flags first, then the person at the terminal, if there is one.
struct Questions {
    at_terminal: bool,
}

impl Questions {
    /// The flag's value, or what is typed, or the default; asked again until `check` takes it.
    fn ask<T>(
        &self,
        question: &str,
        flag: Option<&String>,
        default: &str,
        check: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let wrong = |why: &dyn Display| Failure::usage(format!("init: {question}: {why}"));
        if let Some(flag) = flag {
            return check(flag).map_err(|why| wrong(&why));
        }
        if !self.at_terminal {
            return check(default).map_err(|why| wrong(&why));
        }
        loop {
            let shown = if default.is_empty() { String::new() } else { format!(" [{default}]") };
            print!("{question}{shown}: ");
            stdout().flush().map_err(Failure::failed)?;
            let mut line = String::new();
            if stdin().lock().read_line(&mut line).map_err(Failure::failed)? == 0 {
                return Err(wrong(&"must be answered, the input has ended"));
            }
            let answer = if line.trim().is_empty() { default } else { line.trim() };
            match check(answer) {
                Ok(value) => return Ok(value),
                Err(why) => println!("  {why}"),
            }
        }
    }
}

pub(super) fn run(args: &InitArgs, logging: &Logging) -> Result<Exit, Failure> {
    let at_terminal = !args.yes;
    if at_terminal && !stdin().is_terminal() {
        return Err(Failure::usage("init: needs a terminal to ask at, or --yes and flags"));
    }
    // What is written, and what doctor and up look at, stands in that folder.
    let enter = || std::fs::create_dir_all(&args.dir).and_then(|()| std::env::set_current_dir(&args.dir));
    enter().map_err(|error| Failure::failed(format!("{}: {error}", args.dir.display())))?;
    let (config, env) = (PathBuf::from("tickline.toml"), PathBuf::from(".env"));
    if config.exists() && !args.force {
        let place = args.dir.join(&config);
        return Err(Failure::usage(format!("{} is there already: --force replaces it", place.display())));
    }
    let questions = Questions { at_terminal };
    let wanted = wanted(args, &questions)?;
    let mut secrets = if env.exists() { read_env_file(&env)? } else { BTreeMap::new() };
    let missing = fill(&wanted, &mut secrets, &questions)?;
    write(&config, &wanted.config(), 0o644)?;
    write(&env, &text::env(&secrets), 0o600)?;
    println!("written: tickline.toml, and .env with its secrets, for your eyes only");
    if let Some(compose) = wanted.compose_file()
        && !Path::new("docker-compose.yml").exists()
    {
        write(Path::new("docker-compose.yml"), compose, 0o644)?;
        println!("written: docker-compose.yml");
    }
    let here = args.dir == Path::new(".");
    let go = if here { String::new() } else { format!("cd {} && ", args.dir.display()) };
    let command = format!("{go}tickline --env-file .env up --config tickline.toml --detach");
    if !missing.is_empty() {
        println!("fill in {} in .env, then: {command}", missing.join(", "));
        return Ok(if args.up { Exit::Failed } else { Exit::Ok });
    }
    FURTHER.get_or_init(|| secrets);
    let sources = ConfigArgs { files: vec![config], sets: Vec::new() };
    sources.load_runnable()?;
    println!("\ntickline doctor:");
    let healthy = doctor::run(&doctor::DoctorArgs { config: sources.clone(), json: false })? == Exit::Ok;
    let start = if healthy && at_terminal {
        questions.ask("\nStart it now, y or n", None, "n", yes_or_no)?
    } else {
        args.up
    };
    if !start {
        println!("\nTo start it: {command}");
        return Ok(if healthy { Exit::Ok } else { Exit::Failed });
    }
    up(&UpArgs::detached(sources), &Logging { env_file: Some(env), ..logging.clone() })
}

fn wanted(args: &InitArgs, questions: &Questions) -> Result<Wanted, Failure> {
    let venues = questions.ask(
        "Venues (kraken, oanda, betfair, sentiment)",
        args.venues.as_ref(),
        "kraken",
        |text| subset(text, VENUES),
    )?;
    let symbols = if venues.contains(&"kraken") {
        questions.ask("Kraken's pairs", args.symbols.as_ref(), "BTC/USD,ETH/USD", |text| {
            let symbols: Vec<String> = text.split(',').map(|symbol| symbol.trim().to_owned()).collect();
            let named = symbols
                .iter()
                .all(|symbol| symbol.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty()));
            if named { Ok(symbols) } else { Err(format!("must be pairs such as BTC/USD, found {text:?}")) }
        })?
    } else {
        Vec::new()
    };
    let database = questions.ask(
        "Database (influxdb1, influxdb2, influxdb3, parquet)",
        args.database.as_ref(),
        "influxdb1",
        Database::of,
    )?;
    let mut wanted = Wanted { venues, symbols, database, ..Wanted::default() };
    if database != Database::Parquet {
        wanted.runtime =
            questions.ask("Who runs it (docker, external)", args.runtime.as_ref(), "external", |text| {
                one_of(text, &["docker", "external", "none"])
            })?;
        let docker = wanted.docker();
        wanted.url = questions.ask("Where it answers", args.url.as_ref(), database.url(docker), url)?;
        if database == Database::Influx1 {
            let (question, user) =
                if docker { ("Its user", "tickline") } else { ("Its user (empty: it asks for none)", "") };
            wanted.user = questions.ask(question, args.user.as_ref(), user, |text| {
                if docker && text.is_empty() {
                    return Err("must be a name: the container asks for a login".to_owned());
                }
                Ok(text.to_owned())
            })?;
            let grafana = if docker { "http://127.0.0.1:3000" } else { "" };
            wanted.grafana =
                questions.ask("Grafana (empty: none)", args.grafana.as_ref(), grafana, |text| {
                    if text.is_empty() { Ok(String::new()) } else { url(text) }
                })?;
        }
    }
    wanted.port = questions.ask("Port of the status page", args.port.as_ref(), "9600", |text| {
        text.parse().map_err(|_| format!("must be 0..=65535, found {text:?}"))
    })?;
    // What a person may have typed is judged by the rules of the configuration itself.
    let secrets = wanted.secrets();
    let ours = |name: &str| secrets.iter().any(|(secret, _)| *secret == name).then(|| "x".to_owned());
    let named = |name: &str| environment(name).or_else(|| ours(name));
    let folder = std::env::temp_dir().join(format!("tickline-init-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(Failure::failed)?;
    let file = folder.join("tickline.toml");
    write(&file, &wanted.config(), 0o600)?;
    let judged = Config::load(std::slice::from_ref(&file), &[], &named);
    std::fs::remove_dir_all(&folder).map_err(Failure::failed)?;
    judged.map_err(|errors| {
        Failure::usage(errors.to_string().replace(&format!("{}/", folder.display()), ""))
    })?;
    Ok(wanted)
}

/// Makes the passwords that are ours, asks for those that are not; returns the names of what is still missing.
fn fill(
    wanted: &Wanted,
    secrets: &mut BTreeMap<String, String>,
    questions: &Questions,
) -> Result<Vec<String>, Failure> {
    let mut missing = Vec::new();
    for (name, origin) in wanted.secrets() {
        if secrets.get(name).is_some_and(|value| !value.is_empty()) {
            continue;
        }
        let value = match origin {
            Origin::Fixed(value) => value.to_owned(),
            Origin::User if wanted.user.is_empty() => "tickline".to_owned(),
            Origin::User => wanted.user.clone(),
            Origin::Made(before) => format!("{before}{}", password()?),
            Origin::Admin(of) => format!("admin:{}", secrets.get(of).map_or("", String::as_str)),
            Origin::Theirs => match environment(name) {
                Some(value) => value,
                None => {
                    questions.ask(&format!("{name} (empty: later)"), None, "", |text| Ok(text.to_owned()))?
                }
            },
        };
        if value.is_empty() {
            missing.push(name.to_owned());
        }
        secrets.insert(name.to_owned(), value);
    }
    Ok(missing)
}

/// As many random bytes as nobody guesses, hexadecimal.
fn password() -> Result<String, Failure> {
    let mut bytes = [0; PASSWORD_BYTES];
    let mut source = std::fs::File::open("/dev/urandom").map_err(Failure::failed)?;
    source.read_exact(&mut bytes).map_err(Failure::failed)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a file whole or not at all: one that is there keeps neither its mode nor half of its text.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("{}: {error}", path.display()));
    let new = path.with_added_extension("new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.create_new(true).write(true).mode(mode).open(&new).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| std::fs::rename(&new, path)).map_err(failed)
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    Ok(one_of(text, &["y", "n"])? == "y")
}

fn one_of(text: &str, options: &[&'static str]) -> Result<&'static str, String> {
    let found = options.iter().find(|option| **option == text).copied();
    found.ok_or_else(|| format!("must be one of {}, found {text:?}", options.join(", ")))
}

fn subset(text: &str, options: &[&'static str]) -> Result<Vec<&'static str>, String> {
    text.split(',').map(|word| one_of(word.trim(), options)).collect()
}

fn url(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '"', '@']) => Ok(text.to_owned()),
        _ => Err(format!("must be http://HOST:PORT or https://HOST:PORT, found {text:?}")),
    }
}
