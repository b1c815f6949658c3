//! What a supervisor and its director say to each other: one message a packet, over a pair of sockets of which the director
//! inherits one. A message about a thing that is held brings the thing's descriptor along, and the kernel says who has sent it.

use std::io::{self, IoSlice, IoSliceMut};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair, sockopt,
};
use rustix::process::Pid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The longest message: a path and its frame.
const LONGEST: usize = 8192;
/// How long the other end may be busy with what it was told before.
const PATIENCE: Duration = Duration::from_secs(1);

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Director: hold what comes along under this name, instead of what was held under it. Supervisor: this is held.
    Hold(String),
    /// Director: do not hold any longer what has a name that begins so.
    Release(String),
    /// Supervisor: nothing of that name is held any longer.
    Released,
    /// Director: everything is prepared for what is held to come.
    Prepared,
    /// Supervisor: that was all; begin.
    Begin,
    /// Supervisor: the director before this one is gone, with all that it had open.
    Gone,
    /// Director: packets are forwarded.
    Ready,
    /// Director: what it reads at its start is no longer what a spare has read.
    Reloaded,
    /// Spare: the director at work is dead.
    Orphaned,
    /// Director: somebody wants this program in its place.
    Upgrade(PathBuf),
    /// Supervisor: stop using what is held, and end.
    GiveWay,
    /// Supervisor: nothing came of the upgrade.
    NotUpgraded(String),
    /// A new supervisor, in the place of one that is gone: from now on by the channel that comes along, if one does.
    Adopt,
}

/// A message, and what came along.
#[derive(Debug)]
pub struct Letter<M = Message> {
    /// The message.
    pub message: M,
    /// The thing that it is about.
    pub thing: Option<OwnedFd>,
    /// The process that has sent it.
    pub sender: Option<Pid>,
}

/// One end, of a conversation in messages of one kind.
#[derive(Debug)]
pub struct Channel<M = Message> {
    socket: OwnedFd,
    kind: PhantomData<fn(M) -> M>,
}

impl<M: Serialize + DeserializeOwned> Channel<M> {
    /// Both ends. Neither is inherited unless that is asked for.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        // Before anything is said, for else the kernel would say that nobody has said it.
        [&one, &other].into_iter().try_for_each(|end| sockopt::set_socket_passcred(end, true))?;
        Ok((Self::over(one), Self::over(other)))
    }

    /// The end that was inherited.
    pub fn over(socket: OwnedFd) -> Self {
        Self { socket, kind: PhantomData }
    }

    /// The same end once more.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.socket.try_clone().map(Self::over)
    }

    /// Says something, with the thing that it is about. An end that does not listen for `PATIENCE` is an error.
    pub fn send(&self, message: &M, thing: Option<BorrowedFd<'_>>) -> io::Result<()> {
        match self.send_at_once(message, thing) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.until(PollFlags::OUT, PATIENCE)?;
                self.send_at_once(message, thing)
            }
            sent => sent,
        }
    }

    /// The same; an end that has no room for it at this moment is an error of kind `WouldBlock`.
    pub fn send_at_once(&self, message: &M, thing: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if let Some(thing) = &thing {
            control.push(SendAncillaryMessage::ScmRights(std::slice::from_ref(thing)));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        Ok(sendmsg(&self.socket, &[IoSlice::new(&bytes)], &mut control, flags).map(drop)?)
    }

    /// The next message, if there is one: `None` if not. An error of kind `UnexpectedEof` says that the other end is gone.
    pub fn receive(&self) -> io::Result<Option<Letter<M>>> {
        let mut bytes = vec![0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let received = match recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags) {
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            // The other end has gone and left something unread. The kernel says so once, and before what that end has said
            // last, which is heard all the same (`af_unix.c: unix_release_sock`, `datagram.c: __skb_try_recv_datagram`).
            Err(Errno::CONNRESET) => return self.receive(),
            received => received?,
        };
        let (mut thing, mut sender) = (None, None);
        for message in control.drain() {
            match message {
                RecvAncillaryMessage::ScmRights(mut things) => thing = things.next(),
                RecvAncillaryMessage::ScmCredentials(credentials) => sender = Some(credentials.pid),
                _ => {}
            }
        }
        match received.bytes {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => Ok(Some(Letter { message: serde_json::from_slice(&bytes[..length])?, thing, sender })),
        }
    }

    /// Waits for the next message, at most so long.
    pub fn wait(&self, at_most: Duration) -> io::Result<Option<Letter<M>>> {
        self.until(PollFlags::IN, at_most)?;
        self.receive()
    }

    /// Whether the other end is gone, though something that it has said may be left to hear.
    pub fn is_closed(&self) -> bool {
        let mut end = [PollFd::new(&self.socket, PollFlags::empty())];
        poll(&mut end, Some(&Timespec::default())).is_ok_and(|ready| ready != 0)
    }

    fn until(&self, ready: PollFlags, at_most: Duration) -> io::Result<()> {
        let timeout = Timespec::try_from(at_most).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&self.socket, ready)], Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl<M> AsFd for Channel<M> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl<M> From<Channel<M>> for OwnedFd {
    fn from(channel: Channel<M>) -> Self {
        channel.socket
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};

    use super::*;

    #[test]
    fn a_thing_that_is_held_comes_out_as_it_went_in() {
        let (one, other) = Channel::pair().unwrap();
        assert!(other.receive().unwrap().is_none(), "nothing was said yet");
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"what is held").unwrap();
        one.send(&Message::Hold("file".to_owned()), Some(file.as_fd())).unwrap();
        one.send(&Message::Begin, None).unwrap();
        drop((file, one));
        let Letter { message, thing, sender } = other.wait(Duration::from_secs(1)).unwrap().unwrap();
        assert_eq!(message, Message::Hold("file".to_owned()));
        assert_eq!(sender, Some(rustix::process::getpid()));
        let (mut file, mut text) = (File::from(thing.unwrap()), String::new());
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "what is held");
        assert!(matches!(other.receive().unwrap(), Some(Letter { message: Message::Begin, thing: None, .. })));
        assert_eq!(other.receive().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn the_last_words_of_one_that_did_not_listen_are_heard() {
        let (one, other) = Channel::pair().unwrap();
        other.send(&Message::Gone, None).unwrap();
        one.send(&Message::Ready, None).unwrap();
        drop(one);
        let letter = other.receive().unwrap().unwrap();
        assert_eq!(letter.message, Message::Ready);
        assert_eq!(other.receive().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
