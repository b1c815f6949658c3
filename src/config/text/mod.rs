//! From files to statements: everything about the text that needs no knowledge of what a keyword means.
//!
//! | step | what it does |
//! | --- | --- |
//! | [`source`] | holds the files and turns a [`Span`] back into a place |
//! | [`reader`] | line by line: `@id` conditions, `$NAME=` definitions, `include` |
//! | [`expand`] | puts the values of variables in |
//! | [`words`] | one line to words and braces: comments, quotes, escapes |
//! | [`tree`] | words and braces to [`Statement`]s, getting over lost and surplus braces |
//!
//! Input is bounded, so that no file can take the memory or the time of a running director: see [`limits`].

mod expand;
mod glob;
mod reader;
mod report;
mod source;
mod tree;
mod words;

pub(super) use reader::{read, read_file};
pub(super) use report::Reports;
pub(super) use source::{Sources, Span};
pub(super) use tree::{Statement, parse};
pub(super) use words::{Token, Word};

/// Bounds on the input.
pub(super) mod limits {
    /// All files and all expansions of variables together, in bytes.
    pub(crate) const BYTES: usize = 16 << 20;
    /// One line, in bytes; also after expansion.
    pub(crate) const LINE: usize = 64 << 10;
    /// Words and braces in all files.
    pub(crate) const TOKENS: usize = 1 << 20;
    /// How deep files may include each other.
    pub(crate) const INCLUDES: usize = 16;
    /// How many files may be read.
    pub(crate) const FILES: usize = 1024;
    /// How deep blocks may nest; the language needs 5.
    pub(crate) const BLOCKS: usize = 16;
    /// After so many problems the rest is not reported.
    pub(crate) const PROBLEMS: usize = 500;
}
