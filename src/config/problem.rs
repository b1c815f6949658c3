//! What is wrong with a configuration, and where.
//!
//! A [`Problem`] stands on its own: its [`Place`] carries the piece of the line that it is about, so that printing needs
//! no second look at the files.

use std::fmt;
use std::sync::Arc;

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Worth knowing; the configuration does what it says, or the keyword has no effect yet.
    Note,
    /// Loaded, but probably not what was meant; keepalived complains here too.
    Warning,
    /// Not loaded.
    Error,
}

impl Level {
    /// `note`, `warning`, `error`.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// Where a problem is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// How many characters it is about; at least 1.
    pub width: u32,
    /// The line, or the part of a long line around the column.
    pub excerpt: String,
    /// Characters of `excerpt` before the column.
    pub indent: u32,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How much it matters.
    pub level: Level,
    /// Where; `None` if a file could not be read at all.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

/// All problems of a configuration, in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// How many there are of one level.
    pub fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|problem| problem.level == level).count()
    }

    /// The gravest level present.
    pub fn worst(&self) -> Option<Level> {
        self.0.iter().map(|problem| problem.level).max()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            f.write_str(&super::render(problem, super::Style::Plain))?;
        }
        f.write_str(&super::summary(self))
    }
}

impl std::error::Error for Problems {}
