//! The text of a `keepalived.conf`, put together from what a test cares about.

use std::fmt::{self, Display};

/// One `virtual_server`.
#[derive(Clone, Debug)]
pub struct Service {
    /// Virtual address.
    pub vip: String,
    /// Virtual port.
    pub port: u16,
    /// `lb_algo`.
    pub scheduler: &'static str,
    /// `lb_kind`.
    pub method: &'static str,
    /// `persistence_timeout` in seconds; 0 leaves it out.
    pub persistence: u32,
    /// `protocol`.
    pub protocol: &'static str,
    /// More lines of the service, as in the file.
    pub lines: &'static str,
    /// Addresses of the real servers.
    pub servers: Vec<String>,
    /// Port of the real servers.
    pub real_port: u16,
    /// The checker of every real server, as in the file; empty for none.
    pub check: &'static str,
}

/// A TCP_CHECK that notices within a few seconds. Only the first keyword of a line counts.
pub const QUICK_TCP_CHECK: &str = "TCP_CHECK {
            connect_timeout 1
            retry 1
            delay_before_retry 1
        }";

/// An HTTP_GET that notices within a few seconds.
pub const QUICK_HTTP_GET: &str = "HTTP_GET {
            url {
                path /
                status_code 200
            }
            connect_timeout 1
            retry 1
            delay_before_retry 1
        }";

impl Default for Service {
    fn default() -> Self {
        Self {
            vip: String::new(),
            port: 80,
            scheduler: "rr",
            method: "NAT",
            persistence: 0,
            protocol: "TCP",
            lines: "",
            servers: Vec::new(),
            real_port: 80,
            check: "",
        }
    }
}

impl Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vip, port, scheduler, method, protocol, real_port, lines, check, .. } = self;
        writeln!(f, "virtual_server {vip} {port} {{")?;
        writeln!(f, "    delay_loop 1\n    lb_algo {scheduler}\n    lb_kind {method}\n    protocol {protocol}")?;
        if self.persistence > 0 {
            writeln!(f, "    persistence_timeout {}", self.persistence)?;
        }
        if !lines.is_empty() {
            writeln!(f, "    {lines}")?;
        }
        for server in &self.servers {
            writeln!(f, "    real_server {server} {real_port} {{\n        weight 1\n        {check}\n    }}")?;
        }
        writeln!(f, "}}")
    }
}

/// A `vrrp_instance` that puts addresses of one family on an interface, at once: it owns them.
pub fn instance(name: &str, router_id: u8, interface: &str, addresses: &[&str]) -> String {
    format!(
        "vrrp_instance {name} {{\n    state MASTER\n    interface {interface}\n    virtual_router_id {router_id}\n    \
         priority 255\n    virtual_ipaddress {{\n        {}\n    }}\n}}\n",
        addresses.join("\n        ")
    )
}
