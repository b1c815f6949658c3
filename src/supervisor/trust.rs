//! What a director is believed. It runs without most of its rights, and may have been taken over by somebody; the next one
//! begins with all rights, and with what was held. So what a configuration says, which names programs to be run as root, and
//! which program is to be the next director must come from those who have all rights.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use memchr::memmem;
use rustix::process::{getegid, geteuid};

use super::history::DEATHS;
use super::{BEFORE, CONFIGURATION};
use crate::sys::memfd;

/// Says of a thing that is to be held why it is not; a director that has given up its rights can make no file that belongs to
/// the supervisor's user, and nobody can change one that is sealed.
pub(super) fn doubt(name: &str, thing: &OwnedFd) -> Option<&'static str> {
    ([CONFIGURATION, BEFORE, DEATHS].contains(&name) && !memfd::is_final(thing))
        .then_some("it was not made by somebody with all rights")
}

/// Stands in every Ringmaster, as it stands in this one.
const MARK: &[u8] = b"this program is a director, and its supervisor: Ringmaster";

/// A program is read in parts of so many bytes, and no longer one at all.
const PART: usize = 1 << 20;
const LONGEST: u64 = 1 << 30;

/// Refuses a program that is no Ringmaster, or that somebody else than the supervisor's user, or root, may have written. Whoever
/// has taken a director over may name any file; most programs of root would do something else with the arguments of this one.
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
    let is_ours = file.mode() & 0o111 != 0 && has_mark(program)?;
    if is_ours { Ok(()) } else { Err(io::Error::other("it is no program of Ringmaster")) }
}

/// Reads a part of the file at a time: the supervisor's memory is locked.
fn has_mark(program: &File) -> io::Result<bool> {
    let mut part = vec![0; PART + MARK.len()];
    for at in (0..LONGEST).step_by(PART) {
        let read = program.read_at(&mut part, at)?;
        if memmem::find(&part[..read], MARK).is_some() {
            return Ok(true);
        }
        if read < part.len() {
            break;
        }
    }
    Ok(false)
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
            std::fs::write(&path, MARK).unwrap();
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
            (0o644, (0, 0), false),
        ] {
            assert_eq!(checked(mode, owner), trusted, "{mode:o} {owner:?}");
        }
        assert!(check_program(&File::open("/").unwrap()).is_err());
    }

    #[test]
    fn a_program_of_root_that_is_none_of_ours_is_refused() {
        let checked = |path: &std::path::Path| check_program(&File::open(path).unwrap());
        assert!(checked("/usr/bin/env".as_ref()).unwrap_err().to_string().contains("no program of Ringmaster"));
        // This very test has it, as every build has.
        assert!(has_mark(&File::open("/proc/self/exe").unwrap()).unwrap());
        let file = tempfile::tempfile().unwrap();
        for at in [0, 1, PART - MARK.len() - 1, PART - 7, PART - 1, PART, 3 * PART - 7] {
            file.set_len(0).unwrap();
            file.write_all_at(MARK, at as u64).unwrap();
            assert!(has_mark(&file).unwrap(), "at {at}");
            file.write_all_at(b"*", (at + 5) as u64).unwrap();
            assert!(!has_mark(&file).unwrap());
        }
    }
}
