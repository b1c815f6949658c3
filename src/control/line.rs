//! A [`Channel`] that an event loop can wait for.

use std::io;
use std::os::fd::AsFd;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixDatagram;

use crate::supervisor::{Channel, Letter, Message};

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Line<M = Message> {
    pub(super) channel: Channel<M>,
    /// The same socket, for nothing but to know when there is something to receive.
    readiness: UnixDatagram,
}

impl<M: Serialize + DeserializeOwned> Line<M> {
    /// Must be called inside the runtime.
    pub(super) fn over(channel: Channel<M>) -> io::Result<Self> {
        let same = std::os::unix::net::UnixDatagram::from(channel.as_fd().try_clone_to_owned()?);
        same.set_nonblocking(true)?;
        Ok(Self { readiness: UnixDatagram::from_std(same)?, channel })
    }

    /// The next message, and what came along. May be dropped while waiting.
    pub(super) async fn next(&self) -> io::Result<Letter<M>> {
        loop {
            self.readiness.readable().await?;
            let receive = || self.channel.receive()?.ok_or_else(|| io::ErrorKind::WouldBlock.into());
            match self.readiness.try_io(Interest::READABLE, receive) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => return received,
            }
        }
    }
}
