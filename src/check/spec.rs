//! What the configuration asks of a health check.

use std::net::IpAddr;
use std::time::Duration;

use crate::wire::Endpoint;

/// One checker of one real server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// What to ask.
    pub probe: Probe,
    /// Where: `connect_ip` and `connect_port`, or the real server itself.
    pub target: Endpoint,
    /// `bindto`: the address to ask from.
    pub bind: Option<IpAddr>,
    /// `connect_timeout`: how long to wait for an answer (5 s).
    pub timeout: Duration,
    /// `delay_loop`: time between two checks (60 s).
    pub interval: Duration,
    /// `retry` (`nb_get_retry`): how many failures in a row are forgiven (1).
    pub retries: u32,
    /// `delay_before_retry`: time before a failed check is tried again (1 s; HTTP_GET 3 s).
    pub retry_delay: Duration,
    /// `warmup`: the first check starts at a random time within this (`delay_loop`; 0 at once).
    pub warmup: Duration,
    /// `alpha`: the server counts as down until it first passes.
    pub starts_down: bool,
}

/// What to ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Probe {
    /// `TCP_CHECK`: the connection opens.
    Tcp,
    /// `HTTP_GET`: every URL answers as it should.
    Http(HttpGet),
}

/// The particulars of `HTTP_GET`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpGet {
    /// Asked one after the other; all must pass. Never empty.
    pub urls: Vec<Url>,
    /// `virtualhost`: the Host header, where a URL has none of its own.
    pub virtual_host: Option<String>,
}

/// One `url` block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    /// `path`.
    pub path: String,
    /// `status_code`; 200 to 299 where the file gives none.
    pub status: StatusCodes,
    /// `virtualhost` of this URL.
    pub virtual_host: Option<String>,
}

/// Accepted HTTP status codes, as inclusive ranges.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StatusCodes(pub Vec<(u16, u16)>);

impl StatusCodes {
    /// Whether `code` lies in one of the ranges.
    pub fn accept(&self, code: u16) -> bool {
        self.0.iter().any(|&(from, to)| (from..=to).contains(&code))
    }
}

impl Default for StatusCodes {
    fn default() -> Self {
        Self(vec![(200, 299)])
    }
}
