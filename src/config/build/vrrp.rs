//! `vrrp_instance`: an election, and the addresses that it is about.

use super::election::Defaults;
use super::items::{Item, has};
use super::tracking;
use super::*;
use crate::config::model::VrrpInstance;
use crate::config::text::Word;
use crate::vrrp::Spec;

/// Addresses that fit into an advert: its header counts them in a byte, and IPv6 must fit into an Ethernet frame.
const MOST: [usize; 2] = [255, 90];

impl Builder<'_> {
    pub(super) fn instance(&mut self, block: &Item<'_>, defaults: &Defaults, instances: &mut Vec<VrrpInstance>) {
        let items = self.items(Block::VrrpInstance, block.body());
        let Some(name) = block.words().first() else {
            return self.reports.error(block.span(), "`vrrp_instance` needs a name", "");
        };
        if !self.names.insert(name.text.clone()) {
            self.reports.error(name.span, format!("a vrrp_instance `{}` is there already", name.text), "");
        }
        let given = |name: &str| items.iter().find(|item| item.name == name);
        let interface = given("interface").and_then(Item::text).or(defaults.interface.as_deref());
        self.needs(name, "interface", has(&items, "interface") || interface.is_some());
        self.needs(name, "virtual_router_id", has(&items, "virtual_router_id"));
        let interface = interface.unwrap_or_default();
        let mut listed = self.addresses(&items, interface);
        if listed.is_empty() && !has(&items, "no_virtual_ipaddress") {
            self.reports.warning(name.span, format!("instance `{}` has no address", name.text), "");
        }
        let first = listed.iter().find(|listed| listed.advertised).map(|listed| listed.address.address);
        let family = election::family(&items, first);
        let most = MOST[usize::from(family == Family::V6)];
        for surplus in listed.iter_mut().filter(|listed| listed.advertised).skip(most) {
            surplus.advertised = false;
            let message = format!("an advert has room for {most} addresses; it leaves this one out");
            self.reports.warning(surplus.span, message, "put it into virtual_ipaddress_excluded");
        }
        let router = given("virtual_router_id").and_then(Item::number).unwrap_or_default();
        let mut spec = Spec::new(&name.text, interface, router, family);
        spec.addresses =
            listed.iter().filter(|listed| listed.advertised).map(|listed| listed.address.address.into()).collect();
        self.election(&items, defaults, &mut spec);
        self.unique(name, &spec);
        let device = self.virtual_macs(&items, defaults, &mut spec, &mut listed);
        let addresses = listed.into_iter().map(|listed| listed.address).collect();
        let (routes, rules) = (self.routes(&items, "virtual_routes"), self.rules(&items, "virtual_rules"));
        let hooks = self.hooks(&items, defaults);
        self.tracked.push(tracking::lines(&items));
        let promotes = has(&items, "promote_secondaries");
        let accepts = self.accepts(&items, spec.priority);
        instances.push(VrrpInstance { election: spec, addresses, device, accepts, promotes, routes, rules, hooks });
    }

    /// Accept_Mode of RFC 9568 6.1. It is not off by default under `strict_mode`: nobody expects that.
    fn accepts(&mut self, items: &[Item<'_>], priority: u8) -> bool {
        let said = items.iter().rfind(|item| matches!(item.name, "accept" | "no_accept"));
        let Some(refusing) = said.filter(|item| item.name == "no_accept") else { return true };
        let is_owner = priority == u8::MAX;
        if is_owner {
            let hint = "an owner takes all that comes for its addresses; lower the priority";
            self.reports.warning(refusing.span(), "`no_accept` has no effect with priority 255", hint);
        }
        is_owner
    }

    fn needs(&mut self, name: &Word, keyword: &str, given: bool) {
        if !given {
            self.reports.error(name.span, format!("instance `{}` has no `{keyword}`", name.text), "");
        }
    }

    fn unique(&mut self, name: &Word, spec: &Spec) {
        let key = (spec.interface.clone(), spec.router, spec.family);
        if spec.router != 0
            && let Some(other) = self.instances.insert(key, name.text.clone())
        {
            let message = format!("`{other}` and `{}` both use virtual_router_id {}", name.text, spec.router);
            self.reports.error(name.span, message, format!("on {}", spec.interface));
        }
    }
}
