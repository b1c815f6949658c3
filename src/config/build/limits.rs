//! `limit ADDRESS PORT PROTOCOL [connections N] [rate N]` in the `ringmaster` block: what one virtual server is limited to.
//!
//! It stands there and not in the `virtual_server`, where keepalived would not know it.

use super::items::Item;
use super::values::{self, Fault};
use super::*;
use crate::config::model::VirtualServer;
use crate::config::text::Span;
use crate::service::{Limits, MOST_RATE};
use crate::wire::{Endpoint, Protocol};

/// One such line.
pub(super) struct Limit {
    span: Span,
    key: ServiceKey,
    limits: Limits,
}

impl Builder<'_> {
    /// Reads a line; the service that it means may come later in the file.
    pub(super) fn limit(&mut self, item: &Item<'_>) {
        let (name, rest) = item.words().split_at(item.words().len().min(3));
        let [_, _, protocol] = name else {
            let message = "`limit` names no virtual server";
            self.reports.error(item.statement.span(), message, "ADDRESS PORT TCP|UDP|SCTP connections N rate N");
            return;
        };
        let number = match protocol.text.to_ascii_uppercase().as_str() {
            "TCP" => Ok(Protocol::TCP),
            "UDP" => Ok(Protocol::UDP),
            "SCTP" => Ok(Protocol::SCTP),
            other => Err(Fault::new(other, "TCP, UDP or SCTP")),
        };
        let number = self.or_fault(item, protocol, number);
        let address = self.endpoint(item, &name[..2]);
        let limits = self.limits(item, rest);
        let (Some(protocol), Some((address, Some(port))), Some(limits)) = (number, address, limits) else { return };
        let key = ServiceKey { protocol, virtual_: Endpoint::new(address, port) };
        self.limits.push(Limit { span: item.statement.span(), key, limits });
    }

    fn limits(&mut self, item: &Item<'_>, words: &[crate::config::text::Word]) -> Option<Limits> {
        let mut limits = Limits::default();
        for pair in words.chunks(2) {
            let (place, most) = match pair[0].text.as_str() {
                "connections" => (&mut limits.connections, u64::from(u32::MAX)),
                "rate" => (&mut limits.rate, u64::from(MOST_RATE)),
                other => return self.or_fault(item, &pair[0], Err(Fault::new(other, "connections or rate"))),
            };
            let Some(value) = pair.get(1) else {
                self.reports.error(pair[0].span, format!("`{}` needs a value", pair[0].text), "a number");
                return None;
            };
            // The range is that of its type.
            *place = self.or_fault(item, value, values::number(value, 1, most))? as u32;
        }
        Some(limits)
    }

    /// Gives each service its limits, once all are known.
    pub(super) fn set_limits(&mut self, services: &mut [VirtualServer]) {
        for Limit { span, key, limits } in std::mem::take(&mut self.limits) {
            match services.iter_mut().find(|service| service.key == key) {
                Some(service) => service.limits = limits,
                None => {
                    let message = format!("`limit` {} is of no virtual_server", key.virtual_);
                    self.reports.error(span, message, "expected address, port and protocol of one");
                }
            }
        }
    }
}
