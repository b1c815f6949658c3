//! The exact text that is printed for each kind of problem: `tests/config/NAME.conf` and `NAME.expected`.

use super::*;

/// Set this variable to write the expectations anew; then read them.
const UPDATE: &str = "UPDATE_EXPECTED";

#[test]
fn problems_are_printed_as_expected() {
    // Relative, so that the printed names are the same everywhere: tests run in the folder of the manifest.
    let mut names: Vec<_> = Path::new("tests/config").read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    names.sort();
    assert!(names.len() > 10);
    let mut wrong = Vec::new();
    for path in names {
        let printed = problems(&path).to_string();
        let expected = path.with_extension("expected");
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(&expected, &printed).unwrap();
        }
        if std::fs::read_to_string(&expected).unwrap_or_default() != printed {
            wrong.push(format!("{}:\n{printed}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
