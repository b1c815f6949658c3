//! A stand-in for systemd: it listens on a socket for what a service says, keeps its descriptors, and gives them back at the
//! next start (sd_notify(3), sd_listen_fds(3)).

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::Pid;

/// The first descriptor that is given back.
const FIRST: i32 = 3;

/// What a service has said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// What is kept, as it came.
    stored: Vec<(String, OwnedFd)>,
    /// How often it was ready.
    pub(crate) ready: usize,
    /// How often it gave a sign of life.
    pub(crate) alive: usize,
    /// Whom it calls its main process.
    pub(crate) main: Option<Pid>,
}

impl Said {
    fn hear(&mut self, text: &str, thing: Option<OwnedFd>) {
        let value = |wanted: &str| text.lines().find_map(|line| line.strip_prefix(wanted)?.strip_prefix('='));
        self.ready += usize::from(value("READY") == Some("1"));
        self.alive += usize::from(value("WATCHDOG") == Some("1"));
        self.main = value("MAINPID").and_then(|id| Pid::from_raw(id.parse().ok()?)).or(self.main);
        let name = value("FDNAME").unwrap_or("stored");
        if value("FDSTOREREMOVE") == Some("1") {
            self.stored.retain(|(stored, _)| stored != name);
        }
        if value("FDSTORE") == Some("1") {
            self.stored.push((name.to_owned(), thing.expect("it is stored by its descriptor")));
        }
    }

    /// The names of what is kept.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.stored.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// See the module documentation.
pub(crate) struct Manager {
    place: PathBuf,
    starter: String,
    said: Arc<Mutex<Said>>,
    stop: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl Manager {
    /// Listens in this directory.
    pub(crate) fn new(directory: &Path) -> Self {
        let (place, script) = (directory.join("notify"), directory.join("start"));
        // Only the process itself knows its id before it is another program.
        std::fs::write(&script, "export LISTEN_PID=$$\nexec \"$@\"\n").expect("it is writable");
        let starter = format!("sh {}", script.display());
        let socket = UnixDatagram::bind(&place).expect("nobody listens there");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("it is not zero");
        let (said, stop) = (Arc::new(Mutex::new(Said::default())), Arc::new(AtomicBool::new(false)));
        let (hears, stopped) = (Arc::clone(&said), Arc::clone(&stop));
        let listener = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Some((text, thing)) = receive(&socket) {
                    hears.lock().expect("no holder panics").hear(&text, thing);
                }
            }
        });
        Self { place, starter, said, stop, listener: Some(listener) }
    }

    pub(crate) fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().expect("no holder panics")
    }

    /// What a service is to be started by.
    pub(crate) fn starter(&self) -> &str {
        &self.starter
    }

    /// Prepares a process to be its service, and gives back what it has kept.
    pub(crate) fn prepare(&self, command: &mut Command) {
        let said = self.said();
        command.env("NOTIFY_SOCKET", &self.place).env("WATCHDOG_USEC", "1000000");
        command.env("LISTEN_FDS", said.stored.len().to_string()).env("LISTEN_FDNAMES", said.names().join(":"));
        let copy = |(child_fd, (_, thing)): (i32, &(String, OwnedFd))| FdMapping {
            parent_fd: thing.try_clone().expect("there are descriptors left"),
            child_fd,
        };
        let mappings = (FIRST..).zip(&said.stored).map(copy).collect();
        command.fd_mappings(mappings).expect("no number is given twice");
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.listener.take().map(JoinHandle::join);
    }
}

/// The next message, if one comes soon. What came along with a barrier is closed at once.
fn receive(socket: &UnixDatagram) -> Option<(String, Option<OwnedFd>)> {
    let mut bytes = vec![0; 8192];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC).ok()?;
    let thing = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut things) => things.next(),
        _ => None,
    });
    Some((String::from_utf8_lossy(&bytes[..received.bytes]).into_owned(), thing))
}
