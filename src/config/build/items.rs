//! The statements of a block, checked against the table of keywords.
//!
//! Everything that the table knows is decided here: unknown, removed and refused keywords, missing and surplus values,
//! ranges. What is left are [`Item`]s that are acted on.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::Builder;
use super::values::{self, Fault};
use crate::config::keywords::{self, Block, Keyword, Support, Takes};
use crate::config::problem::Level;
use crate::config::text::{Span, Statement, Word};

/// A value in the form that the table promises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// The keyword stands alone, or its words are looked at by its owner.
    None,
    Flag(bool),
    Number(u64),
    Seconds(Duration),
    Address(IpAddr),
    Text(&'a str),
    /// Present but wrong; the problem is reported.
    Faulty,
}

/// A statement that is acted on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    pub(super) name: &'static str,
    pub(super) value: Value<'a>,
    pub(super) statement: &'a Statement,
}

impl<'a> Item<'a> {
    /// The number, in a type that the range of the table fits into.
    pub(super) fn number<T: TryFrom<u64>>(&self) -> Option<T> {
        match self.value {
            Value::Number(number) => T::try_from(number).ok(),
            _ => None,
        }
    }

    pub(super) fn seconds(&self) -> Option<Duration> {
        match self.value {
            Value::Seconds(time) => Some(time),
            _ => None,
        }
    }

    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.value {
            Value::Address(address) => Some(address),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        match self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether a flag is set.
    pub(super) fn is_on(&self) -> bool {
        self.value == Value::Flag(true)
    }

    /// The words after the keyword.
    pub(super) fn words(&self) -> &'a [Word] {
        self.statement.values()
    }

    /// Where the keyword stands.
    pub(super) fn span(&self) -> Span {
        self.statement.keyword().span
    }

    /// What stands between its braces.
    pub(super) fn body(&self) -> &'a [Statement] {
        self.statement.body.as_deref().unwrap_or_default()
    }
}

/// Whether a keyword of this name is there, right or wrong.
pub(super) fn has(items: &[Item<'_>], name: &str) -> bool {
    items.iter().any(|item| item.name == name)
}

impl Builder<'_> {
    /// The statements of `block` that are acted on, in order; everything else is reported.
    pub(super) fn items<'a>(&mut self, block: Block, body: &'a [Statement]) -> Vec<Item<'a>> {
        let mut items: Vec<Item<'a>> = Vec::new();
        let mut single = BTreeMap::new();
        for statement in body {
            let Some(keyword) = keywords::find(block, &statement.keyword().text) else {
                self.unknown(block, statement);
                continue;
            };
            let value = self.value(keyword, statement);
            if value != Value::Faulty {
                self.support(block, keyword, statement.keyword().span);
            }
            if !matches!(keyword.support, Support::Acts | Support::Tunes | Support::Deprecated(_)) {
                self.inspect(keyword, statement);
                continue;
            }
            let item = Item { name: keyword.name, value, statement };
            match single.get(keyword.name) {
                Some(_) if keyword.name == "state" => {
                    self.reports.warning(statement.span(), "`state` is given twice", "the first one holds");
                }
                Some(&earlier) => {
                    let message = format!("`{}` is given twice", keyword.name);
                    self.reports.warning(statement.span(), message, "this one holds");
                    items[earlier] = item;
                }
                None => {
                    if holds_one(keyword) {
                        single.insert(keyword.name, items.len());
                    }
                    items.push(item);
                }
            }
        }
        items
    }

    /// Reports what the table says about a keyword as such.
    fn support(&mut self, block: Block, keyword: &Keyword, span: Span) {
        let name = keyword.name;
        match keyword.support {
            Support::Acts | Support::Tunes => {}
            Support::Later => {
                if !self.quiet && self.noted.insert((block, name)) {
                    self.reports.note(span, format!("`{name}` is accepted, but has no effect yet"), "");
                }
            }
            Support::Otherwise(instead) => {
                if !self.quiet {
                    self.reports.warning(span, format!("`{name}` is accepted, but has no effect"), instead);
                }
            }
            Support::Unchecked => {
                if !self.quiet {
                    let hint = "the server counts as up whatever it would find";
                    self.reports.warning(span, format!("`{name}` is not checked yet"), hint);
                }
            }
            Support::Refused(reason) => self.reports.error(span, format!("`{name}` is not supported"), reason),
            Support::Removed(advice) => {
                self.reports.warning(span, format!("keepalived does not know `{name}` here; ignored"), advice);
            }
            Support::Deprecated(new) => {
                self.reports.warning(span, format!("`{name}` is deprecated"), format!("write `{new}`"));
            }
        }
    }

    fn unknown(&mut self, block: Block, statement: &Statement) {
        if self.reports.is_full() {
            return;
        }
        let word = statement.keyword();
        let place = match block {
            Block::Root => String::new(),
            _ => format!(" in `{}`", block.name()),
        };
        let what = if statement.body.is_some() { "block" } else { "keyword" };
        let hint = keywords::suggest(block, &word.text).unwrap_or_default();
        // keepalived goes on too; only its own block is read to the letter, since nobody else explains it.
        let level = if matches!(block, Block::Ringmaster | Block::Mark) { Level::Error } else { Level::Warning };
        let outcome = if level == Level::Error { "" } else { "; ignored" };
        self.reports.at(level, word.span, format!("unknown {what} `{}`{place}{outcome}", word.text), hint);
    }

    /// Reports what is wrong inside a block that is not acted on.
    fn inspect(&mut self, keyword: &Keyword, statement: &Statement) {
        let Takes::Block(block) = keyword.takes else { return };
        if matches!(block, Block::Lines | Block::Unknown) || matches!(keyword.support, Support::Refused(_)) {
            return;
        }
        let before = std::mem::replace(&mut self.quiet, true);
        self.items(block, statement.body.as_deref().unwrap_or_default());
        self.quiet = before;
    }

    /// The value of a statement; what is wrong with it is an error where it is acted on, else a warning.
    fn value<'a>(&mut self, keyword: &Keyword, statement: &'a Statement) -> Value<'a> {
        let acted = matches!(keyword.support, Support::Acts | Support::Deprecated(_)) && !self.quiet;
        let level = if acted { Level::Error } else { Level::Warning };
        let name = keyword.name;
        let words = statement.values();
        let word = match keyword.takes {
            Takes::Any | Takes::Block(_) => return Value::None,
            Takes::None if words.is_empty() => return Value::None,
            Takes::Words if !words.is_empty() => return Value::None,
            Takes::Flag if words.is_empty() => return Value::Flag(true),
            _ => words.first(),
        };
        let Some(word) = word else {
            self.reports.at(level, statement.span(), format!("`{name}` needs a value"), keyword.doc);
            return Value::Faulty;
        };
        let taken = usize::from(keyword.takes != Takes::None);
        if let Some(surplus) = words.get(taken) {
            let span = surplus.span.to(words[words.len() - 1].span);
            self.reports.warning(span, format!("ignored after `{name}`"), "each keyword needs its own line");
        }
        match convert(keyword.takes, word) {
            Ok(value) => value,
            Err(fault) => {
                self.fault(level, name, word.span, fault);
                Value::Faulty
            }
        }
    }

    /// Reports a wrong value of the keyword `name`.
    pub(super) fn fault(&mut self, level: Level, name: &str, span: Span, fault: Fault) {
        self.reports.at(level, span, format!("`{name}`: {}", fault.message), fault.hint);
    }
}

/// Whether a second one replaces the first.
fn holds_one(keyword: &Keyword) -> bool {
    !matches!(keyword.takes, Takes::Block(_)) && !matches!(keyword.name, "status_code" | "limit" | "key")
}

fn convert(takes: Takes, word: &Word) -> Result<Value<'_>, Fault> {
    Ok(match takes {
        Takes::Any | Takes::None | Takes::Block(_) | Takes::Words => Value::None,
        Takes::Flag | Takes::YesNo => Value::Flag(values::yes_no(word)?),
        Takes::Text => Value::Text(&word.text),
        Takes::Number(from, to) => Value::Number(values::number(word, from, to)?),
        Takes::Seconds(from, to) => Value::Seconds(values::seconds(word, from, to)?),
        Takes::Millis(from, to) => Value::Seconds(values::millis(word, from, to)?),
        Takes::Address => Value::Address(values::address(word)?),
        Takes::Choice(choices) => Value::Text(values::choice(word, choices)?),
    })
}
