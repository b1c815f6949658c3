//! A real server: one nginx, with its own configuration, prefix and process id; the system's nginx is not touched.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::eventually;
use super::netns::Namespace;

/// An nginx that listens on ports 80 and 8080 of its namespace; dropped, it ends.
#[derive(Debug)]
pub struct Web {
    home: PathBuf,
}

impl Web {
    /// Starts it as `name`, with files below `directory`/name; `directory`/www/files is what it serves as /files.
    pub fn start(host: &Namespace, directory: &Path, name: &str) -> Self {
        let home = directory.join(name);
        if !home.exists() {
            fs::create_dir(&home).expect("the lab's directory is writable");
            fs::write(home.join("nginx.conf"), include_str!("nginx.conf")).expect("as above");
            fs::write(home.join("name.conf"), format!("set $name \"{name}\";\n")).expect("as above");
            symlink(directory.join("www"), home.join("www")).expect("as above");
        }
        let path = home.display();
        host.exec(&format!("nginx -p {path}/ -e {path}/error.log -c {path}/nginx.conf"));
        Self { home }
    }

    fn pid(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.home.join("nginx.pid")).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let Some(pid) = self.pid() else { return };
        let _ = kill_process(pid, Signal::TERM);
        if !std::thread::panicking() {
            eventually("nginx ends", || test_kill_process(pid).is_err());
        }
    }
}
