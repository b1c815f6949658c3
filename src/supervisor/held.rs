//! What is held, by name, and what the service manager is to hold beside it.
//!
//! A service manager that keeps descriptors (`FDSTORE=1` of sd_notify(3)) has a copy of each, so that the next supervisor finds
//! them even if everybody here has died. It keeps what has the same name side by side; so what has changed is taken out and
//! put in again, whenever it has time to listen.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::trust;
use crate::sys::clock;
use crate::sys::service_manager::Manager;

/// The longest name that it takes.
const LONGEST_NAME: usize = 255;
/// How long it may take to read all that it was told.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it is left alone when it has too much to read.
const BREATH: Duration = Duration::from_millis(1);

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Held {
    things: BTreeMap<String, OwnedFd>,
    manager: Option<Manager>,
    /// Names that the service manager does not know the latest of.
    news: BTreeSet<String>,
}

impl Held {
    /// These things, with the service manager of this process if it has one. What there is a doubt about is left out.
    pub(super) fn new(mut things: BTreeMap<String, OwnedFd>) -> Self {
        things.retain(|name, thing| {
            let doubt = trust::doubt(name, thing);
            doubt.into_iter().for_each(|why| tracing::error!("what was held as {name} is not any more: {why}"));
            doubt.is_none()
        });
        let news = things.keys().cloned().collect();
        Self { things, manager: Manager::of_environment(), news }
    }

    /// Whether somebody would hold it all if everybody here were gone.
    pub(super) fn has_store(&self) -> bool {
        self.manager.is_some()
    }

    pub(super) fn put(&mut self, name: String, thing: OwnedFd) {
        self.news.insert(name.clone());
        self.things.insert(name, thing);
    }

    pub(super) fn take(&mut self, name: &str) -> Option<OwnedFd> {
        let thing = self.things.remove(name)?;
        self.news.insert(name.to_owned());
        Some(thing)
    }

    pub(super) fn get(&self, name: &str) -> Option<&OwnedFd> {
        self.things.get(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &OwnedFd)> {
        self.things.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.things.is_empty()
    }

    /// Lets go of all that is not wanted.
    pub(super) fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.news.extend(self.things.keys().filter(|name| !wanted(name)).cloned());
        self.things.retain(|name, _| wanted(name));
    }

    /// Tells the service manager something else. If it does not listen now, it is not told.
    pub(super) fn say(&self, lines: &str) {
        let _ = self.manager.as_ref().map(|manager| manager.tell(lines, None));
    }

    /// Tells the service manager what has changed, as far as it listens.
    pub(super) fn store(&mut self) {
        let Self { things, manager: Some(manager), news } = self else { return self.news.clear() };
        while let Some(name) = news.first() {
            match tell(manager, name, things.get(name)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // What it cannot be told at all is not told again.
                Ok(()) | Err(_) => _ = news.pop_first(),
            }
        }
    }

    /// The same, and waits until it has taken it in.
    pub(super) fn store_all(&mut self) -> io::Result<()> {
        let deadline = clock::now() + PATIENCE;
        self.store();
        while !self.news.is_empty() && clock::now() < deadline {
            std::thread::sleep(BREATH);
            self.store();
        }
        match &self.manager {
            Some(manager) => manager.wait(deadline.saturating_sub(clock::now())),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

fn tell(manager: &Manager, name: &str, thing: Option<&OwnedFd>) -> io::Result<()> {
    // What else is said stands on other lines.
    let fits = |character: char| character.is_ascii() && !character.is_ascii_control() && character != ':';
    if !name.chars().all(fits) || name.len() > LONGEST_NAME {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    manager.tell(&format!("FDSTOREREMOVE=1\nFDNAME={name}"), None)?;
    match thing {
        // A descriptor on which an error waits is nothing to be thrown away for.
        Some(thing) => manager.tell(&format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0"), Some(thing.as_fd())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::*;
    use crate::supervisor::{BEFORE, CONFIGURATION};

    #[test]
    fn what_has_changed_is_told_once_and_nothing_else() {
        let name = format!("ringmaster-held-{}", std::process::id());
        let listener = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        listener.set_nonblocking(true).unwrap();
        let heard = || {
            let mut bytes = [0; 256];
            let text = listener.recv(&mut bytes).map(|length| String::from_utf8_lossy(&bytes[..length]).into_owned());
            text.ok().map(|text| text.replace('\n', " "))
        };
        let thing = || OwnedFd::from(tempfile::tempfile().unwrap());
        let mut held = Held::new([("table".to_owned(), thing())].into());
        held.manager = Manager::at(&format!("@{name}"));
        held.put("x\nMAINPID=1".to_owned(), thing());
        held.put("y:z".to_owned(), thing());
        held.store();
        let all: Vec<_> = std::iter::from_fn(heard).collect();
        assert_eq!(all, ["FDSTOREREMOVE=1 FDNAME=table", "FDSTORE=1 FDNAME=table FDPOLL=0"]);
        held.store();
        assert_eq!(heard(), None, "there is no news");
        held.retain(|name| name != "table");
        held.store();
        assert_eq!(heard().as_deref(), Some("FDSTOREREMOVE=1 FDNAME=table"));
        assert!(held.get("y:z").is_some() && heard().is_none());
    }

    #[test]
    fn a_configuration_that_anybody_could_have_written_is_not_believed() {
        let things =
            [CONFIGURATION, BEFORE, "table"].map(|name| (name.to_owned(), tempfile::tempfile().unwrap().into()));
        let held = Held::new(things.into());
        assert_eq!(held.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["table"]);
    }
}
