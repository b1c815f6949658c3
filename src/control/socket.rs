//! The control socket: a Unix socket that local clients ask over.
//!
//! Only the owner may connect (mode 0600). Nothing that a client does or fails to do holds up the loop or another client:
//! requests are bounded in length, answers in time, clients in number. What is said is in [`super::protocol`].
//!
//! [`ControlSocket::next`] yields one [`Query`] after the other for the event loop to answer; while it waits, it also
//! moves the bytes of all clients.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::helper;
use super::protocol::{self, Body, Response, VERSION};
use super::view::Source;

/// Longest request, in bytes: room for the changes of some ten thousand servers at once.
const REQUEST: u64 = 8 << 20;
/// Clients at once; more wait to be accepted.
const CLIENTS: usize = 32;
/// How long a client may stay silent.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a client may take to read an answer.
const SLOWNESS: Duration = Duration::from_secs(5);

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody answers there.
    #[error("another director listens on {}; stop it, or give this one its own `socket`", .0.display())]
    Taken(PathBuf),
    /// The place is taken by something else.
    #[error("{} is not a socket; move it away, or name another place with `socket`", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot listen on {}", path.display())]
    Bind {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The listening socket and its clients; see the module documentation.
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Of the socket's file; `None` if the helper knows it.
    inode: Option<u64>,
    clients: FuturesUnordered<Pin<Box<dyn Future<Output = io::Result<()>>>>>,
    queries: mpsc::Receiver<Query>,
    ask: mpsc::Sender<Query>,
}

/// A request that waits for its answer.
pub struct Query {
    line: Vec<u8>,
    reply: oneshot::Sender<Response>,
}

impl Query {
    /// Answers it.
    pub fn answer(self, source: &mut impl Source) {
        // A client that has gone needs no answer.
        let _ = self.reply.send(protocol::answer(&self.line, source));
    }
}

impl ControlSocket {
    /// Listens at `path`, in place of what a director that was killed may have left there.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        Self::listening(path, false)
    }

    /// Listens at `path`, in place of a director that is known to have died, or to have stopped answering. Its socket may outlive
    /// it for as long as its memory takes to be given back.
    pub fn take_over(path: &Path) -> Result<Self, SocketError> {
        Self::listening(path, true)
    }

    fn listening(path: &Path, known_dead: bool) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Bind { path: path.to_owned(), source };
        let (listener, inode) = match helper::get() {
            // The place may be root's alone.
            Some(helper) => (helper.listen(known_dead).map_err(failed)?, None),
            None => open(path, known_dead).map(|(listener, inode)| (listener, Some(inode)))?,
        };
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = UnixListener::from_std(listener).map_err(failed)?;
        let (ask, queries) = mpsc::channel(CLIENTS);
        Ok(Self { listener, path: path.to_owned(), inode, clients: FuturesUnordered::new(), queries, ask })
    }

    /// The next request. May be dropped while waiting; nothing is lost.
    pub async fn next(&mut self) -> Query {
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if self.clients.len() < CLIENTS => match accepted {
                    Ok((stream, _)) => self.clients.push(Box::pin(serve(stream, self.ask.clone()))),
                    Err(error) => {
                        tracing::warn!(%error, "the control socket cannot take a client");
                        // Out of descriptors, most likely: there is no use in trying at once.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(ended) = self.clients.next() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a client of the control socket was dropped");
                    }
                }
                Some(query) = self.queries.recv() => return query,
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // What is left behind is replaced by the next director.
        let _ = match (self.inode, helper::get()) {
            (Some(inode), _) => remove(&self.path, inode),
            (None, Some(helper)) => helper.remove_socket(),
            (None, None) => Ok(()),
        };
    }
}

/// Removes a socket, unless another director has put its own into the place.
pub(super) fn remove(path: &Path, inode: u64) -> io::Result<()> {
    if std::fs::symlink_metadata(path)?.ino() == inode { std::fs::remove_file(path) } else { Ok(()) }
}

/// Whether there is a socket, which may be replaced; an error if there is something else.
fn is_socket(path: &Path) -> Result<bool, SocketError> {
    use std::os::unix::fs::FileTypeExt;
    match std::fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => Ok(true),
        Ok(_) => Err(SocketError::NotASocket(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(SocketError::Bind { path: path.to_owned(), source }),
    }
}

fn check_dead(path: &Path) -> Result<(), SocketError> {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(SocketError::Taken(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(source) => Err(SocketError::Bind { path: path.to_owned(), source }),
    }
}

/// Listens at `path`, in place of what a director may have left there: one that is known to be dead, or is asked. Binds
/// elsewhere and moves into place: nobody can connect before the mode is set, and a leftover is replaced at once. Gives the
/// file's number, too.
pub(super) fn open(path: &Path, known_dead: bool) -> Result<(net::UnixListener, u64), SocketError> {
    if is_socket(path)? && !known_dead {
        check_dead(path)?;
    }
    let listen = || -> io::Result<_> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let fresh = path.with_extension(format!("new-{}", std::process::id()));
        let _ = std::fs::remove_file(&fresh);
        let listener = net::UnixListener::bind(&fresh)?;
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&fresh, path)?;
        Ok((listener, std::fs::symlink_metadata(path)?.ino()))
    };
    listen().map_err(|source| SocketError::Bind { path: path.to_owned(), source })
}

/// One client, to its end.
async fn serve(stream: UnixStream, ask: mpsc::Sender<Query>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut read).take(REQUEST + 1);
        timeout(SILENCE, bounded.read_until(b'\n', &mut line)).await??;
        if line.is_empty() {
            return Ok(());
        }
        if line.len() as u64 > REQUEST {
            let body = Body::Error(format!("a request has at most {REQUEST} bytes"));
            return send(&mut write, &Response { version: VERSION, body }).await;
        }
        let (reply, answer) = oneshot::channel();
        if ask.send(Query { line, reply }).await.is_err() {
            return Ok(());
        }
        let Ok(response) = answer.await else { return Ok(()) };
        send(&mut write, &response).await?;
    }
}

async fn send(write: &mut (impl AsyncWriteExt + Unpin), response: &Response) -> io::Result<()> {
    let mut text = serde_json::to_vec(response)?;
    text.push(b'\n');
    timeout(SLOWNESS, write.write_all(&text)).await?
}

#[cfg(test)]
mod tests;
