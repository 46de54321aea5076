//! `tickline doctor`: whether this machine can carry a configuration. It reads, asks and tells; it changes and ends nothing.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use tickline_config::model::{Config, Runtime};
use tickline_config::report::{PartReport, PartState};
use tickline_loadgen::host::host;
use tickline_loadgen::owner::listener;

use super::launch::cores;
use super::{ConfigArgs, Exit, Failure, print_text};
use crate::health::{clock_part, disk_part, min_free_bytes};
use crate::plan::{Plan, bytes_text};
use crate::state::StateFile;

/// Descriptors that a process needs at least: sockets, files, and libzmq's own.
const FILES_MIN: u64 = 1_024;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// One JSON array.
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(args: &DoctorArgs) -> Result<Exit, Failure> {
    let config = args.config.load()?.config;
    let mut rows = vec![libzmq(), processor(), files(), receive_buffer(&config), clock(), docker(&config)];
    rows.extend(memory(&config));
    rows.extend(state_dir(&config));
    rows.extend(ports(&config));
    rows.sort_by_key(|row| std::cmp::Reverse(row.state));
    let text = if args.json {
        format!("{}\n", serde_json::to_string(&rows).map_err(Failure::failed)?)
    } else {
        table(&rows)
    };
    print_text(&text)?;
    let failed = rows.iter().any(|row| row.state == PartState::Failed);
    Ok(if failed { Exit::Failed } else { Exit::Ok })
}

/// Each row with what was found, and below it what to do.
fn table(rows: &[PartReport]) -> String {
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for row in rows {
        let mark = match row.state {
            PartState::Ok => "ok  ",
            PartState::Degraded => "note",
            PartState::Failed => "FAIL",
        };
        // Writing to a String cannot fail.
        writeln!(out, "{mark}  {:<width$}  {}", row.name, row.cause).ok();
        if !row.next.is_empty() {
            writeln!(out, "      {:<width$}  next: {}", "", row.next).ok();
        }
    }
    out
}

fn row(name: &str, state: PartState, cause: impl Into<String>, next: &str) -> PartReport {
    PartReport { state, cause: cause.into(), next: next.to_owned(), ..PartReport::ok(name) }
}

fn good(name: &str, found: impl Into<String>) -> PartReport {
    row(name, PartState::Ok, found, "")
}

fn libzmq() -> PartReport {
    let (major, minor, patch) = zmq::version();
    let found = format!("version {major}.{minor}.{patch}");
    if zmq::has("curve") != Some(true) {
        return row(
            "libzmq",
            PartState::Degraded,
            format!("{found} without CURVE"),
            "curve_server_key cannot be used",
        );
    }
    good("libzmq", format!("{found}, with CURVE"))
}

fn processor() -> PartReport {
    let (host, cores) = (host(), cores().len());
    let found = format!("{cores} cores, {}", host.cpu);
    match host.governor.as_deref() {
        Some("powersave") => {
            let next = "cpupower frequency-set -g performance, where latency matters";
            row("cores", PartState::Degraded, format!("{found}, governor powersave"), next)
        }
        _ if cores < 2 => {
            row("cores", PartState::Degraded, found, "engine.encode = \"inline\" saves a hop on one core")
        }
        _ => good("cores", found),
    }
}

/// A number of a file of the kernel's.
fn kernel_number(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn files() -> PartReport {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()).unwrap_or("unknown");
    match soft.parse::<u64>() {
        Ok(limit) if limit < FILES_MIN => {
            let next = "LimitNOFILE=65536 in the unit, or ulimit -n 65536";
            row("open files", PartState::Failed, format!("{limit} may be open"), next)
        }
        _ => good("open files", format!("{soft} may be open")),
    }
}

fn receive_buffer(config: &Config) -> PartReport {
    let name = "receive buffer";
    let wanted = u64::try_from(config.engine.rcvbuf).unwrap_or(0);
    let Some(most) = kernel_number("/proc/sys/net/core/rmem_max") else {
        return good(name, "the kernel does not say how large it may be");
    };
    let found =
        format!("the kernel gives up to {}, engine.rcvbuf asks for {}", bytes_text(most), bytes_text(wanted));
    if most < wanted {
        return row(name, PartState::Degraded, found, &format!("sysctl -w net.core.rmem_max={wanted}"));
    }
    good(name, found)
}

/// The clock as whoever keeps it says.
fn clock() -> PartReport {
    let said = |program: &str, args: &[&str]| {
        let output =
            Command::new(program).args(args).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let chrony = said("chronyc", &["-c", "tracking"]);
    let offset_s = chrony.as_deref().and_then(|line| line.split(',').nth(4)?.parse::<f64>().ok());
    if let Some(offset_s) = offset_s {
        let part = clock_part(offset_s.round() as i64);
        let found = format!("chrony says that it is {:.6} s off", offset_s.abs());
        return if part.state == PartState::Ok {
            good("clock", found)
        } else {
            PartReport { cause: found, ..part }
        };
    }
    match said("timedatectl", &["show", "-p", "NTPSynchronized", "--value"]).as_deref() {
        Some("yes") => good("clock", "synchronised"),
        found => {
            let next = "chrony or systemd-timesyncd: time-stamps, late ticks and retention go by the clock";
            let found =
                if found.is_some() { "not synchronised" } else { "nobody says whether it is synchronised" };
            row("clock", PartState::Degraded, found, next)
        }
    }
}

fn docker(config: &Config) -> PartReport {
    let (worst, next) = match config.up.runtime {
        Runtime::Docker => {
            (PartState::Failed, "install or start it, or let up.runtime say who else runs the database")
        }
        _ => (PartState::Degraded, "only docker-compose.yml needs it"),
    };
    match Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]).output() {
        Ok(output) if output.status.success() => {
            good("docker", format!("version {}", String::from_utf8_lossy(&output.stdout).trim()))
        }
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
            row("docker", worst, format!("does not answer: {why}"), next)
        }
        Err(_) => row("docker", worst, "not installed", next),
    }
}

fn memory(config: &Config) -> Option<PartReport> {
    let plan = Plan::new(config, &cores()).ok()?;
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let available = line.split_whitespace().next()?.parse::<u64>().ok()? * 1024;
    let found =
        format!("at most {} are needed, {} are free", bytes_text(plan.memory_bytes()), bytes_text(available));
    Some(if plan.memory_bytes() > available {
        row("memory", PartState::Failed, found, "smaller queues (tickline plan says which), or more memory")
    } else {
        good("memory", found)
    })
}

/// The state folder: the room on its disk, and who uses it.
fn state_dir(config: &Config) -> Vec<PartReport> {
    let dir = &config.engine.state_dir;
    let there = dir.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    let mut rows = vec![disk_part(there, min_free_bytes(config))];
    if let Some(disk) = rows.first_mut().filter(|row| row.state == PartState::Ok) {
        disk.cause = format!("room enough in {}", there.display());
    }
    if dir.is_dir() {
        let name = "engine.state_dir";
        rows.push(match StateFile::owner(dir) {
            Ok(None) => good(name, format!("{} is free", dir.display())),
            Ok(Some(owner)) => {
                let next = "that engine runs: leave it, or give this one a folder of its own";
                let found =
                    format!("{}: process {owner} uses it, and a folder serves one process", dir.display());
                row(name, PartState::Degraded, found, next)
            }
            Err(error) => {
                let found = format!("{}: {error}", dir.display());
                row(name, PartState::Degraded, found, "give the folder to the user that runs it")
            }
        });
    }
    rows
}

/// Ports that are to be listened on, and those that somebody should listen on.
fn ports(config: &Config) -> Vec<PartReport> {
    let port_of = |endpoint: &str| endpoint.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let mut rows = Vec::new();
    let mut own: Vec<(String, u16)> =
        config.http.listen.iter().map(|address| ("http.listen".to_owned(), address.port())).collect();
    let published = config.publishers.iter();
    own.extend(
        published.filter_map(|(name, of)| Some((format!("publishers.{name}"), port_of(&of.endpoint)?))),
    );
    for (name, port) in own.iter().filter(|(_, port)| *port != 0) {
        rows.push(match listener(*port) {
            Some((pid, process)) if process == "tickline" => {
                let next = "it runs already: leave it, or give this one other ports";
                row(name, PartState::Degraded, format!("port {port} belongs to {process} (pid {pid})"), next)
            }
            Some((pid, process)) => {
                let next = format!("an engine that runs already, or another program: ps -p {pid}; end it, or take another port");
                row(name, PartState::Failed, format!("port {port} belongs to {process} (pid {pid})"), &next)
            }
            None => good(name, format!("port {port} is free")),
        });
    }
    let mut seen: BTreeSet<u16> = own.iter().map(|(_, port)| *port).collect();
    for (name, feed) in &config.feeds {
        let here = feed.endpoint.starts_with("tcp://127.") || feed.endpoint.starts_with("tcp://localhost");
        let Some(port) = port_of(&feed.endpoint).filter(|port| here && seen.insert(*port)) else { continue };
        rows.push(match listener(port) {
            Some((pid, process)) => {
                good(&format!("feeds.{name}"), format!("port {port} belongs to {process} (pid {pid})"))
            }
            None => {
                let found = format!("nobody listens on port {port}");
                row(
                    &format!("feeds.{name}"),
                    PartState::Degraded,
                    found,
                    "start its publisher; the engine waits for it",
                )
            }
        });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_a_failure_with_its_owner_and_a_free_one_is_not() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = socket.local_addr().unwrap();
        let sets = |listen: String| {
            let sets = [
                format!("http.listen=\"{listen}\""),
                "feeds.kraken_tick.endpoint=\"tcp://127.0.0.1:1\"".into(),
            ];
            Config::load(&[], &sets, &|_| None).unwrap().config
        };
        let rows = ports(&sets(taken.to_string()));
        assert_eq!((rows[0].name.as_str(), rows[0].state), ("http.listen", PartState::Failed));
        assert!(rows[0].cause.ends_with(&format!("(pid {})", std::process::id())), "{}", rows[0].cause);
        assert_eq!((rows[1].name.as_str(), rows[1].state), ("feeds.kraken_tick", PartState::Degraded));
        drop(socket);
        assert_eq!(ports(&sets(taken.to_string()))[0].state, PartState::Ok);
    }

    #[test]
    fn a_folder_in_use_is_named_with_the_process_that_uses_it() {
        let dir = tempfile::tempdir().unwrap();
        let sets = [format!("engine.state_dir={:?}", dir.path().display().to_string())];
        let config = Config::load(&[], &sets, &|_| None).unwrap().config;
        let lock = StateFile::lock(dir.path()).unwrap();
        let rows = state_dir(&config);
        assert!(rows[1].cause.contains(&format!("process {} uses it", std::process::id())), "{rows:?}");
        drop(lock);
        assert_eq!(state_dir(&config)[1].state, PartState::Ok);
    }
}
