//! The files of a configuration, and places in them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::problem::Place;

/// A stretch of one line of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Span {
    /// Index into [`Sources`].
    pub(crate) file: u32,
    /// Line, from 1.
    pub(crate) line: u32,
    /// Column in characters, from 1.
    pub(crate) column: u32,
    /// Characters.
    pub(crate) width: u32,
}

impl Span {
    /// From the start of this one to the end of `last`, if both are on one line; else this one.
    pub(crate) fn to(self, last: Span) -> Span {
        let same_line = (self.file, self.line) == (last.file, last.line) && last.column >= self.column;
        if same_line { Span { width: last.column + last.width - self.column, ..self } } else { self }
    }
}

/// One file.
#[derive(Debug)]
struct Source {
    name: Arc<str>,
    text: Arc<str>,
}

/// All files read so far.
#[derive(Debug, Default)]
pub(crate) struct Sources(Vec<Source>);

/// A long line is cut to so many characters before and after the column.
const AROUND: usize = 60;

impl Sources {
    /// Takes a file in and gives its index.
    pub(crate) fn add(&mut self, name: &str, text: &str) -> u32 {
        self.0.push(Source { name: name.into(), text: text.into() });
        // At most limits::FILES.
        (self.0.len() - 1) as u32
    }

    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The text of a file.
    pub(crate) fn text(&self, file: u32) -> Arc<str> {
        self.0[file as usize].text.clone()
    }

    /// The place of each span, in the order given; spans of one file must ascend by line.
    pub(crate) fn places(&self, spans: impl Iterator<Item = Span>) -> Vec<Place> {
        let mut at = Cursor { file: u32::MAX, line: 0, lines: "".lines(), text: "" };
        spans.map(|span| self.place(at.seek(self, span), span)).collect()
    }

    fn place(&self, line: &str, span: Span) -> Place {
        let before = span.column as usize - 1;
        let skipped = before.saturating_sub(AROUND);
        let shown = AROUND * 2;
        let total = line.chars().count();
        let mut excerpt: String = line.chars().skip(skipped).take(shown).collect();
        let mut indent = before - skipped;
        if skipped > 0 {
            excerpt.insert(0, '…');
            indent += 1;
        }
        let room = shown + skipped - before;
        if total > skipped + shown {
            excerpt.push('…');
        }
        Place {
            file: self.0[span.file as usize].name.clone(),
            line: span.line,
            column: span.column,
            width: (span.width as usize).clamp(1, room) as u32,
            excerpt,
            indent: indent as u32,
        }
    }
}

/// Walks lines forward, so that many places in a long file cost one pass.
struct Cursor<'a> {
    file: u32,
    line: u32,
    lines: std::str::Lines<'a>,
    text: &'a str,
}

impl<'a> Cursor<'a> {
    fn seek(&mut self, sources: &'a Sources, span: Span) -> &'a str {
        if self.file != span.file || self.line > span.line {
            let text = sources.0[span.file as usize].text.strip_prefix('\u{feff}');
            let text = text.unwrap_or(&sources.0[span.file as usize].text);
            *self = Cursor { file: span.file, line: 0, lines: text.lines(), text: "" };
        }
        while self.line < span.line {
            self.line += 1;
            self.text = self.lines.next().unwrap_or_default();
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_around_the_column() {
        let mut sources = Sources::default();
        let line = format!("{}here{}", "a".repeat(500), "b".repeat(500));
        let file = sources.add("x", &format!("first\n{line}\nlast"));
        let span = Span { file, line: 2, column: 501, width: 4 };
        let place = sources.places([span].into_iter()).remove(0);
        let shown: String = place.excerpt.chars().skip(place.indent as usize).take(4).collect();
        assert_eq!((shown.as_str(), place.width), ("here", 4));
        assert!(place.excerpt.chars().count() < 130);
        assert!(place.excerpt.starts_with('…') && place.excerpt.ends_with('…'));
    }
}
