//! The port registry: one place that says which feed is where. `cargo run --example port_registry`

use tickline_config::registry::{PORTS, find, ports_table};

fn main() {
    print!("{}", ports_table());
    // A feed is found by its name, its key, its topic or an alias of it.
    for name in ["kraken_depth", "kraken_depth_pub", "kr_depth", "no_such_feed"] {
        match find(name) {
            Some(row) => println!("{name}: port {}, topic {}", row.port, row.topic),
            None => println!("{name}: not in the registry"),
        }
    }
    let mut ports: Vec<u16> = PORTS.iter().map(|row| row.port).collect();
    ports.sort_unstable();
    ports.dedup();
    println!("{} rows, {} ports", PORTS.len(), ports.len());
}
