//! The smallest HTTP client: one request a connection, from an address of the caller's choice.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::shared;

/// What the test servers answer to `GET /`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The real server's name.
    pub server: String,
    /// The client's address as the server saw it.
    pub client: IpAddr,
}

/// Asks who serves `to`. Must run inside the client's namespace.
pub fn ask(from: IpAddr, to: SocketAddr) -> io::Result<Answer> {
    let answer = String::from_utf8_lossy(&get(from, to, "/")?).into_owned();
    let fields: Vec<_> = answer.split_whitespace().collect();
    match fields[..] {
        [server, client] => Ok(Answer { server: server.to_owned(), client: client.parse().map_err(io::Error::other)? }),
        _ => Err(io::Error::other(format!("unexpected answer: {answer:?}"))),
    }
}

/// The body of `path`, read to the end of the connection.
pub fn get(from: IpAddr, to: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = connect(from, to)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: test\r\n\r\n")?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    let head = response.windows(4).position(|four| four == b"\r\n\r\n");
    let head = head.ok_or_else(|| io::Error::other("the response ended within its head"))?;
    if !response.starts_with(b"HTTP/1.1 200 ") {
        return Err(io::Error::other(String::from_utf8_lossy(&response[..head]).into_owned()));
    }
    Ok(response.split_off(head + 4))
}

/// A connection that gives up after a few seconds of silence.
pub fn connect(from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    // Time for a SYN that is lost three times.
    socket.connect_timeout(&to.into(), shared(Duration::from_secs(8)))?;
    let stream = TcpStream::from(socket);
    let patience = shared(Duration::from_secs(10));
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(stream)
}
