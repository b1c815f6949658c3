//! One line to words and braces.
//!
//! The rules are keepalived's: `#` and `!` start a comment anywhere but in quotes, even inside a word; double quotes are
//! taken off, single quotes are letters; a string ends on its line; braces stand for themselves wherever they are.

use serde::{Deserialize, Serialize};

use super::{Reports, Span};

/// A character and the column that it has in the file (where a variable is used, for the characters of its value).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glyph {
    pub(crate) char: char,
    pub(crate) column: u32,
}

/// A word and its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Word {
    /// Without quotes and escapes.
    pub(crate) text: String,
    /// With them.
    pub(crate) span: Span,
}

/// What a line is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Token {
    /// A word.
    Word(Word),
    /// `{`.
    Open(Span),
    /// `}`.
    Close(Span),
    /// The line ends.
    End,
}

/// The characters of a line with their columns.
pub(crate) fn glyphs(line: &str) -> Vec<Glyph> {
    (1..).zip(line.chars()).map(|(column, char)| Glyph { char, column }).collect()
}

/// Whether a comment starts here.
pub(crate) fn is_comment(char: char) -> bool {
    matches!(char, '#' | '!')
}

/// Splits one line; `file` and `line` are where it stands. No [`Token::End`] is added.
pub(crate) fn split(file: u32, line: u32, glyphs: &[Glyph], reports: &mut Reports) -> Vec<Token> {
    let mut lexer = Lexer { file, line, rest: glyphs, tokens: Vec::new() };
    while let Some(&glyph) = lexer.rest.first() {
        let template = lexer.rest.get(1).is_some_and(|next| glyph.char == '{' && matches!(next.char, '{' | '%'));
        if template {
            let hint = "the file must be rendered before it is used";
            reports.error(lexer.span(glyph, 2), "text of a template is left in the file", hint);
            // What stands before it lacks its value: that goes without saying, unless a brace would be lost.
            if lexer.tokens.iter().all(|token| matches!(token, Token::Word(_))) {
                lexer.tokens.clear();
            }
            break;
        }
        match glyph.char {
            char if is_comment(char) => break,
            char if char.is_whitespace() => lexer.blank(reports),
            '{' => lexer.brace(Token::Open),
            '}' => lexer.brace(Token::Close),
            _ => lexer.word(reports),
        }
    }
    lexer.tokens
}

struct Lexer<'a> {
    file: u32,
    line: u32,
    rest: &'a [Glyph],
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn span(&self, first: Glyph, width: u32) -> Span {
        Span { file: self.file, line: self.line, column: first.column, width }
    }

    /// Blanks of other scripts come with text from web pages.
    fn blank(&mut self, reports: &mut Reports) {
        let glyph = self.rest[0];
        if !glyph.char.is_ascii() {
            let message = format!("U+{:04X} looks like a blank but is none", u32::from(glyph.char));
            reports.warning(self.span(glyph, 1), message, "keepalived takes it for a part of the word; write a blank");
        }
        self.rest = &self.rest[1..];
    }

    fn brace(&mut self, token: fn(Span) -> Token) {
        let span = self.span(self.rest[0], 1);
        self.tokens.push(token(span));
        self.rest = &self.rest[1..];
    }

    fn word(&mut self, reports: &mut Reports) {
        let first = self.rest[0];
        let mut last = first;
        let mut text = String::new();
        while let Some(&glyph) = self.rest.first() {
            let char = glyph.char;
            // An undefined `${NAME}` stays in its word, so that the complaint can name it.
            let variable = text.ends_with('$') && char == '{';
            if !variable && (char.is_whitespace() || is_comment(char) || matches!(char, '{' | '}')) {
                break;
            }
            last = match char {
                '"' => self.quoted(&mut text, reports),
                _ if variable => self.until_brace(&mut text),
                _ => {
                    text.push(char);
                    self.rest = &self.rest[1..];
                    glyph
                }
            };
        }
        // Characters of a variable's value all have the column of its use: the span is never narrower than 1.
        let span = self.span(first, last.column.saturating_sub(first.column) + 1);
        self.tokens.push(Token::Word(Word { text, span }));
    }

    fn until_brace(&mut self, text: &mut String) -> Glyph {
        let end = self.rest.iter().position(|glyph| glyph.char == '}').map_or(self.rest.len(), |at| at + 1);
        let (name, rest) = self.rest.split_at(end);
        text.extend(name.iter().map(|glyph| glyph.char));
        self.rest = rest;
        name[end - 1]
    }

    /// Takes a quoted string and gives its last character.
    fn quoted(&mut self, text: &mut String, reports: &mut Reports) -> Glyph {
        let quote = self.rest[0];
        let mut last = quote;
        let mut escaped = false;
        for (at, &glyph) in self.rest.iter().enumerate().skip(1) {
            last = glyph;
            match glyph.char {
                char if escaped => {
                    text.push(unescape(char));
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return last;
                }
                char => text.push(char),
            }
        }
        self.rest = &[];
        let width = last.column.saturating_sub(quote.column) + 1;
        reports.error(self.span(quote, width), "the string is not closed", "expected `\"` before the end of the line");
        last
    }
}

/// The character that `\char` stands for in a quoted string.
fn unescape(char: char) -> char {
    match char {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(line: &str) -> (Vec<String>, bool) {
        let mut reports = Reports::default();
        let tokens = split(0, 1, &glyphs(line), &mut reports);
        let text = |token: Token| match token {
            Token::Word(word) => format!("{}@{}+{}", word.text, word.span.column, word.span.width),
            Token::Open(span) => format!("{{@{}", span.column),
            Token::Close(span) => format!("}}@{}", span.column),
            Token::End => "end".to_owned(),
        };
        (tokens.into_iter().map(text).collect(), reports.failed())
    }

    #[test]
    fn lines_split_as_keepalived_splits_them() {
        for (line, expected, fails) in [
            ("", vec![], false),
            ("  priority 100", vec!["priority@3+8", "100@12+3"], false),
            ("priority 100!high", vec!["priority@1+8", "100@10+3"], false),
            ("a#b", vec!["a@1+1"], false),
            ("! all of it", vec![], false),
            ("group{VI_1", vec!["group@1+5", "{@6", "VI_1@7+4"], false),
            ("x }}", vec!["x@1+1", "}@3", "}@4"], false),
            ("notify \"/bin/a #1 !{\" x", vec!["notify@1+6", "/bin/a #1 !{@8+14", "x@23+1"], false),
            (r#"p "a\"b\\c""#, vec!["p@1+1", r#"a"b\c@3+9"#], false),
            ("'eth0'", vec!["'eth0'@1+6"], false),
            ("a; //", vec!["a;@1+2", "//@4+2"], false),
            ("state ${STATE}x", vec!["state@1+5", "${STATE}x@7+9"], false),
            ("\"\"", vec!["@1+2"], false),
            ("a\u{a0}b", vec!["a@1+1", "b@3+1"], false),
            ("notify \"/bin/true", vec!["notify@1+6", "/bin/true@8+10"], true),
            ("id {{ name }}", vec![], true),
            ("id { {{ name }}", vec!["id@1+2", "{@4"], true),
            ("{% if x %}", vec![], true),
        ] {
            let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(shape(line), (expected, fails), "{line}");
        }
    }
}
