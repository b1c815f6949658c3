//! Keywords of the health checkers.

use super::Support::{Deprecated, Later, Removed, Unchecked};
use super::Takes::{Address, Any, Flag, Number, Text, Words};
use super::{Block, Keyword, MANY, Takes, acts, later, other, seconds};

/// May stand in a virtual server, a real server and a checker; the innermost holds.
pub(super) const TIMING: &[Keyword] = &[
    acts("delay_loop", seconds(1, MANY), "60", "seconds between two checks"),
    acts("connect_timeout", seconds(1, MANY), "5", "seconds to wait for an answer"),
    acts("retry", Number(0, MANY), "1", "failures in a row that are forgiven"),
    acts("delay_before_retry", seconds(0, MANY), "1; HTTP_GET 3", "seconds before a failed check is tried again"),
    acts("warmup", seconds(0, MANY), "delay_loop", "the first check starts at a random time within these seconds"),
    acts("alpha", Flag, "no", "the server counts as down until it first passes"),
    later("log_all_failures", "log every failure, not only the last"),
];

pub(super) const CONNECTION: &[Keyword] = &[
    acts("connect_ip", Address, "the real server", "address to check"),
    acts("connect_port", Number(1, 65535), "the real server's port", "port to check"),
    acts("bindto", Address, "chosen by the kernel", "address to check from"),
    later("bind_if", "interface to check from"),
    later("bind_port", "port to check from"),
    later("fwmark", "mark of the check's packets"),
];

pub(super) const TCP_CHECK: &[Keyword] = &[other(
    "nb_get_retry",
    Any,
    Removed("keepalived knows it in HTTP_GET only; write `retry`"),
    "old name of `retry`",
)];

pub(super) const HTTP_GET: &[Keyword] = &[
    acts("url", Takes::Block(Block::Url), "", "a page to ask for; all must answer as they should"),
    acts("virtualhost", Text, "the address", "Host header, where a URL has none of its own"),
    other("nb_get_retry", Number(0, MANY), Deprecated("retry"), "old name of `retry`"),
    other("http_protocol", Any, Later, "version of HTTP"),
    other("fast_recovery", Flag, Later, "up as soon as one URL answers"),
];

pub(super) const URL: &[Keyword] = &[
    acts("path", Text, "", "what to ask for; a URL needs it"),
    acts("status_code", Words, "200-299", "codes and ranges of codes that are right"),
    acts("virtualhost", Text, "that of HTTP_GET", "Host header"),
    other("digest", Any, Unchecked, "MD5 of the page"),
    other("regex", Any, Unchecked, "what the page must match"),
    other("regex_no_match", Any, Unchecked, "the page must not match"),
    later("regex_options", "options of `regex`"),
    later("regex_stack", "memory of `regex`"),
    later("regex_min_offset", "where the match may start"),
    later("regex_max_offset", "where the match must have started"),
    later("tls_compliant", "expect a proper end of TLS"),
];

pub(super) const SSL_GET: &[Keyword] = &[
    later("url", "a page to ask for").with_block(Block::Url),
    later("virtualhost", "Host header"),
    other("nb_get_retry", Any, Deprecated("retry"), "old name of `retry`"),
    later("http_protocol", "version of HTTP"),
    later("fast_recovery", "up as soon as one URL answers"),
    later("enable_sni", "send the server's name"),
    later("sni_name", "the name to send"),
    later("tls_compliant", "expect a proper end of TLS"),
];

pub(super) const SMTP_CHECK: &[Keyword] =
    &[later("helo_name", "name to greet with"), later("host", "another address to check").with_block(Block::SmtpHost)];

pub(super) const DNS_CHECK: &[Keyword] = &[later("type", "record type to ask for"), later("name", "name to ask for")];

pub(super) const UDP_CHECK: &[Keyword] = &[
    later("payload", "bytes to send"),
    later("require_reply", "an answer must come"),
    later("min_reply_length", "shortest answer"),
    later("max_reply_length", "longest answer"),
];

pub(super) const MISC_CHECK: &[Keyword] = &[
    later("misc_path", "program to run"),
    later("misc_timeout", "seconds it may take"),
    later("misc_dynamic", "its exit code sets the weight"),
    later("user", "user to run it as"),
];

pub(super) const FILE_CHECK: &[Keyword] = &[
    later("track_file", "file that holds the number"),
    later("weight", "what the number counts"),
    later("dynamic", "the number changes the weight"),
    later("alpha", "down until first read"),
];

pub(super) const BFD_CHECK: &[Keyword] = &[later("name", "the BFD instance")];
