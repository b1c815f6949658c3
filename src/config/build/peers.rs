//! Whom adverts go to: a multicast group, or the peers of `unicast_peer`.

use super::election::Defaults;
use super::items::Item;
use super::values;
use super::*;
use crate::config::problem::Level;
use crate::config::text::Word;
use crate::vrrp::Spec;
use crate::vrrp::spec::{Peer, Peers};
use crate::wire::Addr;

impl Builder<'_> {
    pub(super) fn peers(&mut self, items: &[Item<'_>], defaults: &Defaults, spec: &mut Spec, strict: bool) {
        let find = |name: &str| items.iter().find(|item| item.name == name);
        let lines: Vec<_> = items.iter().filter(|item| item.name == "unicast_peer").collect();
        let peers: Vec<Peer> =
            lines.iter().flat_map(|item| item.body()).filter_map(|line| self.peer(&line.words, spec.family)).collect();
        let lonely = find("unicast_fault_no_peer");
        let unicast = find("unicast_src_ip").or(find("unicast_ttl")).or(lines.first().copied()).or(lonely);
        spec.lonely = lonely.is_some() && peers.is_empty();
        spec.needs_source = find("track_src_ip").is_some();
        spec.source =
            find("unicast_src_ip").or(find("mcast_src_ip")).and_then(|item| self.of_family(item, spec.family));
        if let Some(item) = unicast.filter(|_| peers.is_empty()) {
            let message = match lonely {
                Some(_) => "no unicast peer is named: the instance never takes part",
                None => "no unicast peer is named: adverts go by multicast",
            };
            self.reports.warning(item.span(), message, "name the other directors in `unicast_peer`");
        }
        if let Some(item) = find("track_src_ip").filter(|_| spec.source.is_none()) {
            let hint = "name it by `unicast_src_ip` or `mcast_src_ip`";
            self.reports.warning(item.span(), "`track_src_ip` has no address to track", hint);
        }
        if let Some(item) = unicast.filter(|_| strict) {
            self.reports.warning(
                item.span(),
                "the RFC that strict mode means knows no unicast; it is used all the same",
                "",
            );
        }
        if !peers.is_empty() {
            spec.peers = Peers::Unicast {
                peers,
                ttl: find("unicast_ttl").and_then(Item::number).unwrap_or(u8::MAX),
                only_peers: find("check_unicast_src").map_or(defaults.only_peers, Item::is_on),
            };
            return;
        }
        let group = find("mcast_dst_ip").and_then(|item| self.of_family(item, spec.family));
        if let Some(group) = group.or(defaults.groups[usize::from(spec.family == Family::V6)]) {
            spec.peers = Peers::Multicast(group);
        }
    }

    fn of_family(&mut self, item: &Item<'_>, family: Family) -> Option<Addr> {
        let address = Addr::from(item.address()?);
        if address.family() == family {
            return Some(address);
        }
        self.reports.error(
            item.words()[0].span,
            format!("`{}` is of another family than the addresses", item.name),
            "",
        );
        None
    }

    /// `ADDRESS [min_ttl N] [max_ttl N]`.
    fn peer(&mut self, words: &[Word], family: Family) -> Option<Peer> {
        let address = match values::address(&words[0]) {
            Ok(address) => Addr::from(address),
            Err(fault) => {
                self.fault(Level::Error, "unicast_peer", words[0].span, fault);
                return None;
            }
        };
        if address.family() != family {
            self.reports.error(words[0].span, "a peer of another family than the addresses", "");
        }
        let mut ttl = (0, u8::MAX);
        for pair in words[1..].chunks(2) {
            let limit = match pair[0].text.as_str() {
                "min_ttl" => &mut ttl.0,
                "max_ttl" => &mut ttl.1,
                other => {
                    self.reports.warning(
                        pair[0].span,
                        format!("unknown word `{other}` after a peer; ignored"),
                        "each peer needs its own line",
                    );
                    continue;
                }
            };
            match pair.get(1).map(|word| (word, values::number(word, 0, 255))) {
                // At most 255.
                Some((_, Ok(value))) => *limit = value as u8,
                Some((word, Err(fault))) => self.fault(Level::Error, &pair[0].text, word.span, fault),
                None => self.reports.error(pair[0].span, format!("`{}` needs a value", pair[0].text), "0 to 255"),
            }
        }
        Some(Peer { address, ttl })
    }
}
