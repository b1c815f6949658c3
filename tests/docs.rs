//! The documentation keeps up with the program: what is generated is fresh, what is listed is complete, what is linked
//! is there.

use std::fs;
use std::path::{Path, PathBuf};

use ringmaster::config::keywords::Block;
use ringmaster::config::reference;
use ringmaster::forward::Reason;

#[test]
fn the_table_of_keywords_is_the_programs() {
    assert!(read("docs/keywords.md") == reference(), "run `ringmaster check --keywords >docs/keywords.md`");
}

#[test]
fn every_key_of_the_ringmaster_block_is_explained() {
    let page = read("docs/configuration.md");
    for keyword in Block::Ringmaster.keywords() {
        assert!(page.contains(&format!("\n| `{}` |", keyword.name)), "`{}`", keyword.name);
    }
}

#[test]
fn every_reason_is_listed_in_its_own_words() {
    let page = read("docs/operations.md");
    for reason in Reason::ALL {
        let row = format!("\n| `ended-{}` | {} |", reason.name(), reason.doc().trim());
        assert!(page.contains(&row), "{row}");
    }
}

#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let home = page.parent().expect("a file has a folder").to_owned();
        let text = fs::read_to_string(&page).expect("the page can be read");
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let file = target.split('#').next().expect("there is a first part");
            assert!(home.join(file).exists(), "{}: {target}", page.display());
        }
    }
}

fn pages() -> Vec<PathBuf> {
    let files = |folder: &str| fs::read_dir(root().join(folder)).expect("the folder is there");
    let paths = files("").chain(files("docs")).map(|entry| entry.expect("it can be read").path());
    let pages: Vec<_> = paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    assert!(pages.len() > 5, "README, CHANGELOG and docs: {pages:?}");
    pages
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).expect("the page is there")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
