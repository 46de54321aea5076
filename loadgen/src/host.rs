//! What program on what machine made a report. Reads `/proc` and `/sys` (Linux); what they do not show is empty.

use std::fs;

use tickline_config::report::{Build, Host};

/// The program, for reports. `version` and `commit` are those of the caller's package.
pub fn build(version: &str, commit: Option<&str>) -> Build {
    Build {
        version: version.to_owned(),
        commit: commit.map(str::to_owned),
        profile: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
    }
}

/// The machine, for reports.
pub fn host() -> Host {
    let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu_info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, name)| name);
    let trimmed = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    Host {
        cpu: cpu.unwrap_or_default().to_owned(),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        kernel: trimmed("/proc/sys/kernel/osrelease").unwrap_or_default(),
        governor: trimmed("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
    }
}

/// Largest resident memory of this process, bytes; 0 where it cannot be seen.
pub fn rss_max_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")).and_then(|kib| kib.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
