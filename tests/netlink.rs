//! The kernel's tables followed, and virtual addresses placed, in real network namespaces. Needs root.

mod support;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use ringmaster::config::model::VirtualAddress;
use ringmaster::control::kernel::{Kernel, VirtualAddresses};
use ringmaster::io::PortId;
use ringmaster::service::{HopTo, Network, NextHop};
use ringmaster::wire::{Addr, Mac};
use support::netns::{self, Namespace, veth};

/// How long the kernel may take for anything here: a bound on failure, not a time that is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The director's side of two links: `s0` to a server, `c0` to a client.
struct Lab {
    director: Namespace,
    server: Namespace,
    _client: Namespace,
}

fn lab() -> Lab {
    let (director, server, client) = (Namespace::new("d"), Namespace::new("s"), Namespace::new("c"));
    veth((&director, "s0", "10.1.0.1/24"), (&server, "e0", "10.1.0.11/24"), 1);
    veth((&director, "c0", "192.0.2.1/24"), (&client, "e0", "192.0.2.254/24"), 1);
    director.exec("ip -6 address add 2001:db8::1/64 dev s0 nodad");
    server.exec("ip -6 address add 2001:db8::11/64 dev e0 nodad");
    Lab { director, server, _client: client }
}

fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().expect("an address").into()
}

/// Runs the control thread's kind of runtime inside a namespace.
fn inside<R: Send>(namespace: &Namespace, work: impl AsyncFnOnce() -> R + Send) -> R {
    namespace.enter(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async { tokio::time::timeout(PATIENCE * 3, work()).await.expect("the test is bounded") })
    })
}

/// Follows until the network is as wanted.
async fn until(kernel: &mut Kernel, what: &str, wanted: impl Fn(&Network) -> bool) -> Network {
    let follow = async {
        loop {
            let network = kernel.changed().await.expect("the kernel is followed");
            if wanted(&network) {
                return network;
            }
        }
    };
    tokio::time::timeout(PATIENCE, follow).await.unwrap_or_else(|_| panic!("never seen: {what}"))
}

fn neighbour_mac(network: &Network, address: &str) -> Option<Mac> {
    match network.hop_to(addr(address)) {
        HopTo::Ready(id) => network.hop(id).map(|hop| Mac(hop.macs[..6].try_into().expect("six bytes"))),
        _ => None,
    }
}

fn ports() -> Vec<String> {
    vec!["c0".into(), "s0".into()]
}

#[test]
fn routes_neighbours_and_macs_are_followed() {
    if !netns::available() {
        return;
    }
    let Lab { director, server, _client } = &lab();
    inside(director, async || {
        let (mut kernel, first) = Kernel::connect(|_| ports()).await.expect("the kernel is read");
        assert_eq!(first.ports[1].name, "s0");
        assert_eq!(first.ports[1].addresses[..2], [addr("10.1.0.1"), addr("2001:db8::1")]);
        assert_eq!((first.ports[0].mtu, first.epoch != 0), (1500, true));
        assert_eq!(first.hop_to(addr("10.1.0.1")), HopTo::NoRoute, "the director itself");
        assert_eq!(first.hop_to(addr("198.51.100.7")), HopTo::NoRoute);

        for server in ["10.1.0.11", "2001:db8::11"] {
            let HopTo::Unresolved(next) = first.hop_to(addr(server)) else { panic!("{server} is known already") };
            assert_eq!(next, NextHop { port: PortId(1), address: addr(server) });
            kernel.resolve(next, Duration::ZERO).await;
            until(&mut kernel, server, |network| neighbour_mac(network, server).is_some()).await;
        }

        director.exec("ip route add 198.51.100.0/24 via 10.1.0.11");
        let by_server = until(&mut kernel, "a new route", |n| n.next_hop(addr("198.51.100.7")).is_some()).await;
        assert_ne!(by_server.epoch, first.epoch);
        assert_eq!(neighbour_mac(&by_server, "198.51.100.7"), neighbour_mac(&by_server, "10.1.0.11"));

        let id = by_server.hop_to(addr("10.1.0.11"));
        director.exec("ip neigh replace 10.1.0.11 lladdr 02:00:00:00:00:99 dev s0 nud permanent");
        let moved =
            until(&mut kernel, "a new MAC", |n| neighbour_mac(n, "10.1.0.11") == Some(Mac([2, 0, 0, 0, 0, 0x99])))
                .await;
        assert_eq!((moved.hop_to(addr("10.1.0.11")), moved.epoch), (id, by_server.epoch), "the hop changes in place");

        director.exec("ip route replace 198.51.100.0/24 via 192.0.2.254");
        until(&mut kernel, "a replaced route", |n| {
            n.next_hop(addr("198.51.100.7")).is_some_and(|next| next.port == PortId(0))
        })
        .await;
        director.exec("ip route replace unreachable 198.51.100.0/24");
        until(&mut kernel, "an unreachable route", |n| n.next_hop(addr("198.51.100.7")).is_none()).await;

        director.exec("ip neigh del 10.1.0.11 dev s0");
        until(&mut kernel, "a neighbour gone", |n| neighbour_mac(n, "10.1.0.11").is_none()).await;
        server.exec("ip link set e0 address 02:00:00:00:00:77");
        let wanted = BTreeSet::from([NextHop { port: PortId(1), address: addr("10.1.0.11") }]);
        kernel.keep_resolved(&wanted, PATIENCE).await;
        until(&mut kernel, "the server's own new MAC", |n| {
            neighbour_mac(n, "10.1.0.11") == Some(Mac([2, 0, 0, 0, 0, 0x77]))
        })
        .await;
    });
}

#[test]
fn what_vanishes_in_silence_is_noticed() {
    if !netns::available() {
        return;
    }
    let Lab { director, .. } = &lab();
    director.exec("ip route add 198.51.100.0/24 via 10.1.0.11");
    director.exec("ip route add default nexthop via 192.0.2.254 nexthop via 10.1.0.11");
    inside(director, async || {
        let (mut kernel, first) = Kernel::connect(|_| ports()).await.expect("the kernel is read");
        let port = |network: &Network, to: &str| network.next_hop(addr(to)).map(|next| next.port);
        assert_eq!(port(&first, "198.51.100.7"), Some(PortId(1)));
        assert_eq!(port(&first, "8.8.8.8"), Some(PortId(0)), "the first of several next hops");

        // The kernel does not tell that the routes through it are gone.
        director.exec("ip link set s0 down");
        until(&mut kernel, "no route by a link that is down", |n| port(n, "10.1.0.11") == Some(PortId(0))).await;
        director.exec("ip link set s0 up");
        until(&mut kernel, "the connected route back", |n| port(n, "10.1.0.11") == Some(PortId(1))).await;

        director.exec("ip link del c0");
        let without = until(&mut kernel, "no port", |n| n.ports[0].ifindex == 0).await;
        assert_ne!(port(&without, "192.0.2.254"), Some(PortId(0)));
    });
}

#[test]
fn a_stale_neighbour_is_confirmed_before_it_is_needed() {
    if !netns::available() {
        return;
    }
    let Lab { director, server, .. } = &lab();
    let mac = server.exec("cat /sys/class/net/e0/address");
    director.exec(&format!("ip neigh replace 10.1.0.11 lladdr {} dev s0 nud stale", mac.trim()));
    inside(director, async || {
        let (mut kernel, first) = Kernel::connect(|_| ports()).await.expect("the kernel is read");
        assert!(neighbour_mac(&first, "10.1.0.11").is_some(), "a stale neighbour can be sent to");
        let wanted = BTreeSet::from([NextHop { port: PortId(1), address: addr("10.1.0.11") }]);
        kernel.keep_resolved(&wanted, Duration::ZERO).await;
        let confirmed = async {
            while !director.exec("ip neigh show 10.1.0.11 dev s0").contains("REACHABLE") {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, confirmed).await.expect("the server confirms its address");
    });
}

fn virtual_address(text: &str, prefix: u8, label: Option<&str>) -> VirtualAddress {
    let address = text.parse().expect("an address");
    VirtualAddress { address, prefix, device: "c0".into(), label: label.map(str::to_owned), scope: 0 }
}

/// A director's life: it sets these addresses and then exits cleanly, or is killed.
fn live(namespace: &Namespace, record: &Path, wanted: &[VirtualAddress], clean: bool) -> String {
    inside(namespace, async || {
        let (kernel, _) = Kernel::connect(|_| ports()).await.expect("the kernel is read");
        let mut addresses = VirtualAddresses::load(record.to_owned()).expect("the record is readable");
        addresses.set(kernel.handle(), wanted).await.expect("addresses can be set");
        let shown = namespace.exec("ip address show dev c0");
        if clean {
            addresses.clear(kernel.handle()).await.expect("addresses can be removed");
        }
        shown
    })
}

#[test]
fn virtual_addresses_come_and_go_and_leftovers_are_known() {
    if !netns::available() {
        return;
    }
    let Lab { director, .. } = &lab();
    let directory = tempfile::tempdir().expect("a directory");
    let record = VirtualAddresses::record_beside(&directory.path().join("ringmaster.sock"));
    director.exec("ip address add 192.0.2.77/32 dev c0");
    director.exec("sysctl -qw net.ipv6.conf.c0.accept_dad=1");
    let wanted = [
        virtual_address("192.0.2.100", 24, Some("c0:1")),
        virtual_address("2001:db8:1::100", 128, None),
        virtual_address("192.0.2.77", 32, None),
    ];
    let is_there = |text: &str| director.exec("ip address show dev c0").contains(text);

    let shown = live(director, &record, &wanted, true);
    for text in ["inet 192.0.2.100/24 scope global secondary c0:1", "inet6 2001:db8:1::100/128 scope global"] {
        assert!(shown.contains(text), "{text} in {shown}");
    }
    assert!(!shown.contains("tentative"), "{shown}");
    assert!(!is_there("192.0.2.100") && !is_there("2001:db8:1::100"), "a clean exit removes them");
    assert!(is_there("192.0.2.77") && is_there("192.0.2.1/"), "what was there before stays");

    live(director, &record, &wanted, false);
    assert!(is_there("192.0.2.100") && record.exists(), "killed");
    live(director, &record, &wanted[..1], false);
    assert!(is_there("192.0.2.100") && !is_there("2001:db8:1::100"), "one leftover adopted, one no longer wanted");
    live(director, &record, &wanted[..1], true);
    assert!(!is_there("192.0.2.100") && is_there("192.0.2.77"), "an adopted one is removed at exit");
    assert!(!record.exists());
}
