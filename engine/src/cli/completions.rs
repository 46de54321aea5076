//! `tickline completions` and `tickline man`: for packages.

use clap::CommandFactory;

use super::{Cli, Exit, Failure, print_text};

/// Prints what a shell wants to complete our commands.
pub(super) fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tickline", &mut text);
    print_text(&String::from_utf8_lossy(&text)).map(|()| Exit::Ok)
}

/// Writes a page for the program and one for each command into a folder.
pub(super) fn man(dir: &std::path::Path) -> Result<Exit, Failure> {
    let written = std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir));
    written.map(|()| Exit::Ok).map_err(|error| Failure::failed(format!("{}: {error}", dir.display())))
}
