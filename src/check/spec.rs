//! What the configuration asks of a health check.

use std::fmt;
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

impl Spec {
    /// Whether both ask the same of the same server, however often and patiently.
    pub fn same_question(&self, other: &Spec) -> bool {
        (&self.probe, self.target, self.bind) == (&other.probe, other.target, other.bind)
    }
}

impl fmt::Display for Spec {
    /// `TCP_CHECK of 192.0.2.1:80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keyword = match self.probe {
            Probe::Tcp => "TCP_CHECK",
            Probe::Http(_) => "HTTP_GET",
        };
        write!(f, "{keyword} of {}", self.target)
    }
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

impl fmt::Display for StatusCodes {
    /// `200-299` or `200, 301-302`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, &(from, to)) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { ", " })?;
            if from == to { write!(f, "{from}") } else { write!(f, "{from}-{to}") }?;
        }
        Ok(())
    }
}

impl Default for StatusCodes {
    fn default() -> Self {
        Self(vec![(200, 299)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_codes_accept_and_print_their_ranges() {
        let codes = StatusCodes(vec![(200, 200), (301, 302)]);
        assert_eq!(
            [199, 200, 201, 300, 301, 302, 303].map(|code| codes.accept(code)),
            [false, true, false, false, true, true, false]
        );
        assert_eq!(codes.to_string(), "200, 301-302");
        assert_eq!(StatusCodes::default().to_string(), "200-299");
    }
}
