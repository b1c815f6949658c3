//! The configuration that outlives a director: what the last one had read, for one that follows a death.
//!
//! A death is no reason to read the files anew: whoever edits them wants a reload, an upgrade or a restart to tell what it
//! thinks of them, and nobody there to read it when a director has just died. So a successor goes on with what ran, and says
//! so if the files have changed meanwhile, or do not load any more.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::config::{Config, Reading};
use crate::supervisor::{CONFIGURATION, Channel, Letter, Message};
use crate::sys::memfd;

/// The supervisor has sent it before it started this process.
const PATIENCE: Duration = Duration::from_secs(1);
/// Tens of thousands of services are shorter.
const LONGEST: usize = 256 << 20;

/// A configuration that was read, and written down for the next director.
#[derive(Debug)]
pub struct Written {
    /// The configuration.
    pub config: Config,
    /// The words that it was made of.
    pub reading: Reading,
    /// The words once more, in a file that nobody can change. It was made by a process with all rights, or the supervisor would
    /// not hold it: it names programs that may run as root.
    pub file: OwnedFd,
}

/// What a director begins with.
#[derive(Debug)]
pub struct Given {
    /// The configuration.
    pub written: Written,
    /// Whether it is the last director's, and not that of the files.
    pub goes_on: bool,
}

impl Written {
    /// Writes down what was read. To be called while this process has all its rights.
    pub fn new(config: Config, reading: Reading) -> io::Result<Self> {
        let file = memfd::finished("ringmaster-configuration", &serde_json::to_vec(&reading)?)?;
        Ok(Self { config, reading, file })
    }

    /// What another process has written down; an error of kind `InvalidData` if it means nothing to this version.
    pub(super) fn read(file: OwnedFd) -> io::Result<Self> {
        let reading: Reading = serde_json::from_slice(&memfd::read(&file, LONGEST)?)?;
        let config = reading.clone().config().ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { config, reading, file })
    }
}

/// What the last director had read, which is the first thing that the supervisor says.
pub fn kept(supervisor: &Channel) -> io::Result<Written> {
    match supervisor.wait(PATIENCE)? {
        Some(Letter { message: Message::Hold(name), thing: Some(file), .. }) if name == CONFIGURATION => {
            Written::read(file)
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::AsFd;

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;
    use crate::config::LoadOptions;

    #[test]
    fn what_one_has_read_the_next_one_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keepalived.conf");
        std::fs::write(&path, "virtual_server 192.0.2.1 80 {\nlb_algo wlc\nlb_kind NAT\nprotocol TCP\n}\n").unwrap();
        let (loaded, reading) = Reading::load(&path, &LoadOptions::default()).unwrap();
        let (ours, theirs) = Channel::pair().unwrap();
        let held = Written::new(loaded.config, reading).unwrap();
        for _ in 0..2 {
            ours.send(&Message::Hold(CONFIGURATION.to_owned()), Some(held.file.as_fd())).unwrap();
            let kept = kept(&theirs).unwrap();
            assert_eq!((&kept.config, &kept.reading), (&held.config, &held.reading), "as often as it is asked for");
        }
        for (name, text) in [(CONFIGURATION, "{}"), ("table", "")] {
            let mut other = File::from(memfd_create("test", MemfdFlags::CLOEXEC).unwrap());
            other.write_all(text.as_bytes()).unwrap();
            ours.send(&Message::Hold(name.to_owned()), Some(other.as_fd())).unwrap();
            assert!(kept(&theirs).is_err(), "{name}");
        }
    }
}
