//! `real_server` and `sorry_server`.

use std::net::IpAddr;

use super::checks::Timing;
use super::items::Item;
use super::*;
use crate::config::model::RealServer;
use crate::service::{Method, Thresholds};
use crate::wire::Endpoint;

/// What a real server takes from its virtual server.
pub(super) struct Outer<'a> {
    /// Where the service is; `None` if that is wrong.
    pub(super) virtual_: Option<Endpoint>,
    pub(super) method: Method,
    pub(super) inhibit: bool,
    pub(super) timing: Timing,
    pub(super) virtual_host: Option<&'a str>,
}

impl Builder<'_> {
    pub(super) fn real_server(&mut self, block: &Item<'_>, outer: &Outer<'_>) -> Option<RealServer> {
        let items = self.items(Block::RealServer, block.body());
        let method = self.method(&items, &["lvs_method", "lb_kind"]).unwrap_or(outer.method);
        let find = |name: &str| items.iter().find(|item| item.name == name);
        let (address, port) = self.endpoint(block, block.words())?;
        let real = self.reachable(block, outer, method, address, port);
        // A check goes to the port that the file names, even if the service's own takes its place.
        let asked = Endpoint::new(address, port.unwrap_or(real.port));
        let inner = Outer {
            virtual_: outer.virtual_,
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

    /// The address and port that packets are sent to, if the method can do that.
    fn reachable(
        &mut self,
        block: &Item<'_>,
        outer: &Outer<'_>,
        method: Method,
        address: IpAddr,
        port: Option<u16>,
    ) -> Endpoint {
        let Some(virtual_) = outer.virtual_ else { return Endpoint::new(address, port.unwrap_or_default()) };
        let span = block.statement.span();
        let real = Endpoint::new(address, port.unwrap_or(virtual_.port));
        if !matches!(method, Method::Tun(_)) && real.addr.family() != virtual_.addr.family() {
            let message = format!("{address} is of another family than {}", virtual_.addr);
            self.reports.error(span, message, "only TUN goes from one family to the other");
        }
        if method != Method::Nat && real.port != virtual_.port {
            let message = format!("port {} is ignored: only NAT changes ports", real.port);
            self.reports.warning(span, message, format!("the service's port {} is used", virtual_.port));
            return Endpoint { port: virtual_.port, ..real };
        }
        real
    }

    pub(super) fn sorry_server(&mut self, items: &[Item<'_>], outer: &Outer<'_>) -> Option<RealServer> {
        let block = items.iter().find(|item| item.name == "sorry_server")?;
        let method = self.method(items, &["sorry_server_lvs_method"]).unwrap_or(outer.method);
        let (address, port) = self.endpoint(block, block.words())?;
        Some(RealServer {
            real: self.reachable(block, outer, method, address, port),
            method,
            weight: 1,
            thresholds: Thresholds::default(),
            inhibit_on_failure: items.iter().any(|item| item.name == "sorry_server_inhibit" && item.is_on()),
            checks: Vec::new(),
        })
    }
}
