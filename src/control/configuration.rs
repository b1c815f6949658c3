//! The configuration that outlives a director: what the last one had read, for one that follows a death.
//!
//! A death is no reason to read the files anew: whoever edits them wants a reload, an upgrade or a restart to tell what it
//! thinks of them, and nobody there to read it when a director has just died. So a successor goes on with what ran, and says
//! so if the files have changed meanwhile, or do not load any more.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};

use crate::config::{Config, Reading};
use crate::supervisor::{CONFIGURATION, Channel, Letter, Message};

/// The supervisor has sent it before it started this process.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a director begins with.
#[derive(Debug)]
pub struct Given {
    /// The configuration.
    pub config: Config,
    /// The words that it was made of.
    pub reading: Reading,
    /// Whether these are the last director's, and not those of the files.
    pub goes_on: bool,
}

/// What the last director had read, which is the first thing that the supervisor says.
pub fn kept(supervisor: &Channel) -> io::Result<(Config, Reading)> {
    let file = match supervisor.wait(PATIENCE)? {
        Some(Letter { message: Message::Hold(name), thing: Some(file), .. }) if name == CONFIGURATION => {
            File::from(file)
        }
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    let mut text = vec![0; usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?];
    // Whoever else has this file reads it too, at the same place.
    file.read_exact_at(&mut text, 0)?;
    let reading: Reading = serde_json::from_slice(&text)?;
    let config = reading.clone().config().ok_or(io::ErrorKind::InvalidData)?;
    Ok((config, reading))
}

/// A file with these words, to be held.
pub(super) fn file(reading: &Reading) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("ringmaster-configuration", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(reading)?)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::config::LoadOptions;

    #[test]
    fn what_one_has_read_the_next_one_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keepalived.conf");
        std::fs::write(&path, "virtual_server 192.0.2.1 80 {\nlb_algo wlc\nlb_kind NAT\nprotocol TCP\n}\n").unwrap();
        let (loaded, reading) = Reading::load(&path, &LoadOptions::default()).unwrap();
        let (ours, theirs) = Channel::pair().unwrap();
        let held = file(&reading).unwrap();
        for _ in 0..2 {
            ours.send(&Message::Hold(CONFIGURATION.to_owned()), Some(held.as_fd())).unwrap();
            assert_eq!(kept(&theirs).unwrap(), (loaded.config.clone(), reading.clone()), "as often as it is asked for");
        }
        for (name, text) in [(CONFIGURATION, "{}"), ("table", "")] {
            let mut other = File::from(memfd_create("test", MemfdFlags::CLOEXEC).unwrap());
            other.write_all(text.as_bytes()).unwrap();
            ours.send(&Message::Hold(name.to_owned()), Some(other.as_fd())).unwrap();
            assert!(kept(&theirs).is_err(), "{name}");
        }
    }
}
