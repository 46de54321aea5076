//! Promise: `tickline init` writes a configuration that is valid and secrets that nobody else reads, from questions at a
//! terminal or from flags.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::influxd::{self, Options};
use crate::program::tickline;

/// Answers the questions of a program at a terminal of its own: waits for each text, then types what goes with it. Prints
/// what was shown; ends as the program does.
const AT_TERMINAL: &str = r"
import fcntl, os, pty, struct, sys, termios
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', 40, 140, 0, 0))
shown, at = b'', 0
def more():
    global shown
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        piece = b''
    shown += piece
    return piece
for line in sys.stdin.read().splitlines():
    question, answer = line.split('=>')
    while question.encode() not in shown[at:]:
        if not more():
            sys.exit(shown.decode() + '\nnever asked: ' + question)
    at = shown.index(question.encode(), at) + len(question)
    os.write(terminal, answer.encode() + b'\n')
while more():
    pass
sys.stdout.write(shown.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
";

pub(crate) fn at_terminal(dir: &Path, args: &[&str], answers: &str) -> Option<Output> {
    let Ok(python) = std::env::var("TICKLINE_PYTHON") else {
        assert!(std::env::var_os("TICKLINE_CI").is_none(), "TICKLINE_PYTHON is not set");
        println!("skipped: TICKLINE_PYTHON not set");
        return None;
    };
    let file = dir.join("answers");
    std::fs::write(&file, answers).unwrap();
    let mut command = Command::new(python);
    command.current_dir(dir).args(["-c", AT_TERMINAL, env!("CARGO_BIN_EXE_tickline")]).args(args);
    Some(command.stdin(std::fs::File::open(file).unwrap()).output().unwrap())
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn check(dir: &Path) -> Output {
    tickline(dir, &["--env-file", ".env", "check", "--config", "tickline.toml"], &[])
}

#[test]
fn a_person_is_asked_asked_again_what_is_wrong_and_gets_a_running_system() {
    let Some(server) = influxd::start(Options::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let answers = format!(
        "Venues=>bitfinex\nmust be one of kraken, oanda, betfair, sentiment=>sentiment\nDatabase=>\nWho runs it=>\nWhere it answers=>localhost\n\
         must be http://HOST:PORT=>{}\nIts user=>\nGrafana=>\nPort of the status page=>0\nX_TOKEN=>nobodys\nStart it now=>n\n",
        server.url
    );
    let Some(output) = at_terminal(dir.path(), &["init"], &answers) else { return };
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in [
        "Venues (kraken, oanda, betfair, sentiment) [kraken]:",
        "tickline doctor:",
        "To start it: tickline --env-file .env up",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let checked = check(dir.path());
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked));
    let env = std::fs::read_to_string(dir.path().join(".env")).unwrap();
    assert!(env.ends_with("\nX_TOKEN=nobodys\n"), "{env}");
}

#[test]
fn flags_answer_everything_and_secrets_are_made_kept_and_hidden() {
    let dir = tempfile::tempdir().unwrap();
    let init = |further: &[&str]| {
        tickline(dir.path(), &[&["init", "--yes", "--runtime", "docker"], further].concat(), &[])
    };
    // There is no Docker here, or there is: doctor says which.
    let said = text(&init(&[]));
    assert!(said.contains("written: docker-compose.yml"), "{said}");
    let env = dir.path().join(".env");
    let mode = std::fs::metadata(&env).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let secrets = std::fs::read_to_string(&env).unwrap();
    let value = |name: &str| {
        let line = secrets.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("{name}: {secrets}")).to_owned()
    };
    let made = ["INFLUXDB_ADMIN_PASSWORD", "TICKLINE_INFLUX_PASSWORD", "GRAFANA_ADMIN_PASSWORD"].map(value);
    assert!(made.iter().all(|password| password.len() == 32), "{made:?}");
    assert!(made[0] != made[1] && made[1] != made[2], "{made:?}");
    assert!(value("TICKLINE_INFLUX_TOKEN").starts_with("apiv3_"));
    assert!(!said.contains(&made[1]), "a password is shown: {said}");
    let config = std::fs::read_to_string(dir.path().join("tickline.toml")).unwrap();
    assert!(made.iter().all(|password| !config.contains(password)), "a password is in the configuration");
    assert_eq!(check(dir.path()).status.code(), Some(0), "{}", text(&check(dir.path())));
    // docker compose is given everything that it asks for.
    let compose = std::fs::read_to_string(dir.path().join("docker-compose.yml")).unwrap();
    let asked = compose.split("${").skip(1).filter_map(|rest| rest.split(":?").next());
    asked.for_each(|name| assert!(!value(name).is_empty()));
    let again = init(&[]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again).contains("tickline.toml is there already: --force replaces it"), "{}", text(&again));
    // One that others could read is not left so.
    std::fs::set_permissions(&env, std::fs::Permissions::from_mode(0o644)).unwrap();
    init(&["--force", "--user", "bob"]);
    assert_eq!(std::fs::metadata(&env).unwrap().permissions().mode() & 0o777, 0o600);
    // The container has its user already.
    assert!(config.contains("username = \"${TICKLINE_INFLUX_USER"), "{config}");
    assert_eq!(value("TICKLINE_INFLUX_USER"), "tickline");
    assert_eq!(std::fs::read_to_string(&env).unwrap(), secrets, "secrets that are in use are replaced");
}

#[test]
fn every_choice_of_venues_gives_a_valid_file() {
    let venues = ["kraken", "oanda", "betfair", "sentiment"];
    for chosen in 1..16 {
        let chosen: Vec<&str> = (0..4).filter(|at| chosen >> at & 1 == 1).map(|at| venues[at]).collect();
        let (dir, list) = (tempfile::tempdir().unwrap(), chosen.join(","));
        let said = text(&tickline(dir.path(), &["init", "--yes", "--venues", &list], &[]));
        assert!(said.contains("written: tickline.toml"), "{list}: {said}");
    }
}

#[test]
fn a_look_needs_no_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let init = ["init", "--yes", "--venues", "betfair", "--user", "me", "--port", "0"];
    tickline(dir.path(), &init, &[]);
    for look in ["status", "logs", "health", "down"] {
        let output = tickline(dir.path(), &[look, "--config", "tickline.toml"], &[]);
        assert!(!text(&output).contains("is not set"), "{}", text(&output));
    }
    let needs = tickline(dir.path(), &["doctor", "--config", "tickline.toml"], &[]);
    assert!(text(&needs).contains("which is not set (--env-file FILE reads variables)"), "{}", text(&needs));
}

#[test]
fn each_database_of_the_compose_file_is_the_one_that_is_started() {
    for (database, container, url) in [
        ("influxdb1", None, "http://127.0.0.1:8086"),
        ("influxdb2", Some("influxdb2"), "http://127.0.0.1:8087"),
        ("influxdb3", Some("influxdb3"), "http://127.0.0.1:8181"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        tickline(dir.path(), &["init", "--yes", "--runtime", "docker", "--database", database], &[]);
        let config = std::fs::read_to_string(dir.path().join("tickline.toml")).unwrap();
        assert!(config.contains(&format!("${{INFLUX_URL:-{url}}}")), "{config}");
        let named = config.lines().find_map(|line| line.strip_prefix("containers = "));
        assert_eq!(named, container.map(|name| format!("[\"{name}\"]")).as_deref());
        let compose = std::fs::read_to_string(dir.path().join("docker-compose.yml")).unwrap();
        let service = format!("\n  {}:\n", container.unwrap_or("influxdb"));
        let from = compose.find(&service).unwrap();
        let port =
            compose[from..].lines().find_map(|line| line.trim().strip_prefix("- \"127.0.0.1:")).unwrap();
        assert_eq!(port.split(':').next(), url.rsplit(':').next());
        let checked = check(dir.path());
        assert_eq!(checked.status.code(), Some(0), "{}", text(&checked));
    }
}

#[test]
fn every_venue_and_database_gives_a_valid_file_once_its_secrets_are_there() {
    for database in ["influxdb1", "influxdb2", "influxdb3", "parquet"] {
        let dir = tempfile::tempdir().unwrap();
        let args = [
            "init",
            "--yes",
            "--venues",
            "kraken,oanda,betfair,sentiment",
            "--database",
            database,
            "--user",
            "me",
        ];
        let output = tickline(dir.path(), &[&args[..], &["--up"]].concat(), &[]);
        assert_eq!(output.status.code(), Some(1), "nothing was started");
        let said = text(&output);
        assert!(said.contains("fill in ") && said.contains("OANDA_TOKEN"), "{said}");
        assert_eq!(check(dir.path()).status.code(), Some(78), "secrets are missing");
        let env = std::fs::read_to_string(dir.path().join(".env")).unwrap();
        std::fs::write(dir.path().join(".env"), env.replace("=\n", "=x\n")).unwrap();
        assert_eq!(check(dir.path()).status.code(), Some(0), "{database}: {}", text(&check(dir.path())));
    }
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        (
            vec!["--yes", "--venues", "nyse"],
            "init: Venues (kraken, oanda, betfair, sentiment): must be one of",
        ),
        (vec!["--yes", "--symbols", "BTCUSD"], "must be pairs such as BTC/USD, found \"BTCUSD\""),
        (vec!["--yes", "--url", "localhost:8086"], "must be http://HOST:PORT"),
        (vec!["--yes", "--port", "70000"], "must be 0..=65535, found \"70000\""),
        (vec![], "needs a terminal to ask at, or --yes and flags"),
    ];
    for (args, why) in cases {
        let output = tickline(dir.path(), &[&["init"], &args[..]].concat(), &[]);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output).contains(why), "{args:?}: {}", text(&output));
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
