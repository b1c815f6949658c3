//! Users and groups by their names, wherever the system keeps them (passwd(5), LDAP and so on).

#![expect(unsafe_code, reason = "the C library's databases have no safe wrapper")]

use std::ffi::{CString, c_char, c_int};
use std::io;

/// Room for the strings of an entry; groups with many members need more.
const ROOM: usize = 1 << 12;
/// No entry is as large as that.
const MOST: usize = 1 << 20;

/// A user's id and the id of its group.
pub fn user(name: &str) -> io::Result<Option<(u32, u32)>> {
    look(name, |name, buffer| {
        // SAFETY: all zeros is a valid value: null pointers and numbers.
        let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
        let mut found = std::ptr::null_mut();
        let (text, room) = (buffer.as_mut_ptr(), buffer.len());
        // SAFETY: all pointers live through the call, and `room` is the buffer's length.
        let code = unsafe { libc::getpwnam_r(name, &raw mut entry, text, room, &raw mut found) };
        (code, (!found.is_null()).then_some((entry.pw_uid, entry.pw_gid)))
    })
}

/// A group's id.
pub fn group(name: &str) -> io::Result<Option<u32>> {
    look(name, |name, buffer| {
        // SAFETY: all zeros is a valid value: null pointers and numbers.
        let mut entry: libc::group = unsafe { std::mem::zeroed() };
        let mut found = std::ptr::null_mut();
        let (text, room) = (buffer.as_mut_ptr(), buffer.len());
        // SAFETY: all pointers live through the call, and `room` is the buffer's length.
        let code = unsafe { libc::getgrnam_r(name, &raw mut entry, text, room, &raw mut found) };
        (code, (!found.is_null()).then_some(entry.gr_gid))
    })
}

/// Asks with more room for as long as that is what is missing.
fn look<T>(name: &str, ask: impl Fn(*const c_char, &mut [c_char]) -> (c_int, Option<T>)) -> io::Result<Option<T>> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    let mut buffer = vec![0; ROOM];
    loop {
        match ask(name.as_ptr(), &mut buffer) {
            (0, found) => return Ok(found),
            (libc::ERANGE, _) if buffer.len() < MOST => buffer.resize(buffer.len() * 4, 0),
            // getpwnam(3): what some libraries say of a name that they do not know.
            (libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM, _) => return Ok(None),
            (libc::EINTR, _) => {}
            (code, _) => return Err(io::Error::from_raw_os_error(code)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_and_nobody_else_of_that_kind() {
        assert_eq!(user("root").unwrap(), Some((0, 0)));
        assert_eq!(group("root").unwrap(), Some(0));
        for name in ["no-such-user-here", "", "with\0zero"] {
            assert_eq!(user(name).unwrap(), None, "{name:?}");
            assert_eq!(group(name).unwrap(), None, "{name:?}");
        }
    }
}
