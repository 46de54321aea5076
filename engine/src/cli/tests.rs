//! The command lines of the documentation are those of the program, and its links lead somewhere.

use std::path::{Path, PathBuf};

use clap::Parser;

use super::Cli;

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut pages = vec![root.join("README.md")];
    for entry in std::fs::read_dir(root.join("docs")).unwrap() {
        pages.push(entry.unwrap().path());
    }
    pages.retain(|page| page.extension().is_some_and(|ending| ending == "md"));
    assert!(pages.len() > 15, "{pages:?}");
    pages
}

/// Lines of blocks of shell commands, joined where they go on, without comments.
fn commands(page: &str) -> Vec<String> {
    let (mut inside, mut joined, mut all) = (false, String::new(), Vec::new());
    for line in page.lines() {
        if let Some(language) = line.trim().strip_prefix("```") {
            inside = !inside && matches!(language, "sh" | "console");
            continue;
        }
        let line = line.trim().trim_start_matches("$ ").split(" #").next().unwrap_or_default().trim();
        if inside && let Some(begin) = line.strip_suffix('\\') {
            joined.push_str(begin);
        } else if inside {
            all.push(std::mem::take(&mut joined) + line);
        }
    }
    all
}

/// Words as a shell takes them apart: quotes join, and what comes after a pipe or redirection is another's.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in command.chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, ' ') => words.push(std::mem::take(&mut word)),
            (None, '|' | '>' | ';' | '&') => break,
            (_, c) => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn every_command_line_of_the_documentation_is_one_of_the_program() {
    let mut seen = 0;
    for page in pages() {
        for command in commands(&std::fs::read_to_string(&page).unwrap()) {
            let words = words(&command);
            // Variables of the environment may stand before.
            let at = words.iter().position(|word| !word.contains('=')).unwrap_or(0);
            if words.get(at).is_none_or(|first| first != "tickline") {
                continue;
            }
            seen += 1;
            let parsed = Cli::try_parse_from(&words[at..]);
            assert!(parsed.is_ok(), "{}: {command}: {}", page.display(), parsed.unwrap_err());
        }
    }
    assert!(seen > 30, "only {seen} commands were found");
}

#[test]
fn every_link_of_the_documentation_leads_to_a_file_and_the_book_has_every_page() {
    let summary =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/SUMMARY.md")).unwrap();
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let outside = file.is_empty() || file.contains("://");
            let found = outside || page.parent().unwrap().join(file).exists();
            assert!(found, "{}: {target} leads nowhere", page.display());
        }
        let name = page.file_name().unwrap().to_str().unwrap();
        let listed = ["README.md", "SUMMARY.md"].contains(&name) || summary.contains(&format!("({name})"));
        assert!(listed, "docs/SUMMARY.md lacks {name}");
    }
}
