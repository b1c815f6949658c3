//! Two hosts joined by a cable.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::director::Director;
use crate::support::keepalived::Keepalived;
use crate::support::netns::{self, Namespace, veth};

/// The network of one test: `192.0.2.1` and `192.0.2.2`, `2001:db8::1` and `2001:db8::2`.
pub(crate) struct Lab {
    pub(crate) hosts: [Namespace; 2],
    directory: TempDir,
}

/// A program under test.
pub(crate) enum Program {
    Ours(Director),
    Keepalived(Keepalived),
}

impl Lab {
    /// `None` if namespaces cannot be had here; says so.
    pub(crate) fn new() -> Option<Self> {
        if !netns::available() {
            return None;
        }
        // Scripts run as root from there, so nobody else may write on the way to it.
        let directory = tempfile::Builder::new().prefix("ringmaster-track-").tempdir_in("/var/lib");
        let directory = directory.expect("root may write there");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let hosts = ["a", "b"].map(Namespace::new);
        veth((&hosts[0], "eth0", "192.0.2.1/24"), (&hosts[1], "eth0", "192.0.2.2/24"), 1);
        for (number, host) in hosts.iter().enumerate() {
            host.exec(&format!("ip address add 2001:db8::{}/64 dev eth0 nodad", number + 1));
        }
        Some(Self { hosts, directory })
    }

    /// A file of the test.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What `file` holds; nothing, if it is not there.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// Writes a file that may be executed.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("the directory is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        path
    }

    /// A folder for one program's files.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        let place = self.file(name);
        fs::create_dir_all(&place).expect("the directory is writable");
        place
    }

    /// Starts our director on a host.
    pub(crate) fn ours(&self, host: usize, config: &str) -> Director {
        let config = format!("{config}\nringmaster {{\n interfaces eth0\n}}\n");
        Director::start_electing(&self.hosts[host], &self.place(&format!("ours-{host}")), &config)
    }

    /// Starts keepalived on a host.
    pub(crate) fn keepalived(&self, host: usize, config: &str) -> Keepalived {
        Keepalived::start(&self.hosts[host], &self.place(&format!("keepalived-{host}")), config)
    }
}

/// Makes a file, or takes it away.
pub(crate) fn toggle(path: &Path, there: bool) {
    if there {
        fs::write(path, "").expect("the directory is writable");
    } else {
        fs::remove_file(path).expect("it was there");
    }
}
