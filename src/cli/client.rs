//! The other end of the control socket, for subcommands.

use std::io::{self, BufRead, BufReader, BufWriter, StdoutLock, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use crate::config::model::DEFAULT_SOCKET;
use crate::control::protocol::{Body, Command, Request, Response};
use crate::control::view::{ConnectionView, ServiceView, Status};

/// How long the director may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where to find the director.
#[derive(Debug, clap::Args)]
pub(super) struct At {
    /// The director's control socket
    #[arg(long, value_name = "PATH", default_value_os_t = default_socket())]
    pub(super) socket: PathBuf,
}

/// The socket to ask at when nobody names one: that of the variable `RINGMASTER_SOCKET`, or the usual one.
pub(super) fn default_socket() -> PathBuf {
    std::env::var_os("RINGMASTER_SOCKET").map_or_else(|| DEFAULT_SOCKET.into(), PathBuf::from)
}

/// Who can be asked: a director, near or far.
pub trait Ask {
    /// Asks and waits for the answer, which is never [`Body::Error`].
    fn ask(&mut self, command: Command) -> Result<Body, ClientError>;

    /// Asks for the status.
    fn status(&mut self) -> Result<Status, ClientError> {
        match self.ask(Command::Status)? {
            Body::Status(status) => Ok(*status),
            _ => Err(ClientError::Unexpected),
        }
    }

    /// Asks for all services.
    fn services(&mut self) -> Result<Vec<ServiceView>, ClientError> {
        match self.ask(Command::Services)? {
            Body::Services(services) => Ok(services),
            _ => Err(ClientError::Unexpected),
        }
    }

    /// Asks for all connections, page by page, and shows each, in the order of the table.
    fn connections(&mut self, show: &mut dyn FnMut(&ConnectionView) -> io::Result<()>) -> Result<(), ClientError> {
        let mut cursor = 0;
        loop {
            let Body::Connections(page) = self.ask(Command::Connections { cursor })? else {
                return Err(ClientError::Unexpected);
            };
            page.entries.iter().try_for_each(&mut *show)?;
            match page.next {
                Some(next) if next > cursor => cursor = next,
                // It would never end.
                Some(_) => return Err(ClientError::Unexpected),
                None => return Ok(()),
            }
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no socket, or nobody behind it.
    #[error("no director listens on {}; start one with `ringmaster run`, or name its socket with --socket", .0.display())]
    Nobody(PathBuf),
    /// The socket belongs to another user.
    #[error("no permission to use {}; try as root", .0.display())]
    Forbidden(PathBuf),
    /// The connection broke.
    #[error("the director at {} does not answer: {error}", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
    /// The director understood something else.
    #[error("the director refused: {0}")]
    Refused(String),
    /// It answered something else than was asked.
    #[error("the director gave an answer that this program does not know; are both of the same version?")]
    Unexpected,
    /// The listing could not be written.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// A connection to the director.
pub(super) struct Client {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

impl Client {
    /// Connects.
    pub(super) fn connect(path: &Path) -> Result<Self, ClientError> {
        let path = path.to_owned();
        let broken = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::Nobody(path.clone()),
            io::ErrorKind::PermissionDenied => ClientError::Forbidden(path.clone()),
            _ => ClientError::Broken { path: path.clone(), error },
        };
        let stream = UnixStream::connect(&path).map_err(broken)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(broken)?;
        Ok(Self { stream: BufReader::new(stream), path })
    }

    fn exchange(&mut self, request: &Request) -> io::Result<Response> {
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        self.stream.get_mut().write_all(line.as_bytes())?;
        line.clear();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Ask for Client {
    fn ask(&mut self, command: Command) -> Result<Body, ClientError> {
        let response = self.exchange(&Request::new(command));
        let Response { body, .. } = response.map_err(|error| ClientError::Broken { path: self.path.clone(), error })?;
        match body {
            Body::Error(reason) => Err(ClientError::Refused(reason)),
            body => Ok(body),
        }
    }
}

/// A director that is not looked for before it is asked.
pub(super) struct Later {
    path: PathBuf,
    client: Option<Client>,
}

impl Later {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, client: None }
    }
}

impl Ask for Later {
    fn ask(&mut self, command: Command) -> Result<Body, ClientError> {
        let client = match self.client.take() {
            Some(client) => client,
            None => Client::connect(&self.path)?,
        };
        self.client.insert(client).ask(command)
    }
}

/// What a subcommand takes that shows one part of the status.
#[derive(Debug, clap::Args)]
pub(super) struct PartArgs {
    /// Print one JSON object a line instead, with all that is known
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: At,
}

/// Where subcommands print.
type Printer = BufWriter<StdoutLock<'static>>;

/// Shows one part of the status: to programs line by line, to people as a table.
pub(super) fn show_part<T: Serialize>(
    args: &PartArgs,
    part: fn(Status) -> Vec<T>,
    table: fn(&mut Printer, &[T]) -> io::Result<()>,
) -> ExitCode {
    let print = |out: &mut Printer| {
        let items = part(Client::connect(&args.at.socket)?.status()?);
        match args.json {
            true => items.iter().try_for_each(|item| json_line(out, item))?,
            false => table(out, &items)?,
        }
        Ok(out.flush()?)
    };
    exit(print(&mut BufWriter::new(io::stdout().lock())))
}

/// Prints one JSON object, in a line.
pub(super) fn json_line(out: &mut impl Write, item: &impl Serialize) -> io::Result<()> {
    writeln!(out, "{}", serde_json::to_string(item)?)
}

/// The exit code for the end of a subcommand, after a word about what went wrong. A reader that has seen enough
/// (`| head`) is no failure.
pub(super) fn exit(result: Result<(), ClientError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(ClientError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringmaster: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests;
