//! Where a replay's results go: a capture file, and lines on standard output.

use std::fs::File;
use std::io::{self, BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

use super::engine::{ReplayError, Sink};
use super::report::Outcome;
use crate::io::pcap::{Resolution, Sent, Writer};

/// The files behind the options `--write` and `--verdicts`; either may be missing.
pub(super) struct Output {
    capture: Option<(PathBuf, Writer<BufWriter<File>>)>,
    listing: Option<BufWriter<Stdout>>,
}

impl Output {
    /// Creates the capture file at `path` and writes its header.
    pub(super) fn create(path: Option<&Path>, resolution: Resolution, verdicts: bool) -> Result<Self, ReplayError> {
        let capture = match path {
            Some(path) => {
                let writer = File::create(path).and_then(|file| Writer::new(BufWriter::new(file), resolution));
                Some((path.to_owned(), writer.map_err(|error| naming(path, error))?))
            }
            None => None,
        };
        Ok(Self { capture, listing: verdicts.then(|| BufWriter::new(io::stdout())) })
    }

    /// Writes what is still held back.
    pub(super) fn finish(self) -> Result<(), ReplayError> {
        if let Some((path, writer)) = self.capture {
            writer.finish().map_err(|error| naming(&path, error))?;
        }
        if let Some(mut listing) = self.listing {
            unless_gone(listing.flush())?;
        }
        Ok(())
    }
}

impl Sink for Output {
    fn sent(&mut self, sent: Sent<'_>) -> io::Result<()> {
        match &mut self.capture {
            Some((path, writer)) => writer.write(sent.time, sent.frame).map_err(|error| naming(path, error)),
            None => Ok(()),
        }
    }

    fn outcome(&mut self, outcome: &Outcome) -> io::Result<()> {
        match &mut self.listing {
            Some(listing) => unless_gone(writeln!(listing, "{outcome}")),
            None => Ok(()),
        }
    }
}

fn naming(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A reader of the listing that went away (`| head`) is no reason to leave the capture unfinished.
fn unless_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
