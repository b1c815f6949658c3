//! Debian's keepalived, as a process in a namespace.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::eventually;
use super::netns::Namespace;

/// Whether it is installed. If not, says so in one line: the caller should then return.
pub fn available() -> bool {
    let available = Path::new("/usr/sbin/keepalived").exists();
    if !available {
        println!("skipped: no keepalived here");
    }
    available
}

/// keepalived's own processes go first, as our threads do that hold elections and BFD sessions: else it would be a busy machine
/// that decides about roles.
pub const GOES_FIRST: &str = "global_defs {
    vrrp_rt_priority 1
    vrrp_rlimit_rttime 1000000
    bfd_rt_priority 1
    bfd_rlimit_rttime 1000000
}
";

/// A running keepalived with its children for VRRP and BFD. Dropped, it is asked to end.
pub struct Keepalived {
    child: Child,
    place: PathBuf,
}

impl Keepalived {
    /// Starts it; its files are put into `place`.
    pub fn start(host: &Namespace, place: &Path, config: &str) -> Self {
        let file = |name: &str| place.join(name).display().to_string();
        std::fs::write(file("ka.conf"), format!("{GOES_FIRST}{config}")).expect("the test's directory is writable");
        let pids = ["p", "r", "c", "b"].map(|which| format!("-{which} {}", file(&format!("ka.{which}.pid")))).join(" ");
        let line = format!("keepalived -n -l -D -f {} {pids}", file("ka.conf"));
        let log = std::fs::File::create(place.join("ka.log")).expect("as above");
        let output = Stdio::from(log.try_clone().expect("a file can be shared"));
        let child = host.command(&line).stdin(Stdio::null()).stdout(output).stderr(log).spawn().expect("as above");
        let keepalived = Self { child, place: place.to_owned() };
        eventually("keepalived runs", || keepalived.worker('r').is_some());
        keepalived
    }

    /// The process id of its child for VRRP (`r`) or BFD (`b`).
    pub fn worker(&self, which: char) -> Option<Pid> {
        let text = std::fs::read_to_string(self.place.join(format!("ka.{which}.pid"))).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }

    /// All that it has written.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.place.join("ka.log")).unwrap_or_default()
    }

    /// Ends it without a chance to say goodbye.
    pub fn kill(&mut self) {
        for pid in [Some(Pid::from_child(&self.child)), self.worker('b'), self.worker('r')].into_iter().flatten() {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.child.wait();
        // What it could not take away would keep the next one from starting.
        for which in ["p", "r", "c", "b"] {
            let _ = std::fs::remove_file(self.place.join(format!("ka.{which}.pid")));
        }
    }

    /// Ends it in order.
    pub fn end(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.end();
        }
    }
}
