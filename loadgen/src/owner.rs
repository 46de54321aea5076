//! Who listens on a TCP port of this machine, for messages about a port that is taken. Reads `/proc` (Linux); it
//! promises nothing where that shows too little.

use std::fs;

/// `; the port belongs to NAME (pid N)` for an endpoint such as `tcp://127.0.0.1:5558`, or nothing.
pub fn describe(endpoint: &str) -> String {
    let port = endpoint.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let found = port.and_then(listener);
    found.map_or_else(String::new, |(pid, name)| format!("; the port belongs to {name} (pid {pid})"))
}

/// Process id and name of the process that listens on `port`, if it may be seen.
pub fn listener(port: u16) -> Option<(u32, String)> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening_inodes(&table, port))
        .collect();
    let sockets: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).find_map(|pid| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        let owns = descriptors.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|target| {
            target.to_str().is_some_and(|target| sockets.iter().any(|socket| socket == target))
        });
        let name = || fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned();
        owns.then(|| (pid, name()))
    })
}

/// Column 2 is the local address as `HEX:PORT`, column 4 the state (0A: listening), column 10 the inode.
fn listening_inodes(table: &str, port: u16) -> Vec<String> {
    let port = format!(":{port:04X}");
    table
        .lines()
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
        .filter(|columns| {
            columns.get(1).is_some_and(|local| local.ends_with(&port)) && columns.get(3) == Some(&"0A")
        })
        .filter_map(|columns| columns.get(9).map(|inode| (*inode).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_taken_port_is_named() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let (pid, _) = listener(port).unwrap();
        assert_eq!(pid, std::process::id());
        let said = describe(&format!("tcp://127.0.0.1:{port}"));
        assert!(said.ends_with(&format!("(pid {pid})")), "{said}");
        assert_eq!(describe("ipc:///tmp/x"), "");
    }
}
