//! Collects problems by span while the files are read.

use super::{Sources, Span, limits};
use crate::config::problem::{Level, Problem, Problems};

#[derive(Debug)]
struct Report {
    span: Option<Span>,
    level: Level,
    message: String,
    hint: Option<String>,
}

/// A message that quotes a very long word is cut.
fn shortened(text: String) -> String {
    const LONGEST: usize = 160;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    list: Vec<Report>,
    failed: bool,
}

impl Reports {
    /// Notes a problem at a place; `hint` may be empty.
    pub(crate) fn at(&mut self, level: Level, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Some(span), level, message.into(), hint.into());
    }

    /// An error at a place.
    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.at(Level::Error, span, message, hint);
    }

    /// A warning at a place.
    pub(crate) fn warning(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.at(Level::Warning, span, message, hint);
    }

    /// A note at a place.
    pub(crate) fn note(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.at(Level::Note, span, message, hint);
    }

    /// An error that has no place in a file.
    pub(crate) fn nowhere(&mut self, message: impl Into<String>) {
        self.add(None, Level::Error, message.into(), String::new());
    }

    /// Whether nothing more is taken down: hints need not be thought of.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() > limits::PROBLEMS
    }

    /// Whether there was an error.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    fn add(&mut self, span: Option<Span>, level: Level, message: String, hint: String) {
        // What is cut off below must never hide that the load failed.
        self.failed |= level == Level::Error;
        let hint = (!hint.is_empty()).then(|| shortened(hint));
        let message = shortened(message);
        let report = Report { span, level, message, hint };
        match self.list.len() {
            0..limits::PROBLEMS => self.list.push(report),
            limits::PROBLEMS => self.list.push(Report {
                span: None,
                level: Level::Error,
                message: format!("more than {} problems; the rest is not shown", limits::PROBLEMS),
                hint: None,
            }),
            _ => {}
        }
        self.failed |= self.list.len() > limits::PROBLEMS;
    }

    /// The problems in file order, those without a place last.
    pub(crate) fn finish(mut self, sources: &Sources) -> Problems {
        self.list.sort_by_key(|report| (report.span.is_none(), report.span.map(|s| (s.file, s.line, s.column))));
        let mut places = sources.places(self.list.iter().filter_map(|report| report.span)).into_iter();
        let problem = |report: Report| Problem {
            level: report.level,
            place: report.span.and_then(|_| places.next()),
            message: report.message,
            hint: report.hint,
        };
        Problems(self.list.into_iter().map(problem).collect())
    }
}
