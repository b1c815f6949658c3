//! A program that runs, as our own child or as our helper's.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::net::SendFlags;
use rustix::process::Signal;
use tokio::net::UnixDatagram;
use tokio::process::Child;

/// See the module documentation. Dropped, it runs on.
#[derive(Debug)]
pub enum Running {
    /// Our own child.
    Child(Child),
    /// A child of the helper's, at the other end of a socket of its own: signals go there, and its status comes back.
    Afar(UnixDatagram),
}

/// The helper's end of such a socket, and a child.
#[derive(Debug)]
pub struct Attended {
    child: Child,
    line: UnixDatagram,
}

impl Running {
    /// A program at the other end of a socket.
    pub fn over(socket: OwnedFd) -> io::Result<Self> {
        datagrams(socket).map(Self::Afar)
    }

    /// Waits for its end. May be dropped while waiting; nothing is lost.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        match self {
            Self::Child(child) => child.wait().await,
            Self::Afar(line) => {
                let mut status = [0; 4];
                match line.recv(&mut status).await? {
                    4 => Ok(ExitStatus::from_raw(i32::from_ne_bytes(status))),
                    _ => Err(io::Error::other("the helper ended before the program")),
                }
            }
        }
    }

    /// Sends a signal to it and to all that it started. It may just have ended.
    pub fn signal(&self, signal: Signal) {
        match self {
            Self::Child(child) => super::signal(child, signal),
            Self::Afar(line) => say(line, signal.as_raw()),
        }
    }
}

impl Attended {
    /// A child, and the socket that it is heard of by.
    pub fn new(child: Child, socket: OwnedFd) -> io::Result<Self> {
        Ok(Self { child, line: datagrams(socket)? })
    }

    /// Passes signals on until the child ends, and then its status.
    pub async fn attend(mut self) {
        let (mut number, mut heard) = ([0; 4], true);
        let status = loop {
            tokio::select! {
                biased;
                received = self.line.recv(&mut number), if heard => match received {
                    Ok(4) => {
                        let signal = Signal::from_named_raw(i32::from_ne_bytes(number));
                        signal.into_iter().for_each(|signal| super::signal(&self.child, signal));
                    }
                    // Nobody waits for it any more.
                    _ => heard = false,
                },
                status = self.child.wait() => break status,
            }
        };
        if let Ok(status) = status {
            say(&self.line, status.into_raw());
        }
    }
}

/// At once: the runtime would first have to learn that there is room. The other end may have lost interest.
fn say(line: &UnixDatagram, number: i32) {
    let _ = rustix::net::send(line, &number.to_ne_bytes(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}

fn datagrams(socket: OwnedFd) -> io::Result<UnixDatagram> {
    let socket = std::os::unix::net::UnixDatagram::from(socket);
    socket.set_nonblocking(true)?;
    UnixDatagram::from_std(socket)
}

#[cfg(test)]
mod tests {
    use tokio::process::Command;

    use super::*;
    use crate::supervisor::Channel;

    #[tokio::test(flavor = "current_thread")]
    async fn status_and_signals_travel() {
        let local = tokio::task::LocalSet::new();
        let start = |command: &str| {
            let child = Command::new("sh").args(["-c", command]).process_group(0).spawn().unwrap();
            let (ours, theirs) = Channel::<()>::pair().unwrap();
            local.spawn_local(Attended::new(child, theirs.into()).unwrap().attend());
            Running::over(ours.into()).unwrap()
        };
        let test = async {
            assert_eq!(start("exit 7").wait().await.unwrap().code(), Some(7));
            let mut sleeper = start("sleep 61");
            sleeper.signal(Signal::TERM);
            assert_eq!(sleeper.wait().await.unwrap().signal(), Some(libc::SIGTERM));
        };
        local.run_until(test).await;
    }
}
