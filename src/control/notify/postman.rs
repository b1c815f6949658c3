//! Mails, handed to a mail server one after the other.
//!
//! They wait in a queue that holds [`ROOM`] of them: what comes while it is full is lost, and told of. Nobody waits for a mail
//! server but the task that talks to it.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::Config;
use crate::notify::mail::{GREETING, Mail, Post};
use crate::sys::{clock, names};

/// How many mails may wait.
const ROOM: usize = 256;

/// Hands mails to a mail server.
#[derive(Debug)]
pub(super) struct Postman {
    queue: Sender<(Mail, Duration)>,
    walk: JoinHandle<()>,
}

/// Whom mails are from.
struct Office {
    post: Post,
    router_id: String,
    host: String,
}

impl Postman {
    /// None if the configuration names no server or nobody to write to. Must be called inside a `LocalSet`.
    pub(super) fn start(config: &Config) -> Option<Self> {
        let post = config.global.post.clone()?;
        let host = names::host();
        let router_id = config.global.router_id.clone().unwrap_or_else(|| host.clone());
        let (queue, mails) = channel(ROOM);
        let walk = tokio::task::spawn_local(walk(Office { post, router_id, host }, mails));
        Some(Self { queue, walk })
    }

    /// Puts a mail into the queue.
    pub(super) fn send(&self, mail: Mail) {
        if let Err(error) = self.queue.try_send((mail, clock::wall())) {
            tracing::warn!("{ROOM} mails wait for the mail server; one was lost: {}", error.into_inner().0.subject);
        }
    }

    /// Waits, within `patience`, until what is in the queue has gone.
    pub(super) async fn finish(self, patience: Duration) {
        drop(self.queue);
        if timeout(patience, self.walk).await.is_err() {
            tracing::warn!("mails did not go within {patience:?}, and are lost");
        }
    }
}

async fn walk(office: Office, mut mails: Receiver<(Mail, Duration)>) {
    while let Some((mail, wall)) = mails.recv().await {
        if let Err(error) = office.deliver(&mail, wall).await {
            let Post { server, port, .. } = &office.post;
            tracing::warn!("mail \"{}\" was not sent by {server} port {port}: {error}", mail.subject);
        }
    }
}

impl Office {
    async fn deliver(&self, mail: &Mail, wall: Duration) -> io::Result<()> {
        let Post { server, port, patience, .. } = &self.post;
        let stream = within(*patience, TcpStream::connect((server.as_str(), *port))).await?;
        let mut stream = BufReader::new(stream);
        expect(&mut stream, GREETING, *patience).await?;
        for (line, answer) in self.post.dialogue(mail, &self.router_id, &self.host, wall) {
            within(*patience, stream.write_all(line.as_bytes())).await?;
            expect(&mut stream, answer, *patience).await?;
        }
        Ok(())
    }
}

/// Reads an answer, which may have several lines, and compares its number.
async fn expect(stream: &mut BufReader<TcpStream>, number: u16, patience: Duration) -> io::Result<()> {
    loop {
        let mut line = String::new();
        if within(patience, stream.read_line(&mut line)).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // `250-` goes on, `250 ` does not.
        if line.as_bytes().get(3) == Some(&b'-') {
            continue;
        }
        let said = line.trim_end();
        let fits = said.get(..3).and_then(|digits| digits.parse().ok()) == Some(number);
        return if fits { Ok(()) } else { Err(io::Error::other(format!("it said \"{said}\""))) };
    }
}

async fn within<T>(patience: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(patience, work).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
}
