//! Variables: `$NAME=value` defines one, `$NAME` and `${NAME}` stand for its value.
//!
//! A value is expanded where it is defined, so that no definition can grow by referring to itself.

use std::collections::BTreeMap;

use super::limits;
use super::words::{Glyph, is_comment};

/// The variables defined so far.
#[derive(Debug, Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

/// Why a line cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExpandError {
    /// It would be longer than [`limits::LINE`].
    TooLong,
    /// keepalived's own variable of this name is not known here.
    Unknown {
        /// Its name.
        name: String,
        /// The column of its `$`.
        column: u32,
    },
}

/// Those of keepalived's own variables that need no knowledge of the host.
const BUILT_IN: [(&str, &str); 2] = [("_HASH", "#"), ("_BANG", "!")];

/// Those whose value cannot be told from the text.
const NOT_SUPPORTED: [&str; 4] = ["_PWD", "_INSTANCE", "_RANDOM", "_ENV"];

impl Variables {
    /// Defines or redefines one.
    pub(crate) fn define(&mut self, name: String, value: String) {
        self.0.insert(name, value);
    }

    /// The line with every known variable replaced, up to a comment; what is not known stays as it is.
    pub(crate) fn expand(&self, line: &[Glyph]) -> Result<Vec<Glyph>, ExpandError> {
        let mut out = Expanded::default();
        let mut rest = line;
        while let Some(&glyph) = rest.first() {
            let reference = if glyph.char == '$' { reference(rest) } else { None };
            let value = match &reference {
                Some((name, _)) => self.value(name, glyph.column)?,
                None => None,
            };
            let complete = match (reference, value) {
                (Some((_, length)), Some(value)) => {
                    rest = &rest[length..];
                    value.chars().all(|char| out.push(Glyph { char, column: glyph.column }))
                }
                _ => {
                    rest = &rest[1..];
                    out.push(glyph)
                }
            };
            if out.glyphs.len() > limits::LINE {
                return Err(ExpandError::TooLong);
            }
            if !complete {
                break;
            }
        }
        Ok(out.glyphs)
    }

    fn value(&self, name: &str, column: u32) -> Result<Option<&str>, ExpandError> {
        if let Some(value) = self.0.get(name) {
            return Ok(Some(value));
        }
        let first_word = name.split_whitespace().next().unwrap_or_default();
        if NOT_SUPPORTED.contains(&first_word) {
            return Err(ExpandError::Unknown { name: name.to_owned(), column });
        }
        Ok(BUILT_IN.iter().find(|(known, _)| *known == name).map(|&(_, value)| value))
    }
}

/// A line that grows until a comment starts.
#[derive(Default)]
struct Expanded {
    glyphs: Vec<Glyph>,
    quoted: bool,
    escaped: bool,
}

impl Expanded {
    /// Adds a character; false at a comment, which a variable that holds `#` may start too.
    fn push(&mut self, glyph: Glyph) -> bool {
        if !self.quoted && is_comment(glyph.char) {
            return false;
        }
        if glyph.char == '"' && !self.escaped {
            self.quoted = !self.quoted;
        }
        self.escaped = self.quoted && !self.escaped && glyph.char == '\\';
        self.glyphs.push(glyph);
        true
    }
}

/// The name at the start of `rest` (which starts with `$`), and the length of the whole reference.
fn reference(rest: &[Glyph]) -> Option<(String, usize)> {
    let text = |glyphs: &[Glyph]| glyphs.iter().map(|glyph| glyph.char).collect::<String>();
    if rest.get(1)?.char == '{' {
        let length = rest.iter().position(|glyph| glyph.char == '}')?;
        return Some((text(&rest[2..length]), length + 1));
    }
    let length = rest[1..].iter().take_while(|glyph| is_name(glyph.char)).count();
    (length > 0).then(|| (text(&rest[1..=length]), length + 1))
}

fn is_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_'
}

/// The name and the value's place, if the line is a definition.
pub(crate) fn definition(line: &[Glyph]) -> Option<(String, &[Glyph])> {
    if line.first()?.char != '$' || line.get(1)?.char == '{' {
        return None;
    }
    let (name, length) = reference(line)?;
    (line.get(length)?.char == '=').then(|| (name, &line[length + 1..]))
}

#[cfg(test)]
mod tests {
    use super::super::words::glyphs;
    use super::*;

    fn expand(variables: &Variables, line: &str) -> Result<String, ExpandError> {
        Ok(variables.expand(&glyphs(line))?.iter().map(|glyph| glyph.char).collect())
    }

    #[test]
    fn variables_are_replaced_and_unknown_ones_stay() {
        let mut variables = Variables::default();
        variables.define("BASE".into(), "192.0.2".into());
        variables.define("P".into(), "100".into());
        for (line, expected) in [
            ("${BASE}.10/24", "192.0.2.10/24"),
            ("priority $P", "priority 100"),
            ("$P.$BASE", "100.192.0.2"),
            ("pass pa$$word", "pass pa$$word"),
            ("state ${STATE}", "state ${STATE}"),
            ("$", "$"),
            ("${", "${"),
            ("${_HASH} off", ""),
            ("\"${_HASH}\" x", "\"#\" x"),
        ] {
            assert_eq!(expand(&variables, line).as_deref(), Ok(expected), "{line}");
        }
        let unknown = ExpandError::Unknown { name: "_ENV HOME".into(), column: 3 };
        assert_eq!(expand(&variables, "x ${_ENV HOME}"), Err(unknown));
    }

    #[test]
    fn growth_is_bounded() {
        let mut variables = Variables::default();
        variables.define("A".into(), "x".repeat(limits::LINE / 2));
        assert_eq!(expand(&variables, "$A$A$A"), Err(ExpandError::TooLong));
    }

    #[test]
    fn only_a_bare_name_with_an_equals_sign_defines() {
        for (line, expected) in
            [("$A=b c", Some("A")), ("$A = b", None), ("${A}=b", None), ("$=b", None), ("A=b", None)]
        {
            assert_eq!(definition(&glyphs(line)).map(|(name, _)| name).as_deref(), expected, "{line}");
        }
    }
}
