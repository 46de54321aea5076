//! What the configuration promises: layers, messages, secrets, shipped files.

mod any_text;
mod bus;
mod importing;
mod layers;
mod publishers;
mod reference;
mod secrets;
mod shipped_files;
mod up;
mod violations;

use tickline_config::Loaded;
use tickline_config::model::Config;

/// Loads one file named `t.toml` with `sets`; the error is what a user would read.
fn load(text: &str, sets: &[&str], env: &[(&str, &str)]) -> Result<Loaded, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.toml");
    std::fs::write(&file, text).unwrap();
    let sets: Vec<String> = sets.iter().map(|s| s.to_string()).collect();
    let loaded = Config::load(&[file], &sets, &|name| lookup(env, name));
    loaded.map_err(|e| e.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

fn lookup(env: &[(&str, &str)], name: &str) -> Option<String> {
    env.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string())
}
