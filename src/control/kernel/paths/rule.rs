//! A rule as the kernel is told of it.

use netlink_packet_route::rule::{
    RuleAction as Action, RuleAttribute, RuleFlags, RuleMessage, RulePortRange, RuleUidRange,
};

use crate::config::model::{RuleAction, VirtualRule};

pub(super) fn message(rule: &VirtualRule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = super::family(rule.family);
    message.header.src_len = rule.from.map_or(0, |prefix| prefix.length);
    message.header.dst_len = rule.to.map_or(0, |prefix| prefix.length);
    message.header.tos = rule.tos;
    message.header.flags.set(RuleFlags::Invert, rule.inverted);
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Protocol(rule.protocol.into()));
    message.header.action = action(rule.action, attributes);
    attributes.extend(rule.from.map(|prefix| RuleAttribute::Source(prefix.address)));
    attributes.extend(rule.to.map(|prefix| RuleAttribute::Destination(prefix.address)));
    attributes.extend(rule.incoming.clone().map(RuleAttribute::Iifname));
    attributes.extend(rule.outgoing.clone().map(RuleAttribute::Oifname));
    attributes.extend(rule.mark.map(|(mark, _)| RuleAttribute::FwMark(mark)));
    attributes.extend(rule.mark.and_then(|(_, mask)| mask).map(RuleAttribute::FwMask));
    attributes.extend(rule.users.map(|(start, end)| RuleAttribute::UidRange(RuleUidRange { start, end })));
    attributes.extend(rule.transport.map(|number| RuleAttribute::IpProtocol(number.into())));
    let ports = |(start, end)| RulePortRange { start, end };
    attributes.extend(rule.source_ports.map(|range| RuleAttribute::SourcePortRange(ports(range))));
    attributes.extend(rule.destination_ports.map(|range| RuleAttribute::DestinationPortRange(ports(range))));
    attributes.extend(rule.realms.map(|realms| RuleAttribute::Realm(super::realms(realms))));
    attributes.extend(rule.suppressed_length.map(RuleAttribute::SuppressPrefixLen));
    attributes.extend(rule.suppressed_group.map(RuleAttribute::SuppressIfGroup));
    attributes.push(RuleAttribute::Priority(rule.priority));
    message
}

/// The number for the header; where to look or go is an attribute.
fn action(action: RuleAction, attributes: &mut Vec<RuleAttribute>) -> Action {
    match action {
        RuleAction::Table(table) => {
            attributes.push(RuleAttribute::Table(table));
            Action::ToTable
        }
        RuleAction::MasterTable => {
            attributes.push(RuleAttribute::L3MDev(true));
            Action::ToTable
        }
        RuleAction::Goto(priority) => {
            attributes.push(RuleAttribute::Goto(priority));
            Action::Goto
        }
        RuleAction::Nop => Action::Nop,
        RuleAction::Blackhole => Action::Blackhole,
        RuleAction::Unreachable => Action::Unreachable,
        RuleAction::Prohibit => Action::Prohibit,
    }
}
