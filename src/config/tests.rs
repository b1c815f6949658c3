//! Whole configurations: the real files, the broken ones, and text that nobody would write.

use std::path::{Path, PathBuf};

use super::*;

/// Loads a file and gives what `ringmaster check` would print.
fn printed(path: &Path) -> String {
    match load(path, &LoadOptions::default()) {
        Ok(loaded) => loaded.problems.to_string(),
        Err(problems) => problems.to_string(),
    }
}

fn corpus() -> PathBuf {
    "../../shared/keepalived-configs".into()
}

#[test]
fn try_() {
    for f in std::env::var("TRY").unwrap_or_default().split_whitespace() {
        println!("=== {f}\n{}", printed(Path::new(f)));
    }
    let md = std::fs::read_to_string(corpus().join("BROKEN.md")).unwrap();
    for line in md.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        if cells.len() < 5 || !cells[1].starts_with('`') {
            continue;
        }
        let name = cells[1].trim_matches('`');
        let code: u32 = cells[3].parse().unwrap();
        let path = corpus().join("broken").join(format!("{name}.conf"));
        let worst = match load(&path, &LoadOptions::default()) {
            Ok(l) => l.problems.worst(),
            Err(p) => p.worst(),
        };
        if (code != 0) != (worst >= Some(Level::Warning)) {
            println!("##{} {code} {worst:?} {}\n{}", name, cells[4], printed(&path));
        }
    }
}
