//! `keepalived.conf` to validated values, or to a list of problems.
//!
//! [`model`] holds what a valid configuration means; nothing in it can fail to run for a reason that the text alone
//! shows. Every problem of a file is reported at once, with its place and a hint.
//!
//! Text becomes words, words become statements (`text`), statements are checked against one table of [`keywords`] and
//! put together (`build`). Three rules decide how grave a problem is:
//!
//! - What cannot be run as it is written is an *error*, and nothing is loaded: wrong values, lost braces, and keywords
//!   that would change where packets go but are not done yet.
//! - What keepalived complains about and goes on is a *warning*: unknown, removed and repeated keywords, wrong values of
//!   keywords that have no effect here.
//! - What is fine but does less than a reader may think is a *note*.

mod build;
pub mod keywords;
pub mod model;
mod paths;
mod problem;
mod reading;
mod reference;
mod render;
mod synchronisation;
mod text;
mod virtual_mac;

pub use model::Config;
pub use problem::{Level, Place, Problem, Problems};
pub use reading::Reading;
pub use reference::reference;
pub use render::{Style, render, summary};

use std::path::Path;

use text::{Reports, Sources};

/// What the reading of a configuration depends on besides its text.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Which `@id` lines hold; with none only `@^id` lines do.
    pub config_id: Option<String>,
}

/// A valid configuration and what was noticed about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings and notes.
    pub problems: Problems,
}

/// Reads the file and those that it includes. All or nothing: with one error there is no configuration.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Loaded, Problems> {
    Reading::load(path, options).map(|(loaded, _)| loaded)
}

/// Reads a text as if it stood in the file `name`, with no `@id` set.
pub fn parse_str(name: &str, text: &str) -> Result<Loaded, Problems> {
    parse(name, text, &LoadOptions::default())
}

fn parse(name: &str, text: &str, options: &LoadOptions) -> Result<Loaded, Problems> {
    let mut sources = Sources::default();
    let mut reports = Reports::default();
    let tokens = text::read(name, text, options, &mut sources, &mut reports);
    let statements = text::parse(tokens, &mut reports);
    let config = build::build(&statements, &mut reports);
    let failed = reports.failed();
    let problems = reports.finish(&sources);
    if failed { Err(problems) } else { Ok(Loaded { config, problems }) }
}

#[cfg(test)]
mod tests;
