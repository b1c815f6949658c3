//! Which programs run, and as whom. Needs root, as most of it is about that.

use std::fs;

use tempfile::TempDir;

use super::*;

fn programs(secure: bool) -> Programs {
    Programs { user: Some(User { name: "root".to_owned(), group: None }), secure }
}

fn is_root() -> bool {
    let root = own_ids().0 == 0;
    if !root {
        println!("skipped: only root can give files away");
    }
    root
}

/// A file with this mode, in a folder with that one, below a folder that only root may write.
fn script(folder: u32, file: u32) -> (TempDir, PathBuf) {
    let directory = tempfile::Builder::new().prefix("ringmaster-").tempdir_in("/root").unwrap();
    let (inner, path) = (directory.path().join("inner"), directory.path().join("inner/script"));
    fs::create_dir(&inner).unwrap();
    fs::write(&path, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&inner, fs::Permissions::from_mode(folder)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(file)).unwrap();
    (directory, path)
}

#[test]
fn nothing_runs_as_root_that_others_may_write() {
    if !is_root() {
        return;
    }
    // Modes of folder and file; whether it runs with and without security.
    for (folder, file, secure, plain) in [
        (0o755, 0o755, true, true),
        (0o755, 0o775, true, true),
        (0o755, 0o757, false, true),
        (0o777, 0o755, false, true),
        (0o1777, 0o755, false, true),
        (0o755, 0o644, false, false),
    ] {
        let (_kept, path) = script(folder, file);
        let program = Program::parse(path.to_str().unwrap()).unwrap();
        assert_eq!(programs(true).ready(&program).is_ok(), secure, "{folder:o} {file:o}");
        assert_eq!(programs(false).ready(&program).is_ok(), plain, "{folder:o} {file:o}");
        let user = Some(User { name: "nobody".to_owned(), group: None });
        let harmless = programs(true).ready(&Program { user, ..program });
        assert_eq!(harmless.is_ok(), plain, "another than root: {harmless:?}");
    }
}

#[test]
fn a_file_of_another_user_or_a_group_that_writes_is_not_safe() {
    if !is_root() {
        return;
    }
    for (uid, gid, mode, safe) in
        [(0, 0, 0o775, true), (0, 65534, 0o775, false), (0, 65534, 0o755, true), (65534, 0, 0o755, false)]
    {
        let (_kept, path) = script(0o755, mode);
        std::os::unix::fs::chown(&path, Some(uid), Some(gid)).unwrap();
        assert_eq!(only_root_writes(&path).is_ok(), safe, "{uid} {gid} {mode:o}");
    }
}

#[test]
fn the_path_of_a_link_is_that_of_its_target() {
    if !is_root() {
        return;
    }
    let (_kept, target) = script(0o777, 0o755);
    let (_also, safe) = script(0o755, 0o755);
    let link = safe.with_file_name("link");
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let refusal = only_root_writes(&link).unwrap_err();
    let part = target.parent().unwrap().to_owned();
    assert_eq!(refusal, Refusal::Writable { part, owner: 0, mode: 0o777 });
}

#[test]
fn what_cannot_run_says_why() {
    let ready = |line: &str, user: Option<(&str, Option<&str>)>| {
        let user = user.map(|(name, group)| User { name: name.to_owned(), group: group.map(str::to_owned) });
        programs(false).ready(&Program { user, ..Program::parse(line).unwrap() })
    };
    let text = |line, user| ready(line, user).map(|ready| ready.path).map_err(|refusal| refusal.to_string());
    let cases = [
        ("/no/such/file x", None, Err("there is no /no/such/file")),
        ("no-such-program", None, Err("there is no no-such-program")),
        ("/etc/passwd", None, Err("/etc/passwd may not be executed")),
        ("/bin", None, Err("there is no /bin")),
        ("/bin/true", Some(("no-such-user", None)), Err("there is no user no-such-user")),
        ("/bin/true", Some(("root", Some("no-such-group"))), Err("there is no group no-such-group")),
        ("/bin/true", Some(("nobody", Some("root"))), Ok("/bin/true")),
        ("</dev/tcp/127.0.0.1/80", None, Ok(SHELL)),
    ];
    for (line, user, expected) in cases {
        let expected = expected.map(PathBuf::from).map_err(str::to_owned);
        assert_eq!(text(line, user), expected, "{line}");
    }
    let found = ready("true", None).unwrap().path;
    assert!(found.is_absolute() && found.ends_with("true"), "{found:?}");
}
