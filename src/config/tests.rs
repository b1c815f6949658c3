//! Whole configurations: what they mean, how they are printed, and that no text breaks the reader.

mod corpus;
mod elections;
mod golden;
mod meaning;
mod paths;
mod random;
mod tracking;

use std::path::Path;

use super::*;

/// The problems of a file, whether it loads or not.
fn problems(path: &Path) -> Problems {
    load(path, &LoadOptions::default()).map_or_else(|problems| problems, |loaded| loaded.problems)
}

/// Each place lies within its line of `text`.
fn assert_places_are_inside(problems: &Problems, text: impl Fn(&str) -> String) {
    for place in problems.0.iter().filter_map(|problem| problem.place.as_ref()) {
        let text = text(&place.file);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let line = text.lines().nth(place.line as usize - 1).unwrap_or_else(|| panic!("no line {place:?}"));
        let last = place.column + place.width - 1;
        assert!(place.width > 0 && last as usize <= line.chars().count().max(1), "{place:?} in {line:?}");
    }
}
