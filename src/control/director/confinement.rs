//! The rights that a director goes on with once everything is open.
//!
//! | thread | user | capabilities | system calls |
//! | --- | --- | --- | --- |
//! | workers | `user` | none | [`Filter::for_workers`] |
//! | all others | `user` | those of `KEPT` that it was started with | [`Filter::for_directors`] |
//!
//! What needs more is asked of the [`helper`](crate::control::helper). Threads share their memory: whoever takes over a worker
//! may reach out for another thread, so the second row is what bounds the process, and the first what is in the way.

use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities};

use super::DirectorError;
use crate::config::model::Settings;
use crate::sys::privileges::{Ids, shed};
use crate::sys::seccomp::Filter;
use crate::sys::users;

/// Addresses, routes and neighbours; adverts and probes; the steering program's maps (before Linux 5.19 they need it);
/// elections before everything else; checks from a port below 1024 (`bind_port`).
const KEPT: CapabilitySet = CapabilitySet::NET_ADMIN
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::BPF)
    .union(CapabilitySet::SYS_NICE)
    .union(CapabilitySet::NET_BIND_SERVICE);

/// Whom a director runs as if the configuration does not say: the first of them that exists.
const USERS: [&str; 2] = ["ringmaster", "nobody"];

/// See the module documentation.
#[derive(Debug)]
pub struct Confinement {
    /// `None`: whoever it was started as.
    user: Option<(String, Ids)>,
    director: Filter,
    worker: Filter,
}

impl Confinement {
    /// As configured; `None` if all rights are kept.
    pub fn of(settings: &Settings) -> Result<Option<Self>, DirectorError> {
        if settings.keep_privileges {
            return Ok(None);
        }
        let user = match &settings.user {
            Some(name) => Some(named(name).ok_or_else(|| DirectorError::NoUser(name.clone()))?),
            // Who was not root to begin with, or may not become another, stays who that is.
            None if !geteuid().is_root() || !may_change_user() => None,
            None => {
                let found = USERS.iter().find_map(|name| named(name));
                Some(found.ok_or_else(|| DirectorError::NoUser(USERS.join(" or ")))?)
            }
        };
        let director = Filter::for_directors().map_err(DirectorError::Confinement)?;
        let worker = Filter::for_workers().map_err(DirectorError::Confinement)?;
        Ok(Some(Self { user, director, worker }))
    }

    /// Puts the calling thread, and all that it starts, under the rules of all but workers. Gives what is left, in words.
    pub fn enter(&self) -> Result<String, DirectorError> {
        let left = shed(self.ids(), KEPT).map_err(DirectorError::Confinement)?;
        self.director.put_on().map_err(DirectorError::Confinement)?;
        let names: Vec<_> = left.iter_names().map(|(name, _)| name).collect();
        let (user, names) = (self.user.as_ref().map_or("whoever started it", |(name, _)| name), names.join(", "));
        Ok(format!("goes on as {user} with {names}; workers with nothing"))
    }

    /// Puts the calling thread under the rules of workers. One that cannot be must not go on.
    pub fn enter_as_worker(&self) {
        let confined = shed(self.ids(), CapabilitySet::empty()).and_then(|_| self.worker.put_on());
        confined.unwrap_or_else(|error| panic!("a worker cannot give up its rights: {error}"));
    }

    fn ids(&self) -> Option<Ids> {
        self.user.as_ref().map(|(_, ids)| *ids)
    }
}

fn may_change_user() -> bool {
    let needed = CapabilitySet::SETUID | CapabilitySet::SETGID;
    // A kernel that does not say will say so when it refuses.
    capabilities(None).map_or(true, |sets| sets.effective.contains(needed))
}

fn named(name: &str) -> Option<(String, Ids)> {
    let (uid, gid) = users::user(name).ok().flatten()?;
    Some((name.to_owned(), Ids { uid, gid }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_looked_for() {
        let settings = |user: &str| Settings { user: Some(user.to_owned()), ..Settings::default() };
        let refused = Confinement::of(&settings("no-such-user-here")).unwrap_err().to_string();
        assert!(refused.contains("no user no-such-user-here"), "{refused}");
        let root = Confinement::of(&settings("root")).unwrap().unwrap();
        assert_eq!(root.ids(), Some(Ids { uid: 0, gid: 0 }));
        assert!(Confinement::of(&Settings { keep_privileges: true, ..settings("none") }).unwrap().is_none());
    }
}
