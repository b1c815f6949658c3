//! Words and braces to statements.
//!
//! A statement is a line: a keyword, its values and perhaps a block. A lost or surplus brace is reported where it is
//! noticed and got over, so that one mistake gives one message: a block that cannot stand where it is ends the blocks
//! around it, and a keyword that needs a block opens one even without its brace.

use super::words::{Token, Word};
use super::{Reports, Span, limits};
use crate::config::keywords::{self, Block};

/// One keyword with its values and its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    /// The keyword and its values; never empty.
    pub(crate) words: Vec<Word>,
    /// What stands between its braces.
    pub(crate) body: Option<Vec<Statement>>,
}

impl Statement {
    /// The keyword.
    pub(crate) fn keyword(&self) -> &Word {
        &self.words[0]
    }

    /// What follows the keyword.
    pub(crate) fn values(&self) -> &[Word] {
        &self.words[1..]
    }

    /// From the keyword to the last value.
    pub(crate) fn span(&self) -> Span {
        self.words[0].span.to(self.words[self.words.len() - 1].span)
    }
}

/// The statements of a whole configuration.
pub(crate) fn parse(tokens: Vec<Token>, reports: &mut Reports) -> Vec<Statement> {
    let mut parser = Parser { reports, open: Vec::new(), root: Vec::new(), words: Vec::new(), line_ended: false };
    for token in tokens {
        match token {
            Token::Word(word) => parser.word(word),
            Token::End => parser.line_ended = true,
            Token::Open(span) => parser.open(span),
            Token::Close(span) => parser.close(span),
        }
    }
    parser.finish()
}

/// A block whose end has not come yet.
struct Open {
    block: Block,
    words: Vec<Word>,
    body: Vec<Statement>,
}

struct Parser<'a> {
    reports: &'a mut Reports,
    open: Vec<Open>,
    root: Vec<Statement>,
    /// The statement being read. A `{` on the next line still belongs to it.
    words: Vec<Word>,
    line_ended: bool,
}

impl Parser<'_> {
    fn block(&self) -> Block {
        self.open.last().map_or(Block::Root, |open| open.block)
    }

    fn word(&mut self, word: Word) {
        if self.line_ended {
            self.end_statement();
        }
        self.words.push(word);
    }

    /// Ends the statement that has no block of its own.
    fn end_statement(&mut self) {
        self.line_ended = false;
        let words = std::mem::take(&mut self.words);
        let Some(keyword) = words.first() else { return };
        match keywords::find(self.block(), &keyword.text).and_then(|found| found.opens()) {
            Some(block) => {
                let message = format!("`{}` has no block", keyword.text);
                self.reports.error(keyword.span, message, "expected `{` after it");
                self.push(block, words);
            }
            None => self.add(Statement { words, body: None }),
        }
    }

    fn add(&mut self, statement: Statement) {
        self.open.last_mut().map_or(&mut self.root, |open| &mut open.body).push(statement);
    }

    fn push(&mut self, block: Block, words: Vec<Word>) {
        self.open.push(Open { block, words, body: Vec::new() });
    }

    fn open(&mut self, brace: Span) {
        self.line_ended = false;
        let words = std::mem::take(&mut self.words);
        if self.open.len() >= limits::BLOCKS {
            self.reports.error(brace, format!("blocks are nested more than {} deep", limits::BLOCKS), "");
            return;
        }
        let Some(keyword) = words.first() else {
            self.reports.error(brace, "`{` without a keyword before it", "");
            return self.push(Block::Unknown, words);
        };
        let found = keywords::find(self.block(), &keyword.text);
        let block = match found {
            Some(found) => found.opens(),
            None => self.leave_unclosed(keyword),
        };
        if block.is_none() && (found.is_some() || self.block() == Block::Lines) {
            let message = format!("`{}` opens no block", keyword.text);
            self.reports.error(brace, message, "each keyword needs a line of its own");
        }
        self.push(block.unwrap_or(Block::Unknown), words);
    }

    /// A block that can only stand further out: the blocks up to there have lost their `}`.
    fn leave_unclosed(&mut self, keyword: &Word) -> Option<Block> {
        let outer = |depth: usize| depth.checked_sub(1).map_or(Block::Root, |at| self.open[at].block);
        let opens = |depth| keywords::find(outer(depth), &keyword.text).and_then(|found| found.opens());
        let (depth, block) = (0..self.open.len()).rev().find_map(|depth| Some((depth, opens(depth)?)))?;
        let unclosed = &self.open[depth].words;
        let inside = unclosed.first().map_or("{", |word| &word.text);
        let line = unclosed.first().map_or(keyword.span.line, |word| word.span.line);
        let message = format!("`{}` cannot stand in `{inside}`", keyword.text);
        self.reports.error(keyword.span, message, format!("is the `}}` of line {line} missing before it?"));
        while self.open.len() > depth {
            self.pop();
        }
        Some(block)
    }

    fn close(&mut self, brace: Span) {
        self.end_statement();
        if self.open.is_empty() {
            self.reports.error(brace, "`}` closes nothing", "there are more `}` than `{`");
        } else {
            self.pop();
        }
    }

    fn pop(&mut self) {
        let Some(Open { words, body, .. }) = self.open.pop() else { return };
        if !words.is_empty() {
            self.add(Statement { words, body: Some(body) });
        }
    }

    fn finish(mut self) -> Vec<Statement> {
        self.end_statement();
        while let Some(open) = self.open.last() {
            if let Some(keyword) = open.words.first() {
                let message = format!("the block of `{}` is not closed", keyword.text);
                self.reports.error(keyword.span, message, "there are fewer `}` than `{`");
            }
            self.pop();
        }
        self.root
    }
}
