//! A program that the configuration names: its words, and whom to run it as.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The program and its arguments; at least one word.
    pub words: Vec<String>,
    /// As it stands in the file, for a shell where the words alone will not do.
    pub line: String,
    /// Whom to run it as; the director's choice where the file gives none.
    pub user: Option<User>,
}

/// Whom a program runs as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user's name.
    pub name: String,
    /// The group's; the user's own where the file gives none.
    pub group: Option<String>,
}

/// Characters in a program's name that make the line one for a shell (`</dev/tcp/...`).
const FOR_A_SHELL: &[char] = &['<', '>', '|', '&', ';', '(', ')', '$', '`', '*', '?', '[', '~', '='];

impl Program {
    /// Reads a line as keepalived does: words between blanks; quotes and backslashes keep blanks in a word. `None`: a
    /// quote is not closed, or there is no word.
    pub fn parse(line: &str) -> Option<Self> {
        let words = words(line)?;
        (!words.is_empty()).then(|| Self { words, line: line.trim().to_owned(), user: None })
    }

    /// What is run.
    pub fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// Whether only a shell can run it.
    pub fn needs_shell(&self) -> bool {
        self.name().contains(FOR_A_SHELL)
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            // As in a shell, nothing is special between single quotes.
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(rest.next()),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_line() {
        for (line, expected) in [
            ("/bin/true", Some(vec!["/bin/true"])),
            ("  killall -0   haproxy ", Some(vec!["killall", "-0", "haproxy"])),
            (r#"/n.sh 'a b' "c d" e\ f"#, Some(vec!["/n.sh", "a b", "c d", "e f"])),
            (r"x 'a\b' \'", Some(vec!["x", r"a\b", "'"])),
            (r#"x "" y"#, Some(vec!["x", "", "y"])),
            ("x a'b'c", Some(vec!["x", "abc"])),
            ("x 'a b", None),
            ("", None),
            ("  ", None),
        ] {
            let words = Program::parse(line).map(|program| program.words);
            assert_eq!(words, expected.map(|words| words.into_iter().map(str::to_owned).collect()), "{line}");
        }
    }

    #[test]
    fn some_lines_are_for_a_shell() {
        for (line, shell) in [
            ("</dev/tcp/127.0.0.1/80", true),
            ("[[ -f /x ]] && exit 1", true),
            ("$(which x)", true),
            ("pidof nginx || exit 1", false),
            ("/bin/sh -c 'a | b'", false),
        ] {
            assert_eq!(Program::parse(line).unwrap().needs_shell(), shell, "{line}");
        }
    }
}
