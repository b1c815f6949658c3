//! Giving up, for good, what a thread may do.
//!
//! Linux keeps user, capabilities and filters for each thread; a new thread begins with those of the one that started it.
//! So a process whose only thread gives something up has given it up as a whole, and each of its threads may give up more.

use std::io;

use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities, set_keep_capabilities,
    set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

/// A user and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The user's.
    pub uid: u32,
    /// The group's.
    pub gid: u32,
}

/// Makes the calling thread another user's, without further groups and with at most these capabilities; without `ids` it
/// stays the user that it is. Nothing that it executes can have more again (prctl(2), `PR_SET_NO_NEW_PRIVS`).
///
/// Gives the capabilities that are left. After an error the thread may be in between: whoever called it must end.
pub fn shed(ids: Option<Ids>, keep: CapabilitySet) -> io::Result<CapabilitySet> {
    if let Some(Ids { uid, gid }) = ids.filter(|ids| geteuid().as_raw() != ids.uid) {
        // Else all capabilities would go with root's id (capabilities(7)).
        set_keep_capabilities(true)?;
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        set_thread_groups(&[])?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
    }
    let left = capabilities(None)?.permitted & keep;
    clear_ambient_capability_set()?;
    set_capabilities(None, CapabilitySets { effective: left, permitted: left, inheritable: CapabilitySet::empty() })?;
    set_no_new_privs(true)?;
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_up_is_gone_and_nobody_else_s() {
        let before = capabilities(None).unwrap();
        let in_a_thread = move || {
            let left = shed(None, CapabilitySet::NET_ADMIN).unwrap();
            assert_eq!(left, before.permitted & CapabilitySet::NET_ADMIN);
            let sets = capabilities(None).unwrap();
            assert_eq!((sets.effective, sets.permitted), (left, left));
            assert!(rustix::thread::no_new_privs().unwrap());
            let all = CapabilitySets { effective: left, permitted: left, inheritable: left };
            let more = CapabilitySets { permitted: CapabilitySet::SYS_ADMIN | left, ..all };
            assert!(set_capabilities(None, more).is_err(), "there is no way back");
            assert_eq!(shed(None, CapabilitySet::empty()).unwrap(), CapabilitySet::empty());
        };
        std::thread::spawn(in_a_thread).join().unwrap();
        assert_eq!(capabilities(None).unwrap(), before, "other threads keep theirs");
    }
}
