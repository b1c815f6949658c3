//! `real_server` and `sorry_server`.

use super::checks::Timing;
use super::items::Item;
use super::*;
use crate::config::model::RealServer;
use crate::service::{Method, Thresholds};
use crate::wire::{Endpoint, ServiceKey};

/// What a real server takes from its virtual server.
pub(super) struct Outer<'a> {
    /// Where the service is; `None` if that is wrong.
    /// What it serves.
    pub(super) keys: &'a [ServiceKey],
    pub(super) method: Method,
    pub(super) inhibit: bool,
    pub(super) timing: Timing,
    pub(super) virtual_host: Option<&'a str>,
}

/// A server as one of this service: without a port of its own it is reached at the service's, and only NAT reaches it at
/// another. Packets with a mark keep the port that they came for.
pub(super) fn of_service(server: &RealServer, key: ServiceKey) -> RealServer {
    let given = server.real.port;
    let has_own = matches!(server.method, Method::Nat | Method::Full) && key.virtual_.port != 0;
    let port = if has_own && given != 0 { given } else { key.virtual_.port };
    RealServer { real: Endpoint { port, ..server.real }, ..server.clone() }
}

impl Builder<'_> {
    /// A server with the port that it is given, or 0.
    pub(super) fn real_server(&mut self, block: &Item<'_>, outer: &Outer<'_>) -> Option<RealServer> {
        let items = self.items(Block::RealServer, block.body());
        let method = self.method(&items, &["lvs_method", "lb_kind"]).unwrap_or(outer.method);
        let find = |name: &str| items.iter().find(|item| item.name == name);
        let (address, port) = self.endpoint(block, block.words())?;
        let real = Endpoint::new(address, port.unwrap_or(0));
        self.is_reachable(block, outer, method, real);
        // A check goes to the port that the file names, even if the service's own takes its place.
        let service_port = outer.keys.first().map_or(0, |key| key.virtual_.port);
        let asked = Endpoint::new(address, port.unwrap_or(service_port));
        let inner = Outer {
            keys: outer.keys,
            method,
            inhibit: find("inhibit_on_failure").map_or(outer.inhibit, Item::is_on),
            timing: Timing::of(&items).or(outer.timing),
            virtual_host: find("virtualhost").and_then(Item::text).or(outer.virtual_host),
        };
        Some(RealServer {
            real,
            method,
            weight: find("weight").and_then(Item::number).unwrap_or(1),
            thresholds: self.thresholds(find("uthreshold"), find("lthreshold")),
            inhibit_on_failure: inner.inhibit,
            checks: self.checks(&items, asked, &inner),
        })
    }

    /// The kernel refuses a lower threshold above the upper one (`ip_vs_ctl.c: ip_vs_add_dest`).
    fn thresholds(&mut self, upper: Option<&Item<'_>>, lower: Option<&Item<'_>>) -> Thresholds {
        let number = |item: Option<&Item<'_>>| item.and_then(Item::number).unwrap_or_default();
        let thresholds = Thresholds { upper: number(upper), lower: number(lower) };
        if let (true, Some(lower)) = (thresholds.lower > thresholds.upper, lower) {
            let message = format!("`lthreshold` {} is above `uthreshold` {}", thresholds.lower, thresholds.upper);
            self.reports.error(lower.statement.span(), message, "expected a number below that of `uthreshold`");
        }
        thresholds
    }

    /// Whether the method can bring packets there.
    fn is_reachable(&mut self, block: &Item<'_>, outer: &Outer<'_>, method: Method, real: Endpoint) {
        let span = block.statement.span();
        let off = |key: &&ServiceKey| !matches!(method, Method::Tun(_)) && key.family() != real.addr.family();
        if let Some(key) = outer.keys.iter().find(off) {
            let service = if key.mark().is_some() { key.to_string() } else { key.virtual_.addr.to_string() };
            let message = format!("{} is of another family than {service}", real.addr);
            self.reports.error(span, message, "only TUN goes from one family to the other");
        }
        if real.port == 0 {
            return;
        }
        let message = format!("port {} is ignored", real.port);
        if outer.keys.iter().any(|key| key.virtual_.port == 0) {
            let hint = "packets of a service for all ports keep theirs; checks go there";
            self.reports.warning(span, message, hint);
        } else if let Some(key) = outer.keys.iter().find(|key| key.virtual_.port != real.port)
            && !matches!(method, Method::Nat | Method::Full)
        {
            let hint = format!("the service's port {} is used", key.virtual_.port);
            self.reports.warning(span, format!("{message}: only NAT changes ports"), hint);
        }
    }

    pub(super) fn sorry_server(&mut self, items: &[Item<'_>], outer: &Outer<'_>) -> Option<RealServer> {
        let block = items.iter().find(|item| item.name == "sorry_server")?;
        let method = self.method(items, &["sorry_server_lvs_method"]).unwrap_or(outer.method);
        let (address, port) = self.endpoint(block, block.words())?;
        let real = Endpoint::new(address, port.unwrap_or(0));
        self.is_reachable(block, outer, method, real);
        Some(RealServer {
            real,
            method,
            weight: 1,
            thresholds: Thresholds::default(),
            inhibit_on_failure: items.iter().any(|item| item.name == "sorry_server_inhibit" && item.is_on()),
            checks: Vec::new(),
        })
    }
}
