//! A configuration between its files and its meaning: the words of all files, with nothing left to be read. So one process
//! can read the files and another make sense of them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::text::{self, Reports, Sources, Token};
use super::{Config, LoadOptions, Loaded, Problems, build};

/// The words of a configuration that had no errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading(Vec<Token>);

impl Reading {
    /// As [`load`](super::load), with the words as they were read.
    pub fn load(path: &Path, options: &LoadOptions) -> Result<(Loaded, Self), Problems> {
        let (mut sources, mut reports) = (Sources::default(), Reports::default());
        let text = text::read_file(path).map_err(|message| {
            let mut reports = Reports::default();
            reports.nowhere(message);
            reports.finish(&Sources::default())
        })?;
        let tokens = text::read(&path.to_string_lossy(), &text, options, &mut sources, &mut reports);
        let reading = Self(tokens.clone());
        let config = build::build(&text::parse(tokens, &mut reports), &mut reports);
        let failed = reports.failed();
        let problems = reports.finish(&sources);
        if failed { Err(problems) } else { Ok((Loaded { config, problems }, reading)) }
    }

    /// What it means; `None` if that cannot be run after all (another version has read it).
    pub fn config(self) -> Option<Config> {
        let mut reports = Reports::default();
        let config = build::build(&text::parse(self.0, &mut reports), &mut reports);
        (!reports.failed()).then_some(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_their_files_meant() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        file("service", "virtual_server 192.0.2.1 80 {\nlb_algo $ALGO\nlb_kind NAT\nprotocol TCP\n}\n");
        let path = file("keepalived.conf", "$ALGO=wlc\ninclude service\n");
        let (loaded, reading) = Reading::load(&path, &LoadOptions::default()).unwrap();
        let travelled = serde_json::from_slice::<Reading>(&serde_json::to_vec(&reading).unwrap()).unwrap();
        std::fs::remove_file(folder.path().join("service")).unwrap();
        assert_eq!(travelled.config(), Some(loaded.config));
        assert!(Reading::load(&file("broken", "virtual_server {\n"), &LoadOptions::default()).is_err());
    }
}
