//! The table of keywords as a page to read.

use std::fmt::Write as _;

use super::keywords::{Block, Keyword, Support, Takes};

/// Every keyword by block, in Markdown.
pub fn reference() -> String {
    let mut page = String::from("# Keywords\n");
    for block in Block::ALL {
        let title = if block == Block::Root { "Top level".to_owned() } else { format!("`{}`", block.name()) };
        write!(page, "\n## {title}\n\n| keyword | takes | default | what it does |\n| --- | --- | --- | --- |\n")
            .expect("writing to a String cannot fail");
        for keyword in block.keywords() {
            row(&mut page, keyword);
        }
    }
    page
}

fn row(page: &mut String, keyword: &Keyword) {
    let Keyword { name, default, doc, .. } = keyword;
    let status = match keyword.support {
        Support::Acts | Support::Tunes => String::new(),
        Support::Later => " (no effect yet)".to_owned(),
        Support::Otherwise(instead) => format!(" (no effect: {instead})"),
        Support::Unchecked => " (not checked yet: counts as up)".to_owned(),
        Support::Refused(reason) => format!(" (refused: {reason})"),
        Support::Removed(advice) => format!(" (ignored: {advice})"),
        Support::Deprecated(new) => format!(" (write `{new}`)"),
    };
    writeln!(page, "| `{name}` | {} | {default} | {doc}{status} |", takes(keyword.takes))
        .expect("writing to a String cannot fail");
}

fn takes(takes: Takes) -> String {
    match takes {
        Takes::Any | Takes::None => String::new(),
        Takes::Flag => "nothing, yes or no".to_owned(),
        Takes::YesNo => "yes or no".to_owned(),
        Takes::Text => "a word".to_owned(),
        Takes::Words => "words".to_owned(),
        Takes::Number(from, to) => format!("{from} to {to}"),
        Takes::Seconds(from, to) => format!("{} to {} seconds", from.as_secs_f64(), to.as_secs()),
        Takes::Millis(from, to) => format!("{} to {} milliseconds", from.as_millis(), to.as_millis()),
        Takes::Address => "an address".to_owned(),
        Takes::Choice(choices) => choices.join(", "),
        Takes::Block(Block::Lines) => "a block of lines".to_owned(),
        Takes::Block(_) => "a block".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_has_a_row_that_says_what_it_does() {
        let page = reference();
        for block in Block::ALL {
            for keyword in block.keywords() {
                assert!(page.contains(&format!("| `{}` |", keyword.name)), "{}", keyword.name);
                assert!(!keyword.doc.is_empty() && !keyword.doc.contains('|'), "{}", keyword.name);
            }
        }
        let row = "| `priority` | 1 to 255 | 100 | the highest becomes master; 255 owns the addresses |";
        assert!(page.contains(row), "{page}");
    }
}
