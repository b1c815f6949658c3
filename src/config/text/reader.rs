//! Files to tokens, line by line: conditions, definitions and `include` are done here.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::expand::{ExpandError, Variables, definition};
use super::words::{Glyph, Token, glyphs, split};
use super::{Reports, Sources, Span, glob, limits};
use crate::config::LoadOptions;

/// Reads `text` (of the file `name`) and what it includes. Problems go to `reports`.
pub(crate) fn read(
    name: &str,
    text: &str,
    options: &LoadOptions,
    sources: &mut Sources,
    reports: &mut Reports,
) -> Vec<Token> {
    let mut reader = Reader {
        config_id: options.config_id.as_deref(),
        sources,
        reports,
        variables: Variables::default(),
        tokens: Vec::new(),
        bytes: 0,
        open: Vec::new(),
        stopped: false,
        continued: false,
    };
    reader.file(PathBuf::from(name), text);
    reader.tokens
}

/// Reads a whole regular file, at most [`limits::BYTES`]. Bytes that are no UTF-8 become U+FFFD.
pub(crate) fn read_file(path: &Path) -> Result<String, String> {
    let why = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    // Asked before opening: opening a pipe would wait for its writer.
    if !path.metadata().map_err(why)?.is_file() {
        return Err(format!("cannot read {}: it is not a regular file", path.display()));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(limits::BYTES as u64 + 1).read_to_end(&mut bytes)).map_err(why)?;
    if bytes.len() > limits::BYTES {
        return Err(format!("{} is larger than {} MiB", path.display(), limits::BYTES >> 20));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

struct Reader<'a> {
    config_id: Option<&'a str>,
    sources: &'a mut Sources,
    reports: &'a mut Reports,
    variables: Variables,
    tokens: Vec<Token>,
    /// Bytes of all files and of all expansions so far.
    bytes: usize,
    /// The files that are being read, outermost first.
    open: Vec<PathBuf>,
    /// A limit was reached: nothing more is read.
    stopped: bool,
    /// The line belongs to a definition of several lines, which is not supported.
    continued: bool,
}

impl Reader<'_> {
    fn file(&mut self, path: PathBuf, text: &str) {
        let file = self.sources.add(&path.to_string_lossy(), text);
        self.open.push(path);
        let text = self.sources.text(file);
        let text = self.without_mark(file, &text);
        for (number, line) in (1..).zip(text.lines()) {
            let whole = Span { file, line: number, column: 1, width: 1 };
            self.bytes += line.len() + 1;
            if self.bytes > limits::BYTES || self.tokens.len() > limits::TOKENS {
                self.stop(whole, "the configuration is too large");
            }
            if self.stopped {
                break;
            }
            if line.len() > limits::LINE {
                self.reports.error(whole, format!("the line is longer than {} bytes", limits::LINE), "");
                continue;
            }
            self.line(whole, line);
        }
        self.open.pop();
    }

    fn stop(&mut self, span: Span, message: &str) {
        if !self.stopped {
            self.reports.error(span, message, "nothing after this line was read");
        }
        self.stopped = true;
    }

    /// The text without a byte-order mark, which keepalived takes for a part of the first word.
    fn without_mark<'t>(&mut self, file: u32, text: &'t str) -> &'t str {
        let Some(rest) = text.strip_prefix('\u{feff}') else { return text };
        let first = Span { file, line: 1, column: 1, width: 1 };
        let hint = "keepalived would not know the first word; save the file as UTF-8 without BOM";
        self.reports.warning(first, "the file starts with a byte-order mark", hint);
        rest
    }

    fn line(&mut self, at: Span, line: &str) {
        let all = glyphs(line);
        let Some(glyphs) = self.condition(trim(&all)) else { return };
        let continues = line.trim_end().ends_with('\\');
        if self.continued {
            self.continued = continues;
            return;
        }
        if let Some((name, value)) = definition(glyphs) {
            if continues {
                self.continued = true;
                // Known but empty, so that its uses are not complained about one by one.
                self.variables.define(name, String::new());
                let hint = "write the lines out where they are used";
                self.reports.error(at_first(at, glyphs), "a definition of several lines is not supported", hint);
            } else if let Some(value) = self.expand(at, value) {
                let value: String = value.iter().map(|glyph| glyph.char).collect();
                self.variables.define(name, value.trim().to_owned());
            }
            return;
        }
        let Some(glyphs) = self.expand(at, glyphs) else { return };
        let glyphs = trim(&glyphs);
        if starts_with(glyphs, "~SEQ") || starts_with(glyphs, "~LST") {
            let hint = "write the lines out";
            self.reports.error(at_first(at, glyphs), "line generators (~SEQ, ~LST) are not supported", hint);
        } else if !self.include(at, glyphs) {
            self.tokens.extend(split(at.file, at.line, glyphs, self.reports));
            self.tokens.push(Token::End);
        }
    }

    /// What is left of the line if its `@id` or `@^id` holds; `None` if not.
    fn condition<'g>(&self, glyphs: &'g [Glyph]) -> Option<&'g [Glyph]> {
        if glyphs.first().is_none_or(|glyph| glyph.char != '@') {
            return Some(glyphs);
        }
        let (id, rest) = first_word(&glyphs[1..]);
        let holds = match id.strip_prefix('^') {
            Some(id) => self.config_id != Some(id),
            None => self.config_id == Some(&id),
        };
        holds.then_some(trim(rest))
    }

    fn expand(&mut self, at: Span, glyphs: &[Glyph]) -> Option<Vec<Glyph>> {
        let error = match self.variables.expand(glyphs) {
            Ok(expanded) => {
                self.bytes += expanded.len().saturating_sub(glyphs.len());
                return Some(expanded);
            }
            Err(error) => error,
        };
        match error {
            ExpandError::TooLong => {
                let message = format!("with its variables the line is longer than {} bytes", limits::LINE);
                self.reports.error(at_first(at, glyphs), message, "");
            }
            ExpandError::Unknown { name, column } => {
                let message = format!("the variable `{name}` is not supported");
                self.reports.error(Span { column, ..at }, message, "write its value");
            }
        }
        None
    }

    /// Reads the files that the line includes; false if it is no `include`.
    fn include(&mut self, at: Span, glyphs: &[Glyph]) -> bool {
        let (keyword, rest) = first_word(glyphs);
        let must_match = match keyword.as_str() {
            "include" | "includer" | "includew" => false,
            "includem" | "includeb" | "includea" => true,
            _ => return false,
        };
        let rest = trim(rest);
        let pattern: String = rest.iter().map(|glyph| glyph.char).collect();
        let pattern = pattern.trim().trim_matches('"');
        let first = at_first(at, rest);
        let last = rest.iter().rfind(|glyph| !glyph.char.is_whitespace()).map_or(first.column, |glyph| glyph.column);
        let span = Span { width: last.saturating_sub(first.column) + 1, ..first };
        if pattern.is_empty() {
            self.reports.error(at_first(at, glyphs), "`include` names no file", "");
            return true;
        }
        let folder = self.open.last().and_then(|path| path.parent()).unwrap_or(Path::new("")).to_path_buf();
        let found = glob::expand(pattern, &folder);
        if found.is_empty() && must_match {
            self.reports.error(span, format!("no file matches `{pattern}`"), format!("`{keyword}` demands one"));
        } else if found.is_empty() {
            self.reports.warning(span, format!("no file matches `{pattern}`"), "the line has no effect");
        }
        for path in found {
            self.included(span, path);
        }
        true
    }

    fn included(&mut self, span: Span, path: PathBuf) {
        if self.stopped {
            return;
        }
        if self.open.contains(&path) {
            self.reports.error(span, format!("{} includes itself", path.display()), "");
        } else if self.open.len() > limits::INCLUDES {
            self.reports.error(span, format!("files include each other more than {} deep", limits::INCLUDES), "");
        } else if self.sources.len() >= limits::FILES {
            self.stop(span, "too many files are included");
        } else {
            match read_file(&path) {
                Ok(text) => self.file(path, &text),
                Err(message) => self.reports.error(span, message, ""),
            }
        }
    }
}

/// Without blanks at the start; those of other scripts are left for the words to complain about.
fn trim(glyphs: &[Glyph]) -> &[Glyph] {
    let blanks = glyphs.iter().take_while(|glyph| glyph.char.is_ascii_whitespace()).count();
    &glyphs[blanks..]
}

/// The first word, and what follows it.
fn first_word(glyphs: &[Glyph]) -> (String, &[Glyph]) {
    let length = glyphs.iter().take_while(|glyph| !glyph.char.is_whitespace()).count();
    (glyphs[..length].iter().map(|glyph| glyph.char).collect(), &glyphs[length..])
}

fn starts_with(glyphs: &[Glyph], prefix: &str) -> bool {
    prefix.chars().eq(glyphs.iter().map(|glyph| glyph.char).take(prefix.len()))
}

/// The first character of what is left of a line.
fn at_first(at: Span, glyphs: &[Glyph]) -> Span {
    Span { column: glyphs.first().map_or(1, |glyph| glyph.column), ..at }
}
