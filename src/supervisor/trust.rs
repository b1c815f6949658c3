//! What a director is believed. It runs without most of its rights, and may have been taken over by somebody; the next one
//! begins with all rights, and with what was held. So what a configuration says, which names programs to be run as root, and
//! which program is to be the next director must come from those who have all rights.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use rustix::process::{getegid, geteuid};

use super::{BEFORE, CONFIGURATION};
use crate::sys::memfd;

/// Says of a thing that is to be held why it is not; a director that has given up its rights can make no file that belongs to
/// the supervisor's user, and nobody can change one that is sealed.
pub(super) fn doubt(name: &str, thing: &OwnedFd) -> Option<&'static str> {
    ([CONFIGURATION, BEFORE].contains(&name) && !memfd::is_final(thing))
        .then_some("it was not read by somebody with all rights")
}

/// Refuses a program that somebody else than the supervisor's user, or root, may have written.
pub(super) fn check_program(program: &File) -> io::Result<()> {
    let file = program.metadata()?;
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let by_group = file.mode() & 0o020 != 0 && file.gid() != 0 && file.gid() != group;
    if !file.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if (file.uid() != 0 && file.uid() != user) || by_group || file.mode() & 0o002 != 0 {
        return Err(io::Error::other(
            "others than root may write to it (chown root and chmod go-w), and it would be run with all rights",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    #[test]
    fn a_program_that_others_may_write_is_refused() {
        if !geteuid().is_root() {
            return println!("skipped: only root can give files away");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        let checked = |mode: u32, (user, group): (u32, u32)| {
            std::fs::write(&path, "").unwrap();
            chown(&path, Some(user), Some(group)).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            check_program(&File::open(&path).unwrap()).is_ok()
        };
        for (mode, owner, trusted) in [
            (0o755, (0, 0), true),
            (0o775, (0, 0), true),
            (0o757, (0, 0), false),
            (0o755, (65534, 0), false),
            (0o755, (0, 65534), true),
            (0o775, (0, 65534), false),
        ] {
            assert_eq!(checked(mode, owner), trusted, "{mode:o} {owner:?}");
        }
        assert!(check_program(&File::open("/").unwrap()).is_err());
    }
}
