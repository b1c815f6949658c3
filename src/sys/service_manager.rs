//! The service manager that has started this process, if one has (systemd, or what speaks as it does): what it is told
//! (sd_notify(3)), what it gives back (sd_listen_fds(3)), how often it wants a sign of life (sd_watchdog_enabled(3)).

use std::env;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::pipe::{PipeFlags, pipe_with};

use super::inherit::Inherited;

/// The first of the descriptors that are given back (SD_LISTEN_FDS_START).
const FIRST: i32 = 3;

/// Where the service manager listens.
#[derive(Debug)]
pub struct Manager(SocketAddr);

impl Manager {
    /// The one that the environment names (`NOTIFY_SOCKET`).
    pub fn of_environment() -> Option<Self> {
        env::var("NOTIFY_SOCKET").ok().and_then(|place| Self::at(&place))
    }

    /// The one that listens there: a path, or an abstract name behind an `@`.
    pub fn at(place: &str) -> Option<Self> {
        let address = match place.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(place),
        };
        address.ok().map(Self)
    }

    /// Tells it something: lines of `NAME=VALUE`, with the descriptor that they are about. An error of kind `WouldBlock` says
    /// that it has too much to read already.
    pub fn tell(&self, lines: &str, thing: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect_addr(&self.0)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if let Some(thing) = &thing {
            control.push(SendAncillaryMessage::ScmRights(std::slice::from_ref(thing)));
        }
        Ok(sendmsg(&socket, &[IoSlice::new(lines.as_bytes())], &mut control, SendFlags::NOSIGNAL).map(drop)?)
    }

    /// Waits until it has read all that it was told, at most so long: it takes no notice of what a process has said that is
    /// gone (sd_notify_barrier(3)).
    pub fn wait(&self, at_most: Duration) -> io::Result<()> {
        let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
        self.tell("BARRIER=1", Some(theirs.as_fd()))?;
        drop(theirs);
        let timeout = Timespec::try_from(at_most).map_err(io::Error::other)?;
        // It has closed its end.
        match poll(&mut [PollFd::new(&ours, PollFlags::empty())], Some(&timeout))? {
            0 => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }
}

/// What it has kept of a process before this one, by name.
pub fn given_back(inherited: &mut Inherited) -> Vec<(String, OwnedFd)> {
    let own = std::process::id();
    let number = |name| env::var(name).ok()?.parse::<u32>().ok();
    let Some(count) = number("LISTEN_FDS").filter(|_| number("LISTEN_PID") == Some(own)) else { return Vec::new() };
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let taken = (FIRST..).take(count as usize).zip(names.split(':'));
    taken.filter_map(|(number, name)| Some((name.to_owned(), inherited.take(number).ok()?))).collect()
}

/// It takes this process for one that hangs if it hears nothing for so long.
pub fn patience() -> Option<Duration> {
    let microseconds = env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    Some(Duration::from_micros(microseconds)).filter(|patience| !patience.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_what_it_has_room_for() {
        let name = format!("ringmaster-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        let manager = Manager::at(&format!("@{name}")).unwrap();
        manager.tell("READY=1\nSTATUS=well", None).unwrap();
        let mut bytes = [0; 64];
        let length = listener.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"READY=1\nSTATUS=well");
        let late = manager.wait(Duration::from_millis(20)).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut, "it reads nothing");
        let full = (0..10_000).find_map(|_| manager.tell("WATCHDOG=1", None).err());
        assert_eq!(full.expect("its queue is bounded").kind(), io::ErrorKind::WouldBlock, "nobody waits for it");
        let heard = std::thread::spawn(move || {
            let (mut bytes, mut barriers) = ([0; 64], 0);
            // What came along with a barrier is closed by a receiver that does not take it.
            while barriers < 2 {
                let length = listener.recv(&mut bytes).unwrap();
                barriers += u32::from(&bytes[..length] == b"BARRIER=1");
            }
        });
        let mut answered = manager.wait(Duration::from_secs(5));
        while answered.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            std::thread::yield_now();
            answered = manager.wait(Duration::from_secs(5));
        }
        assert!(answered.is_ok(), "{answered:?}");
        heard.join().unwrap();
        assert!(Manager::at("").is_none_or(|manager| manager.tell("READY=1", None).is_err()));
    }
}
