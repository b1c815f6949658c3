use proptest::prelude::*;

use super::super::facts::{Below, RouteKey, Table};
use super::*;
use crate::service::HopTo;
use crate::wire::Mac;

fn addr(text: &str) -> Addr {
    text.parse::<std::net::IpAddr>().unwrap().into()
}

fn link(index: u32, name: &str) -> Event {
    Event::Link(Link {
        index,
        name: name.into(),
        mac: Mac([2, 0, 0, 0, 0, index as u8]),
        mtu: 1500,
        up: true,
        running: true,
        below: None,
    })
}

fn own(link: u32, address: &str, prefix: u8) -> Event {
    Event::Address(Address { link, address: addr(address), prefix, scope: 0, secondary: false, usable: true })
}

fn entry(destination: &str, prefix: u8, link: Option<u32>, gateway: Option<&str>) -> RouteEntry {
    let key = RouteKey { table: Table::Main, destination: addr(destination), prefix, metric: 0 };
    RouteEntry { key, link, gateway: gateway.map(addr), source: None, mtu: None, multipath: false }
}

fn route(destination: &str, prefix: u8, link: Option<u32>, gateway: Option<&str>) -> Event {
    Event::Route { route: entry(destination, prefix, link, gateway), replaces: false }
}

fn neighbour(link: u32, address: &str, last: Option<u8>) -> Event {
    let reach = last.map_or(Reach::Unresolved, |last| Reach::Fresh(Mac([6, 0, 0, 0, 0, last])));
    Event::Neighbour { link, address: addr(address), reach }
}

fn ports() -> Vec<String> {
    vec!["eth0".into(), "eth1".into()]
}

/// eth0 towards the clients with a default route, eth1 towards the servers, eth2 not attached to.
fn mirror() -> Mirror {
    let mut mirror = Mirror::default();
    for event in [
        link(2, "eth0"),
        link(3, "eth1"),
        link(4, "eth2"),
        own(2, "192.0.2.1", 24),
        own(3, "10.1.0.1", 24),
        own(3, "2001:db8::1", 64),
        route("0.0.0.0", 0, Some(2), Some("192.0.2.254")),
        route("192.0.2.0", 24, Some(2), None),
        route("10.1.0.0", 24, Some(3), None),
        route("10.2.0.0", 24, Some(4), None),
        route("2001:db8::", 64, Some(3), None),
        neighbour(2, "192.0.2.254", Some(1)),
        neighbour(3, "10.1.0.11", Some(2)),
    ] {
        assert_eq!(mirror.apply(event), Effect::Changed);
    }
    mirror
}

/// The destination MAC and port that a packet to `address` would get.
fn way(network: &Network, address: &str) -> Result<([u8; 6], PortId), HopTo> {
    match network.hop_to(addr(address)) {
        HopTo::Ready(id) => {
            let hop = network.hop(id).expect("a ready hop is resolved");
            Ok((hop.macs[..6].try_into().expect("six bytes"), hop.port))
        }
        other => Err(other),
    }
}

#[test]
fn gateways_and_neighbours_become_hops() {
    let network = mirror().network(&ports());
    assert_eq!(way(&network, "8.8.8.8"), Ok(([6, 0, 0, 0, 0, 1], PortId(0))));
    assert_eq!(way(&network, "10.1.0.11"), Ok(([6, 0, 0, 0, 0, 2], PortId(1))));
    let unknown = NextHop { port: PortId(1), address: addr("2001:db8::11") };
    assert_eq!(way(&network, "2001:db8::11"), Err(HopTo::Unresolved(unknown)));
    assert_eq!(way(&network, "10.2.0.11"), Err(HopTo::NoRoute), "the director is not attached there");
    assert_eq!(way(&network, "2001:db9::1"), Err(HopTo::NoRoute), "no IPv6 default route");
}

#[test]
fn what_leads_nowhere_hides_the_wider_route() {
    let mut mirror = mirror();
    mirror.apply(route("198.51.100.0", 24, None, None));
    let mut local = entry("192.0.2.1", 32, None, None);
    local.key.table = Table::Local;
    mirror.apply(Event::Route { route: local, replaces: false });
    let network = mirror.network(&ports());
    assert_eq!(way(&network, "198.51.100.7"), Err(HopTo::NoRoute));
    assert_eq!(way(&network, "192.0.2.1"), Err(HopTo::NoRoute), "the director itself");
}

#[test]
fn the_lower_metric_wins_and_the_local_table_goes_first() {
    let mut mirror = mirror();
    let mut better = entry("10.1.0.0", 24, Some(2), Some("192.0.2.254"));
    let mut worse = better;
    (better.key.metric, worse.key.metric) = (5, 20);
    mirror.apply(Event::RouteGone(entry("10.1.0.0", 24, Some(3), None)));
    mirror.apply(Event::Route { route: RouteEntry { link: Some(3), gateway: None, ..worse }, replaces: false });
    mirror.apply(Event::Route { route: better, replaces: false });
    assert_eq!(way(&mirror.network(&ports()), "10.1.0.11"), Ok(([6, 0, 0, 0, 0, 1], PortId(0))));
    let mut local = worse;
    (local.key.table, local.link, local.gateway) = (Table::Local, None, None);
    mirror.apply(Event::Route { route: local, replaces: false });
    assert_eq!(way(&mirror.network(&ports()), "10.1.0.11"), Err(HopTo::NoRoute));
}

/// A macvlan on top of eth0.
fn on_top(private: bool) -> Event {
    let Event::Link(link) = link(9, "vrrp.51") else { unreachable!("as made") };
    Event::Link(Link { mac: Mac([0, 0, 0x5e, 0, 1, 51]), below: Some(Below { link: 2, private }), ..link })
}

#[test]
fn an_interface_with_a_virtual_mac_address_is_the_port_below_it() {
    let mut mirror = mirror();
    for event in [
        on_top(true),
        own(9, "198.51.100.100", 24),
        route("198.51.100.0", 24, Some(9), None),
        neighbour(9, "198.51.100.7", Some(5)),
    ] {
        assert_eq!(mirror.apply(event), Effect::Changed);
    }
    let network = mirror.network(&ports());
    assert_eq!(way(&network, "198.51.100.7"), Ok(([6, 0, 0, 0, 0, 5], PortId(0))));
    let HopTo::Ready(id) = network.hop_to(addr("198.51.100.7")) else { panic!("it is ready") };
    assert_eq!(network.hop(id).unwrap().macs[6..], [2, 0, 0, 0, 0, 2], "the port's own MAC is the source");
    assert_eq!(mirror.carrier(addr("198.51.100.100")), Some("eth0"));
    assert_eq!(mirror.asks_by("eth0", addr("198.51.100.8")), Some(9), "only it has an address there");
    assert_eq!(mirror.asks_by("eth0", addr("192.0.2.7")), Some(2));
    let first = network.ports[0].addresses.first().map(|own| own.to_string());
    assert_eq!(first.as_deref(), Some("192.0.2.1"), "virtual addresses come last");
    // One that may talk to its neighbours on the same host is an interface of its own.
    mirror.apply(on_top(false));
    assert_eq!(way(&mirror.network(&ports()), "198.51.100.7"), Err(HopTo::NoRoute));
}

#[test]
fn a_new_mac_changes_the_hop_in_place() {
    let mut mirror = mirror();
    let before = mirror.network(&ports());
    assert_eq!(mirror.apply(neighbour(3, "10.1.0.11", Some(9))), Effect::Changed);
    let after = mirror.network(&ports());
    assert_eq!(after.epoch, before.epoch);
    assert_eq!(after.neighbours, before.neighbours);
    assert_eq!(way(&after, "10.1.0.11"), Ok(([6, 0, 0, 0, 0, 9], PortId(1))));
}

#[test]
fn the_epoch_moves_with_every_change_of_an_answer_and_with_no_other() {
    let mut mirror = mirror();
    let mut epoch = mirror.network(&ports()).epoch;
    assert_ne!(epoch, 0);
    let stale = Reach::Stale(Mac([6, 0, 0, 0, 0, 2]));
    for (event, moves) in [
        (neighbour(3, "10.1.0.12", Some(3)), true),
        (neighbour(3, "10.1.0.12", None), true),
        (neighbour(3, "10.1.0.12", None), false),
        (neighbour(3, "10.1.0.13", None), false),
        (Event::Neighbour { link: 3, address: addr("10.1.0.11"), reach: stale }, false),
        (neighbour(4, "10.2.0.11", Some(4)), false),
        (route("10.3.0.0", 16, Some(3), Some("10.1.0.11")), true),
        (route("10.3.0.0", 16, Some(3), Some("10.1.0.11")), false),
        (Event::RouteGone(entry("10.3.0.0", 16, Some(3), Some("10.1.0.11"))), true),
        (own(4, "10.2.0.1", 24), false),
    ] {
        let text = format!("{event:?}");
        mirror.apply(event);
        let network = mirror.network(&ports());
        assert_eq!(network.epoch != epoch, moves, "{text}");
        epoch = network.epoch;
    }
}

#[test]
fn a_hop_id_outlives_its_neighbour_s_absence() {
    let mut mirror = mirror();
    let next = NextHop { port: PortId(1), address: addr("10.1.0.11") };
    let before = mirror.network(&ports()).neighbours[&next];
    mirror.apply(neighbour(3, "10.1.0.11", None));
    mirror.apply(neighbour(3, "10.1.0.10", Some(7)));
    let without = mirror.network(&ports());
    assert_eq!(way(&without, "10.1.0.11"), Err(HopTo::Unresolved(next)));
    assert!(without.hop(before).is_none());
    mirror.apply(neighbour(3, "10.1.0.11", Some(8)));
    assert_eq!(mirror.network(&ports()).neighbours[&next], before);
}

#[test]
fn the_source_is_the_address_nearest_to_the_gateway() {
    let mut mirror = mirror();
    mirror.apply(own(2, "192.0.2.100", 32));
    mirror.apply(own(2, "172.16.0.1", 24));
    mirror.apply(route("10.9.0.0", 16, Some(2), Some("172.16.0.254")));
    mirror.apply(Event::Route {
        route: RouteEntry { source: Some(addr("192.0.2.100")), ..entry("10.8.0.0", 16, Some(2), Some("192.0.2.254")) },
        replaces: false,
    });
    let network = mirror.network(&ports());
    let source = |to: &str| network.routes.lookup(addr(to)).and_then(|route| route.source).map(|own| own.to_string());
    assert_eq!(source("8.8.8.8").as_deref(), Some("192.0.2.1"));
    assert_eq!(source("10.9.0.1").as_deref(), Some("172.16.0.1"));
    assert_eq!(source("10.8.0.1").as_deref(), Some("192.0.2.100"), "the route's own choice");
    assert_eq!(source("2001:db8::11").as_deref(), Some("2001:db8::1"));
    let preferred = network.ports[0].addresses.last().map(|own| own.to_string());
    assert_eq!(preferred.as_deref(), Some("192.0.2.100"), "a host address is the last choice");
}

#[test]
fn the_mtu_of_a_route_bounds_that_of_the_link() {
    let mut mirror = mirror();
    mirror.apply(Event::Route {
        route: RouteEntry { mtu: Some(1400), ..entry("10.8.0.0", 16, Some(3), None) },
        replaces: false,
    });
    mirror.apply(Event::Link(Link {
        index: 3,
        name: "eth1".into(),
        mac: Mac([2; 6]),
        mtu: 9000,
        up: true,
        running: true,
        below: None,
    }));
    let network = mirror.network(&ports());
    let mtu = |to: &str| network.routes.lookup(addr(to)).map(|route| route.mtu);
    assert_eq!((mtu("10.8.0.1"), mtu("10.1.0.11")), (Some(1400), Some(9000)));
    assert_eq!((network.ports[1].mtu, network.hops[1].mtu), (9000, 9000));
    assert_eq!(network.hops[1].macs[6..], [2; 6], "the link's own MAC is the source");
}

#[test]
fn what_the_kernel_does_not_tell_in_full_asks_for_a_dump() {
    let down = Event::Link(Link {
        index: 3,
        name: "eth1".into(),
        mac: Mac([2; 6]),
        mtu: 1500,
        up: false,
        running: false,
        below: None,
    });
    let mut spread = entry("10.1.0.0", 24, Some(3), Some("10.1.0.2"));
    spread.multipath = true;
    let known = entry("10.1.0.0", 24, Some(3), None);
    let replacing = |route| Event::Route { route, replaces: true };
    for (events, effect) in [
        (vec![down], Effect::Resync),
        (vec![Event::LinkGone(3)], Effect::Resync),
        (vec![Event::LinkGone(77)], Effect::None),
        (
            vec![Event::AddressGone(Address {
                link: 3,
                address: addr("10.1.0.1"),
                prefix: 24,
                scope: 0,
                secondary: false,
                usable: true,
            })],
            Effect::Resync,
        ),
        (vec![replacing(entry("10.1.0.0", 24, Some(2), None))], Effect::Changed),
        (vec![replacing(known)], Effect::None),
        (vec![Event::RouteGone(entry("10.1.0.0", 24, Some(2), None))], Effect::Resync),
        (vec![Event::RouteGone(entry("10.77.0.0", 24, Some(2), None))], Effect::None),
        (vec![replacing(spread), Event::RouteGone(spread)], Effect::Resync),
        (vec![route("10.1.0.0", 24, Some(2), None), replacing(known)], Effect::Resync),
    ] {
        let text = format!("{events:?}");
        let mut mirror = mirror();
        let last = events.into_iter().map(|event| mirror.apply(event)).last();
        assert_eq!(last, Some(effect), "{text}");
    }
}

#[test]
fn a_replaced_route_is_gone() {
    let mut mirror = mirror();
    let by_gateway = entry("10.1.0.0", 24, Some(2), Some("192.0.2.254"));
    mirror.apply(Event::Route { route: by_gateway, replaces: true });
    assert_eq!(way(&mirror.network(&ports()), "10.1.0.11"), Ok(([6, 0, 0, 0, 0, 1], PortId(0))));
    mirror.apply(Event::RouteGone(by_gateway));
    assert_eq!(way(&mirror.network(&ports()), "10.1.0.11"), Ok(([6, 0, 0, 0, 0, 1], PortId(0))), "the default route");
}

/// An object of the kernel, as an event that tells of it and one that ends it.
fn object() -> impl Strategy<Value = (Event, Event)> {
    let mac = (0..4u8).prop_map(Some);
    prop_oneof![
        (2..5u32, 0..6u8, mac).prop_map(|(link, last, mac)| {
            let address = format!("10.{link}.0.{last}");
            (neighbour(link, &address, mac), neighbour(link, &address, None))
        }),
        (0..6u8, 8..25u8, 2..5u32, 0..3u32).prop_map(|(net, prefix, link, metric)| {
            let mut entry = entry(&format!("10.{net}.0.0"), prefix, Some(link), None);
            entry.key.destination = entry.key.destination.masked(prefix);
            entry.key.metric = metric;
            (Event::Route { route: entry, replaces: false }, Event::RouteGone(entry))
        }),
        (2..5u32, 1..6u8).prop_map(|(link, last)| {
            let address = Address {
                link,
                address: addr(&format!("10.{link}.0.{last}")),
                prefix: 24,
                scope: 0,
                secondary: last > 3,
                usable: true,
            };
            (Event::Address(address), Event::AddressGone(address))
        }),
    ]
}

/// What two networks must agree on, however the hop ids fell.
fn answers(network: &Network) -> Vec<String> {
    let probes = (0..6).flat_map(|net| (0..6).map(move |last| format!("10.{net}.0.{last}")));
    let ways = probes.map(|to| format!("{to}: {:?} {:?}", way(network, &to), network.routes.lookup(addr(&to))));
    ways.chain(network.ports.iter().map(|port| format!("{port:?}"))).collect()
}

proptest! {
    /// However objects came and went, and whenever the network was looked at, the end is that of a fresh dump.
    #[test]
    fn the_order_of_events_does_not_matter(
        last in proptest::collection::vec((object(), any::<bool>()), 0..40).prop_shuffle(),
        passing in proptest::collection::vec(object(), 0..20),
    ) {
        let mut followed = Mirror::default();
        for (appears, _) in &passing {
            followed.apply(appears.clone());
        }
        for event in [link(3, "eth1"), link(2, "eth0"), link(4, "eth2")] {
            followed.apply(event);
        }
        followed.network(&ports());
        for (_, vanishes) in passing {
            followed.apply(vanishes);
        }
        let mut objects: Vec<Event> = Vec::new();
        for ((appears, vanishes), flaps) in last {
            if flaps {
                followed.apply(appears.clone());
                followed.network(&ports());
                followed.apply(vanishes.clone());
            }
            // Only the last word about an object counts in a dump.
            objects.retain(|event| name(event) != name(&appears));
            followed.apply(appears.clone());
            objects.push(appears);
        }
        objects.sort_by_key(|event| format!("{event:?}"));
        let mut fresh = Mirror::default();
        for event in [link(2, "eth0"), link(3, "eth1"), link(4, "eth2")].into_iter().chain(objects) {
            fresh.apply(event);
        }
        prop_assert_eq!(answers(&followed.network(&ports())), answers(&fresh.network(&ports())));
    }
}

/// Which object an event is about.
fn name(event: &Event) -> String {
    match event {
        Event::Neighbour { link, address, .. } => format!("neighbour {link} {address}"),
        Event::Address(own) => format!("address {} {}", own.link, own.address),
        other => format!("{other:?}"),
    }
}
