//! A private PostgreSQL on a socket in a temporary folder, stopped when it is dropped. Tests of other crates include
//! this file by path.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The port that names the socket.
pub(crate) const PORT: u16 = 5432;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) dir: TempDir,
    programs: PathBuf,
}

/// The newest server that is installed, or none.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let newest =
        versions.flatten().max_by_key(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok())?;
    Some(newest.path().join("bin")).filter(|bin| bin.join("initdb").exists())
}

/// Starts a server with these settings, or says that there is none; where `TICKLINE_CI` is set there must be one.
pub(crate) fn start(settings: &[&str]) -> Option<Server> {
    let Some(programs) = programs() else {
        assert!(std::env::var_os("TICKLINE_CI").is_none(), "PostgreSQL is not installed");
        println!("skipped: PostgreSQL is not installed");
        return None;
    };
    let server = Server { dir: tempfile::tempdir().expect("a temporary folder"), programs };
    // The server refuses to run as root.
    if is_root() {
        let user = id("-u");
        chown(server.dir.path(), Some(user), Some(id("-g"))).expect("given away");
    }
    std::fs::set_permissions(server.dir.path(), PermissionsExt::from_mode(0o755)).expect("permissions");
    std::fs::write(server.dir.path().join("password"), "geheim").expect("a password");
    let login = ["-U", "owner", "-A", "scram-sha-256", "--pwfile=password"];
    let form = ["-D", "data", "--no-sync", "-E", "UTF8", "--locale=C"];
    server.run("initdb", &[&login[..], &form].concat(), "");
    let mut all = vec![
        "listen_addresses=''",
        "unix_socket_directories='.'",
        "fsync=off",
        "max_wal_senders=0",
        "wal_level=minimal",
    ];
    all.extend(settings);
    let conf = server.dir.path().join("data/postgresql.conf");
    let text = all.iter().fold(String::new(), |text, line| text + line + "\n");
    std::fs::write(&conf, text.replace("'.'", &format!("'{}'", server.dir.path().display())))
        .expect("settings");
    server.control("start");
    server.sql("postgres", "CREATE ROLE tickline LOGIN PASSWORD 'tick''s secret'");
    server.sql("postgres", "CREATE DATABASE tick OWNER tickline");
    Some(server)
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn id(which: &str) -> u32 {
    let answer = Command::new("id").args([which, "postgres"]).output().expect("id");
    String::from_utf8_lossy(&answer.stdout).trim().parse().expect("a number")
}

impl Server {
    fn run(&self, program: &str, arguments: &[&str], input: &str) -> String {
        let path = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        let log = self.dir.path().join(format!("{program}.out"));
        let out = std::fs::File::create(&log).expect("a file for its words");
        // A server that it starts keeps what it writes to open.
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::piped());
        command.stdout(out.try_clone().expect("again")).stderr(out).env("PGPASSWORD", "geheim");
        let mut child = command.spawn().expect("it starts");
        std::io::Write::write_all(&mut child.stdin.take().expect("its input"), input.as_bytes())
            .expect("said");
        let status = child.wait().expect("it ends");
        let said = std::fs::read_to_string(&log).expect("its words");
        assert!(status.success(), "{program} {arguments:?}: {said}");
        said
    }

    /// `start`, `stop`, `restart` or, with `kill`, a stop that looks like a crash.
    pub(crate) fn control(&self, what: &str) {
        let (what, mode) = if what == "kill" { ("stop", "immediate") } else { (what, "fast") };
        let mut arguments = vec!["-D", "data", "-w", "-t", "60"];
        if what == "start" || what == "restart" {
            arguments.extend(["-l", "server.log"]);
        }
        if what != "start" {
            arguments.extend(["-m", mode]);
        }
        arguments.push(what);
        self.run("pg_ctl", &arguments, "");
    }

    /// Runs statements as the server's owner; what they answer as psql prints it, fields parted by `|`.
    pub(crate) fn sql(&self, database: &str, statements: &str) -> String {
        let dir = self.dir.path().display().to_string();
        let arguments =
            ["-h", &dir, "-U", "owner", "-d", database, "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1"];
        self.run("psql", &arguments, statements).trim_end().to_owned()
    }

    /// The folder of its socket.
    pub(crate) fn socket(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.dir.path().join("data/postmaster.pid").exists() {
            self.control("kill");
        }
    }
}
