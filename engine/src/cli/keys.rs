//! `tickline keys`: CURVE key pairs as files.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tickline_feeds::curve::KeyPair;

use super::{Exit, Failure};

/// What to do with keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum KeysCommand {
    /// Make a pair: NAME.secret, which only its owner may read, and NAME.public, for everyone else.
    New(NewArgs),
}

/// Arguments of `keys new`.
#[derive(Debug, clap::Args)]
pub(super) struct NewArgs {
    /// The files without their ending, such as /etc/tickline/engine
    name: PathBuf,
}

pub(super) fn run(command: &KeysCommand) -> Result<Exit, Failure> {
    let KeysCommand::New(NewArgs { name }) = command;
    let pair = KeyPair::generate().map_err(Failure::failed)?;
    let path = |ending: &str| PathBuf::from(format!("{}.{ending}", name.display()));
    write(&path("secret"), pair.expose_secret(), 0o600)?;
    write(&path("public"), &pair.public, 0o644)?;
    println!("{}\n{}", path("secret").display(), path("public").display());
    Ok(Exit::Ok)
}

/// A key that is there is never overwritten: someone may still need it.
fn write(path: &Path, key: &str, mode: u32) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(format!("{key}\n").as_bytes()));
    written.map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}
