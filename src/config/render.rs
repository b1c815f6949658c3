//! Problems as people read them: place, message, the line, a caret, a hint.

use std::fmt::Write as _;

use super::problem::{Level, Problem, Problems};

/// Whether to colour the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Text only.
    Plain,
    /// With ANSI escapes, for a terminal.
    Colour,
}

impl Style {
    fn paint(self, level: Level, text: &str) -> String {
        let code = match level {
            Level::Error => "1;31",
            Level::Warning => "1;33",
            Level::Note => "1;36",
        };
        match self {
            Style::Plain => text.to_owned(),
            Style::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// One problem, as one to three lines.
pub fn render(problem: &Problem, style: Style) -> String {
    let level = style.paint(problem.level, problem.level.name());
    let message = printable(&problem.message);
    let hint = printable(problem.hint.as_deref().unwrap_or_default());
    let Some(place) = &problem.place else {
        let separator = if hint.is_empty() { "" } else { ": " };
        return format!("{level}: {message}{separator}{hint}\n");
    };
    let indent = " ".repeat(place.indent as usize);
    let carets = style.paint(problem.level, &"^".repeat(place.width as usize));
    let mut text = format!("{}:{}:{}: {level}: {message}\n", place.file, place.line, place.column);
    text.push_str(format!("{:>5} | {}", place.line, printable(&place.excerpt)).trim_end());
    text.push('\n');
    text.push_str(format!("      | {indent}{carets} {hint}").trim_end());
    text.push('\n');
    text
}

/// Control characters would move the cursor (and tabs the caret): each becomes a blank.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The closing line: how many problems of each level, and whether the configuration was loaded.
pub fn summary(problems: &Problems) -> String {
    let mut text = String::new();
    for level in [Level::Error, Level::Warning, Level::Note] {
        let count = problems.count(level);
        if count > 0 {
            let comma = if text.is_empty() { "" } else { ", " };
            let plural = if count == 1 { "" } else { "s" };
            write!(text, "{comma}{count} {}{plural}", level.name()).expect("writing to a String cannot fail");
        }
    }
    let outcome = if problems.count(Level::Error) > 0 { "configuration not loaded" } else { "configuration is valid" };
    if text.is_empty() { format!("{outcome}\n") } else { format!("{text}; {outcome}\n") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::problem::Place;

    fn problem() -> Problem {
        Problem {
            level: Level::Error,
            place: Some(Place {
                file: "configs/edge.conf".into(),
                line: 14,
                column: 13,
                width: 3,
                excerpt: "    weight\t300".into(),
                indent: 11,
            }),
            message: "weight 300 is out of range".into(),
            hint: Some("expected 0 to 255".into()),
        }
    }

    #[test]
    fn a_problem_shows_its_line_and_a_caret() {
        let expected = "configs/edge.conf:14:13: error: weight 300 is out of range\n\
                        \x20  14 |     weight 300\n\
                        \x20     |            ^^^ expected 0 to 255\n";
        assert_eq!(render(&problem(), Style::Plain), expected);
        assert!(render(&problem(), Style::Colour).contains("\x1b[1;31m^^^\x1b[0m"));
    }

    #[test]
    fn escapes_of_the_file_never_reach_the_terminal() {
        let mut hostile = problem();
        hostile.message = "\x1b[2Jgone".into();
        assert!(!render(&hostile, Style::Plain).contains('\x1b'));
    }

    #[test]
    fn the_summary_counts_levels_and_says_the_outcome() {
        let mut problems = Problems(vec![problem(), problem()]);
        assert_eq!(summary(&problems), "2 errors; configuration not loaded\n");
        problems.0[0].level = Level::Note;
        problems.0[1].level = Level::Warning;
        assert_eq!(summary(&problems), "1 warning, 1 note; configuration is valid\n");
        assert_eq!(summary(&Problems::default()), "configuration is valid\n");
    }
}
