//! Asks a real server once. The only part of health checking that does input and output.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};

use super::{Failure, HttpGet, Probe, Spec, Url};
use crate::wire::Endpoint;

/// How much of an answer is read, in bytes; what comes after it is nobody's business.
const BODY_LIMIT: usize = 1 << 20;

/// Asks what `spec` says, within its timeout: all URLs together, from the first SYN to the last byte.
pub async fn probe(spec: &Spec) -> Result<(), Failure> {
    let asked = async {
        match &spec.probe {
            Probe::Tcp => connect(spec).await.map(drop),
            Probe::Http(get) => every_url(spec, get).await,
        }
    };
    tokio::time::timeout(spec.timeout, asked).await.unwrap_or(Err(Failure::TimedOut))
}

async fn connect(spec: &Spec) -> Result<TcpStream, Failure> {
    let target = SocketAddr::new(spec.target.addr.into(), spec.target.port);
    let socket = if target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(source) = spec.bind {
        socket.bind(SocketAddr::new(source, 0)).map_err(|_| Failure::Bind(source))?;
    }
    Ok(socket.connect(target).await?)
}

async fn every_url(spec: &Spec, get: &HttpGet) -> Result<(), Failure> {
    for url in &get.urls {
        let request = request(url, get, spec.target)?;
        fetch(connect(spec).await?, request, url).await?;
    }
    Ok(())
}

fn request(url: &Url, get: &HttpGet, target: Endpoint) -> Result<Request<Empty<Bytes>>, Failure> {
    let refused = || Failure::BadRequest(url.path.clone());
    // Anything else would be taken for the name of a host.
    if !url.path.starts_with('/') {
        return Err(refused());
    }
    let host = url.virtual_host.as_ref().or(get.virtual_host.as_ref()).cloned().unwrap_or_else(|| authority(target));
    Request::get(url.path.as_str())
        .header(header::HOST, host)
        .header(header::USER_AGENT, "Ringmaster")
        .header(header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(|_| refused())
}

/// The server's own name in a Host header, the port left out where it is HTTP's (RFC 9110 7.2, 4.2.1).
fn authority(target: Endpoint) -> String {
    match (IpAddr::from(target.addr), target.port) {
        (IpAddr::V4(address), 80) => address.to_string(),
        (IpAddr::V6(address), 80) => format!("[{address}]"),
        _ => target.to_string(),
    }
}

/// One request on a connection of its own. Redirections are answers like others and are not followed.
async fn fetch(stream: TcpStream, request: Request<Empty<Bytes>>, url: &Url) -> Result<(), Failure> {
    let answered = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // What goes wrong on the connection reaches the request as well; here it only has to be driven.
        let driven = async {
            let _ = connection.await;
            std::future::pending::<Infallible>().await
        };
        let answered = async {
            let response = sender.send_request(request).await?;
            read(response).await
        };
        tokio::select! {
            status = answered => status,
            never = driven => match never {},
        }
    };
    let status = answered.await.map_err(|error| explain(&error, url))?;
    if url.status.accept(status) {
        return Ok(());
    }
    Err(Failure::Status { path: url.path.clone(), status, accepted: url.status.clone() })
}

/// The status of an answer whose body has arrived, or as much of it as we read.
async fn read(mut response: Response<Incoming>) -> hyper::Result<u16> {
    let status = response.status().as_u16();
    let mut read = 0;
    while read < BODY_LIMIT
        && let Some(frame) = response.frame().await
    {
        read += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(status)
}

/// What went wrong between the request and the end of the answer.
fn explain(error: &hyper::Error, url: &Url) -> Failure {
    use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    match cause.map(std::io::Error::kind) {
        _ if error.is_parse() => Failure::NotHttp(url.path.clone()),
        // What hyper says of a broken body.
        Some(InvalidData | InvalidInput) => Failure::NotHttp(url.path.clone()),
        None | Some(UnexpectedEof) => Failure::Incomplete(url.path.clone()),
        Some(kind) => kind.into(),
    }
}

#[cfg(test)]
mod tests;
