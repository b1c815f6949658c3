//! The program's judgement, frame by frame, in the kernel (BPF_PROG_TEST_RUN) but without any network.

use std::net::{Ipv4Addr, Ipv6Addr};

use aya::{TestRun, TestRunOptions};

use super::*;
use crate::sys::capabilities;
use crate::wire::{Block, Endpoint, Family, Pattern, ServiceKey};

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

const CLIENT: &str = "198.51.100.7";
const VIP: &str = "192.0.2.10";
const SERVER: &str = "10.0.0.11";
const DIRECTOR: &str = "10.0.0.1";
const ROUTER: &str = "10.0.0.254";
const TUNNEL_SERVER: &str = "10.9.0.11";

const CLIENT6: &str = "2001:db8:c::7";
const VIP6: &str = "2001:db8::10";
const SERVER6: &str = "fd00::11";
const DIRECTOR6: &str = "fd00::1";

/// TCP port 80 of both VIPs, and two NAT servers at TCP port 8080.
fn rules() -> Rules {
    let service = |protocol, vip: &str| ServiceKey { protocol, virtual_: endpoint(vip, 80) };
    let server = |rip: &str| (TCP, endpoint(rip, 8080));
    let addresses = |list: &[&str]| list.iter().map(|&text| endpoint(text, 0).addr).collect();
    Rules {
        services: [service(TCP, VIP), service(TCP, VIP6)].into(),
        servers: [server(SERVER), server(SERVER6)].into(),
        vips: addresses(&[VIP, VIP6]),
        server_addresses: addresses(&[SERVER, SERVER6]),
        tunnels: [(4, TUNNEL_SERVER, 0), (UDP, TUNNEL_SERVER, 6080), (41, SERVER6, 0)]
            .map(|(protocol, address, port)| (protocol, endpoint(address, port)))
            .into(),
        local_addresses: addresses(&[DIRECTOR, VIP, DIRECTOR6, VIP6]),
        ..Rules::default()
    }
}

fn endpoint(address: &str, port: u16) -> Endpoint {
    Endpoint::new(address.parse::<std::net::IpAddr>().unwrap(), port)
}

/// Whether the program takes the frame. No port is attached, so what is ours finds no socket and falls back to DROP.
fn takes(steering: &mut Steering, frame: &[u8]) -> bool {
    let run = program(steering.program.as_mut().unwrap())
        .test_run(TestRunOptions { data_in: Some(frame), ..Default::default() });
    match run.unwrap().return_value {
        1 => true,
        2 => false,
        other => panic!("XDP action {other}"),
    }
}

fn loaded() -> Option<Steering> {
    if !capabilities::missing().is_empty() {
        println!("skipped: loading the steering program needs {}", capabilities::missing().join(", "));
        return None;
    }
    let mut steering = Steering::load().unwrap();
    steering.update(&rules()).unwrap();
    Some(steering)
}

#[test]
fn only_what_belongs_to_a_service_is_taken() {
    let Some(mut steering) = loaded() else { return };
    let quote_of_reply = ip4(VIP, CLIENT, TCP, 0, &[], &ports(80, 40000));
    let quote_to_server = ip4(CLIENT, SERVER, TCP, 0, &[], &ports(40000, 8080));
    let quote_of_tunnel = ip4(DIRECTOR, TUNNEL_SERVER, 4, 0, &[], &ip4(CLIENT, VIP, TCP, 0, &[], &ports(40000, 80)));
    let quote_of_gue = |port| ip4(DIRECTOR, TUNNEL_SERVER, UDP, 0, &[], &ports(40000, port));
    let quote_of_check = ip4(DIRECTOR, TUNNEL_SERVER, TCP, 0, &[], &ports(40000, 80));
    let quote_of_other_tunnel = ip4(DIRECTOR, SERVER, 4, 0, &[], &[0; 40]);
    let quote_of_tunnel6 = ip6(DIRECTOR6, SERVER6, 41, &ip6(CLIENT6, VIP6, TCP, &ports(40000, 80)));
    let quote_to_server6 = ip6(CLIENT6, SERVER6, TCP, &ports(40000, 8080));
    let whole = |source, destination, protocol, payload: &[u8]| ip4(source, destination, protocol, 0, &[], payload);
    let piece = |source, destination, protocol, at| ip4(source, destination, protocol, at, &[], &[0; 64]);
    let (first, later) = (0x2000, 0x00b9);

    let cases: Vec<(&str, bool, Vec<u8>)> = vec![
        ("to the service", true, whole(CLIENT, VIP, TCP, &ports(40000, 80))),
        ("to another port of the VIP", false, whole(CLIENT, VIP, TCP, &ports(40000, 81))),
        ("to the same port by another protocol", false, whole(CLIENT, VIP, UDP, &ports(40000, 80))),
        ("to another address", false, whole(CLIENT, DIRECTOR, TCP, &ports(40000, 80))),
        ("with the service as its source", false, whole(VIP, CLIENT, TCP, &ports(80, 40000))),
        ("with options", true, ip4(CLIENT, VIP, TCP, 0, &[1; 40], &ports(40000, 80))),
        ("with options that look like ports", false, ip4(CLIENT, VIP, TCP, 0, &ports(1, 80), &ports(1, 81))),
        ("cut within the ports", false, whole(CLIENT, VIP, TCP, &ports(40000, 80)[..3])),
        ("a server's reply to a client", true, whole(SERVER, CLIENT, TCP, &ports(8080, 40000))),
        ("a server's reply to a health check", false, whole(SERVER, DIRECTOR, TCP, &ports(8080, 40000))),
        ("a server's reply to a check from the VIP", false, whole(SERVER, VIP, TCP, &ports(8080, 40000))),
        ("a server as a client of the VIP", true, whole(SERVER, VIP, TCP, &ports(40000, 80))),
        ("a server's packet from another port", false, whole(SERVER, CLIENT, TCP, &ports(22, 40000))),
        ("a server's packet by another protocol", false, whole(SERVER, CLIENT, UDP, &ports(8080, 40000))),
        ("a first fragment to the VIP", true, piece(CLIENT, VIP, UDP, first)),
        ("a later fragment to the VIP", true, piece(CLIENT, VIP, TCP, later)),
        ("a fragment to another address", false, piece(CLIENT, DIRECTOR, TCP, later)),
        ("a fragment of a server's reply", true, piece(SERVER, CLIENT, TCP, later)),
        ("a fragment of a reply to a health check", false, piece(SERVER, DIRECTOR, TCP, later)),
        ("a fragment of a large ping of the VIP", false, piece(CLIENT, VIP, ICMP, later)),
        ("the don't-fragment bit", true, ip4(CLIENT, VIP, TCP, 0x4000, &[], &ports(40000, 80))),
        ("echo to the VIP", false, whole(CLIENT, VIP, ICMP, &icmp(8, &[0; 32]))),
        ("unreachable to the VIP", true, whole(ROUTER, VIP, ICMP, &icmp(3, &quote_of_reply))),
        ("time exceeded to the VIP", true, whole(ROUTER, VIP, ICMP, &icmp(11, &quote_of_reply))),
        ("a redirect to the VIP", false, whole(ROUTER, VIP, ICMP, &icmp(5, &quote_of_reply))),
        ("an error of a server", true, whole(SERVER, CLIENT, ICMP, &icmp(3, &quote_to_server))),
        ("an error on the way to a server", true, whole(ROUTER, CLIENT, ICMP, &icmp(11, &quote_to_server))),
        ("an error about a health check", false, whole(SERVER, DIRECTOR, ICMP, &icmp(3, &quote_to_server))),
        ("an error about something else", false, whole(ROUTER, CLIENT, ICMP, &icmp(3, &quote_of_reply))),
        ("an error that quotes too little", false, whole(ROUTER, CLIENT, ICMP, &icmp(3, &quote_to_server[..16]))),
        ("an error about a tunnel packet", true, whole(ROUTER, DIRECTOR, ICMP, &icmp(3, &quote_of_tunnel))),
        ("an error about a GUE packet", true, whole(ROUTER, DIRECTOR, ICMP, &icmp(3, &quote_of_gue(6080)))),
        ("an error about other UDP to that server", false, whole(ROUTER, DIRECTOR, ICMP, &icmp(3, &quote_of_gue(53)))),
        ("an error about a check of that server", false, whole(ROUTER, DIRECTOR, ICMP, &icmp(3, &quote_of_check))),
        ("an error about a tunnel of others", false, whole(ROUTER, DIRECTOR, ICMP, &icmp(3, &quote_of_other_tunnel))),
        ("an error about an IPv6 tunnel packet", true, ip6(CLIENT6, DIRECTOR6, ICMPV6, &icmp(2, &quote_of_tunnel6))),
        ("IPv6 to the service", true, ip6(CLIENT6, VIP6, TCP, &ports(40000, 80))),
        ("IPv6 to another port", false, ip6(CLIENT6, VIP6, TCP, &ports(40000, 81))),
        ("a server's reply in IPv6", true, ip6(SERVER6, CLIENT6, TCP, &ports(8080, 40000))),
        ("a check's reply in IPv6", false, ip6(SERVER6, DIRECTOR6, TCP, &ports(8080, 40000))),
        ("behind hop-by-hop options", true, ip6(CLIENT6, VIP6, 0, &extension(TCP, 0, &ports(40000, 80)))),
        ("behind long destination options", true, ip6(CLIENT6, VIP6, 60, &extension(TCP, 3, &ports(40000, 80)))),
        ("behind seven extension headers", true, ip6(CLIENT6, VIP6, 60, &extensions(7, &ports(40000, 80)))),
        ("behind eight extension headers", false, ip6(CLIENT6, VIP6, 60, &extensions(8, &ports(40000, 80)))),
        ("an extension header cut short", false, ip6(CLIENT6, VIP6, 60, &[TCP, 0, 0, 0])),
        ("an IPv6 fragment to the VIP", true, ip6(CLIENT6, VIP6, 44, &fragment(UDP, 0x00b8))),
        ("an IPv6 fragment elsewhere", false, ip6(CLIENT6, DIRECTOR6, 44, &fragment(UDP, 0x00b8))),
        ("a fragment that is whole, to no service", false, ip6(CLIENT6, VIP6, 44, &fragment(UDP, 0))),
        ("a large IPv6 ping of the VIP", false, ip6(CLIENT6, VIP6, 44, &fragment(ICMPV6, 1))),
        ("packet too big to the VIP", true, ip6(CLIENT6, VIP6, ICMPV6, &icmp(2, &[0; 48]))),
        ("an IPv6 error on the way to a server", true, ip6(CLIENT6, CLIENT6, ICMPV6, &icmp(1, &quote_to_server6))),
        ("neighbour solicitation for the VIP", false, ip6(CLIENT6, VIP6, ICMPV6, &icmp(135, &[0; 24]))),
        ("IPv6 echo to the VIP", false, ip6(CLIENT6, VIP6, ICMPV6, &icmp(128, &[0; 32]))),
    ];
    for (what, ours, packet) in &cases {
        let ethertype = if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
        let plain = ethernet(ethertype, packet);
        assert_eq!(takes(&mut steering, &plain), *ours, "{what}");
        let tagged = ethernet(0x8100, &[&[0, 42], &plain[12..]].concat());
        assert_eq!(takes(&mut steering, &tagged), *ours, "{what}, in a VLAN");
        for frame in [plain, tagged] {
            assert!(!takes(&mut steering, &[&[0xff], &frame[1..]].concat()), "{what}, to many stations");
        }
    }
    assert!(!takes(&mut steering, &ethernet(0x0806, &[0; 28])), "ARP");
}

/// Clients cannot reach a closed address but for its services; neighbours can find it.
#[test]
fn a_closed_address_takes_what_is_served_and_neighbour_discovery_alone() {
    let Some(mut steering) = loaded() else { return };
    // What is ours goes to the kernel here, so that only what is refused is dropped.
    steering.set_fallback(Fallback::Pass).unwrap();
    let closed = Rules { closed_addresses: [VIP, VIP6].map(|vip| endpoint(vip, 0).addr).into(), ..rules() };
    let whole = |destination, protocol, payload: &[u8]| ip4(CLIENT, destination, protocol, 0, &[], payload);
    let cases: Vec<(&str, bool, Vec<u8>)> = vec![
        ("to the service", false, whole(VIP, TCP, &ports(40000, 80))),
        ("to another port", true, whole(VIP, TCP, &ports(40000, 81))),
        ("by another protocol", true, whole(VIP, UDP, &ports(40000, 80))),
        ("by a protocol without ports", true, whole(VIP, 47, &[0; 8])),
        ("cut within the ports", true, whole(VIP, TCP, &ports(40000, 80)[..3])),
        ("echo", true, whole(VIP, ICMP, &icmp(8, &[0; 32]))),
        ("a fragment of a ping", true, ip4(CLIENT, VIP, ICMP, 0x2000, &[], &[0; 64])),
        ("an error about a connection", false, whole(VIP, ICMP, &icmp(3, &[0; 32]))),
        ("to another address", false, whole(DIRECTOR, TCP, &ports(40000, 80))),
        ("IPv6 to the service", false, ip6(CLIENT6, VIP6, TCP, &ports(40000, 80))),
        ("IPv6 to another port", true, ip6(CLIENT6, VIP6, TCP, &ports(40000, 81))),
        ("IPv6 echo", true, ip6(CLIENT6, VIP6, ICMPV6, &icmp(128, &[0; 32]))),
        ("IPv6 echo to another address", false, ip6(CLIENT6, DIRECTOR6, ICMPV6, &icmp(128, &[0; 32]))),
        ("neighbour solicitation", false, ip6(CLIENT6, VIP6, ICMPV6, &icmp(135, &[0; 24]))),
        ("neighbour advertisement", false, ip6(CLIENT6, VIP6, ICMPV6, &icmp(136, &[0; 24]))),
        ("a fragmented solicitation", true, ip6(CLIENT6, VIP6, 44, &fragment(ICMPV6, 1))),
    ];
    let before = steering.counters().unwrap().refused;
    for (rules, is_closed) in [(closed, true), (rules(), false)] {
        steering.update(&rules).unwrap();
        for (what, refused, packet) in &cases {
            let ethertype = if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
            assert_eq!(takes(&mut steering, &ethernet(ethertype, packet)), *refused && is_closed, "{what}");
        }
        assert!(!takes(&mut steering, &ethernet(0x0806, &[0; 28])), "ARP");
    }
    let refused = cases.iter().filter(|(_, refused, _)| *refused).count() as u64;
    assert_eq!(steering.counters().unwrap().refused, before + refused);
}

/// Whatever the bytes, the program ends with one of its two answers (the verifier has seen to the rest).
#[test]
fn cut_anywhere_a_frame_is_not_ours_until_its_ports_are_there() {
    let Some(mut steering) = loaded() else { return };
    let frame = ethernet(0x86dd, &ip6(CLIENT6, VIP6, 0, &extension(TCP, 1, &ports(40000, 80))));
    let ports_end = 14 + 40 + 16 + 4;
    for length in 14..frame.len() {
        assert_eq!(takes(&mut steering, &frame[..length]), length >= ports_end, "{length} bytes");
    }
}

/// TCP port 0 of one VIP, FTP on another, a NAT server that answers from any port of TCP, and one from any port at all.
#[test]
fn services_for_all_ports_take_them_and_their_servers_answer_from_any() {
    let Some(mut steering) = loaded() else { return };
    let (all, ftp, any) = ("192.0.2.20", "192.0.2.21", "10.0.0.12");
    let service = |vip, port| ServiceKey { protocol: TCP, virtual_: endpoint(vip, port) };
    let wide = Rules {
        services: [service(all, 0), service(ftp, 21)].into(),
        ftp: [endpoint(ftp, 0).addr].into(),
        servers: [(TCP, endpoint(SERVER, 0)), (0, endpoint(any, 0))].into(),
        ..rules()
    };
    steering.update(&wide).unwrap();
    for (what, ours, source, destination, protocol, (from, to)) in [
        ("any port", true, CLIENT, all, TCP, (40000, 1)),
        ("another protocol", false, CLIENT, all, UDP, (40000, 1)),
        ("FTP", true, CLIENT, ftp, TCP, (40000, 21)),
        ("FTP's data port", true, CLIENT, ftp, TCP, (40000, 20)),
        ("an unprivileged port beside FTP", true, CLIENT, ftp, TCP, (40000, 1024)),
        ("a privileged port beside FTP", false, CLIENT, ftp, TCP, (40000, 1023)),
        ("UDP beside FTP", false, CLIENT, ftp, UDP, (40000, 5000)),
        ("a reply from any port", true, SERVER, CLIENT, TCP, (7, 40000)),
        ("a server's packet to the director", false, SERVER, DIRECTOR, TCP, (7, 40000)),
        ("a server's packet by another protocol", false, SERVER, CLIENT, UDP, (7, 40000)),
        ("by any protocol", true, any, CLIENT, UDP, (7, 40000)),
        ("by any protocol to the director", false, any, DIRECTOR, UDP, (7, 40000)),
    ] {
        let frame = ethernet(0x0800, &ip4(source, destination, protocol, 0, &[], &ports(from, to)));
        assert_eq!(takes(&mut steering, &frame), ours, "{what}");
    }
    steering.update(&rules()).unwrap();
    let before = ethernet(0x0800, &ip4(CLIENT, all, TCP, 0, &[], &ports(40000, 1)));
    assert!(!takes(&mut steering, &before), "nothing is left of it");
}

/// With full NAT servers answer to an address of the director; its own connections from there are the kernel's.
#[test]
fn local_ends_are_taken_and_the_directors_other_ports_are_not() {
    let Some(mut steering) = loaded() else { return };
    let whole = |source, destination, protocol, payload: &[u8]| ip4(source, destination, protocol, 0, &[], payload);
    let quote = |port| whole(DIRECTOR, SERVER, TCP, &ports(port, 8080));
    let quote_elsewhere = whole(DIRECTOR, ROUTER, TCP, &ports(2000, 8080));
    let cases: Vec<(&str, bool, Vec<u8>)> = vec![
        ("a server to the first port", true, whole(SERVER, DIRECTOR, TCP, &ports(8080, 1024))),
        ("a server to the last port", true, whole(SERVER, DIRECTOR, TCP, &ports(8080, 2047))),
        ("a server to the port below", false, whole(SERVER, DIRECTOR, TCP, &ports(8080, 1023))),
        ("a server to the port above", false, whole(SERVER, DIRECTOR, TCP, &ports(8080, 2048))),
        ("another port of a server", false, whole(SERVER, DIRECTOR, TCP, &ports(22, 1500))),
        ("somebody else", false, whole(CLIENT, DIRECTOR, TCP, &ports(8080, 1500))),
        ("a server in IPv6, where there is none", false, ip6(SERVER6, DIRECTOR6, TCP, &ports(8080, 1500))),
        ("a fragment of a server", true, ip4(SERVER, DIRECTOR, UDP, 0x00b9, &[], &[0; 64])),
        ("a fragment of somebody else", false, ip4(CLIENT, DIRECTOR, UDP, 0x00b9, &[], &[0; 64])),
        ("an error about a packet from there", true, whole(ROUTER, DIRECTOR, ICMP, &icmp(3, &quote(2000)))),
        ("an error about a check", false, whole(ROUTER, DIRECTOR, ICMP, &icmp(3, &quote(40000)))),
        ("an error about other traffic", false, whole(ROUTER, DIRECTOR, ICMP, &icmp(3, &quote_elsewhere))),
    ];
    let locals = [(endpoint(DIRECTOR, 0).addr, (1024, 2047))].into();
    steering.update(&Rules { local_ends: locals, ..rules() }).unwrap();
    for (what, ours, packet) in &cases {
        let ethertype = if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
        assert_eq!(takes(&mut steering, &ethernet(ethertype, packet)), *ours, "{what}");
    }
    steering.update(&rules()).unwrap();
    for (what, _, packet) in cases.iter().filter(|(_, ours, _)| *ours) {
        assert!(!takes(&mut steering, &ethernet(0x0800, packet)), "{what}, once there are none");
    }
}

#[test]
fn the_first_rule_that_matches_decides_about_a_mark() {
    let Some(mut steering) = loaded() else { return };
    let block = |address: &str, length| Block::new(endpoint(address, 0).addr, length);
    let served = |pattern| Marking { pattern, ifindex: None, served: true };
    let tcp = Pattern { protocol: Some(TCP), ..Pattern::ANY };
    let marks = vec![
        Marking { served: false, ..served(Pattern { ports: (443, 443), ..Pattern::ANY }) },
        served(Pattern { destination: block("192.0.2.128", 25), ports: (80, 443), ..tcp }),
        served(Pattern { destination: block("2001:db8:7::", 48), source: block(CLIENT6, 128), ..Pattern::ANY }),
        Marking { ifindex: Some(9), ..served(Pattern { ports: (90, 90), ..tcp }) },
        Marking { ifindex: Some(1), ..served(Pattern { ports: (91, 91), source_ports: (1024, 65535), ..tcp }) },
        served(Pattern { family: Some(Family::V6), ports: (92, 92), ..tcp }),
        served(Pattern { destination: block(DIRECTOR, 32), ports: (93, 93), ..tcp }),
    ];
    let own_addresses = [DIRECTOR, DIRECTOR6].map(|text| endpoint(text, 0).addr).into();
    steering.update(&Rules { marks, own_addresses, ..rules() }).unwrap();
    let far = "203.0.113.9";
    for (what, ours, source, destination, protocol, (from, to)) in [
        ("in the block", true, CLIENT, "192.0.2.200", TCP, (40000, 80)),
        ("before the ports", false, CLIENT, "192.0.2.200", TCP, (40000, 79)),
        ("by another protocol", false, CLIENT, "192.0.2.200", UDP, (40000, 80)),
        ("beside the block", false, CLIENT, "192.0.2.100", TCP, (40000, 80)),
        (
            "with a mark that is not served, though a later rule matches",
            false,
            CLIENT,
            "192.0.2.200",
            TCP,
            (40000, 443),
        ),
        ("in from another interface", false, CLIENT, far, TCP, (40000, 90)),
        ("in from the interface", true, CLIENT, far, TCP, (40000, 91)),
        ("from a privileged port", false, CLIENT, far, TCP, (1023, 91)),
        (
            "to the director itself, which no rule without a destination means",
            false,
            CLIENT,
            DIRECTOR,
            TCP,
            (40000, 91),
        ),
        ("to the director itself, by name", true, CLIENT, DIRECTOR, TCP, (40000, 93)),
        ("of another family", false, CLIENT, far, TCP, (40000, 92)),
    ] {
        let frame = ethernet(0x0800, &ip4(source, destination, protocol, 0, &[], &ports(from, to)));
        assert_eq!(takes(&mut steering, &frame), ours, "{what}");
    }
    for (what, ours, source, destination, to) in [
        ("IPv6 in the block", true, CLIENT6, "2001:db8:7::1", 5),
        ("IPv6 from elsewhere", false, SERVER6, "2001:db8:7::1", 5),
        ("IPv6 by family", true, SERVER6, "2001:db8:8::1", 92),
    ] {
        let frame = ethernet(0x86dd, &ip6(source, destination, TCP, &ports(40000, to)));
        assert_eq!(takes(&mut steering, &frame), ours, "{what}");
    }
    let error = |to| ethernet(0x0800, &ip4(ROUTER, to, ICMP, 0, &[], &icmp(3, &[0; 28])));
    let piece = |to| ethernet(0x0800, &ip4(CLIENT, to, TCP, 0x00b9, &[], &[0; 64]));
    for frame in [error, piece as fn(_) -> _] {
        assert!(takes(&mut steering, &frame("192.0.2.200")));
        assert!(!takes(&mut steering, &frame(far)), "an address that no rule names");
    }
}

#[test]
fn rules_come_and_go_and_the_fallback_is_chosen_at_run_time() {
    let Some(mut steering) = loaded() else { return };
    let old = ethernet(0x0800, &ip4(CLIENT, VIP, TCP, 0, &[], &ports(40000, 80)));
    let new = ethernet(0x0800, &ip4(CLIENT, VIP, UDP, 0, &[], &ports(40000, 53)));
    assert!(takes(&mut steering, &old) && !takes(&mut steering, &new));

    let udp = ServiceKey { protocol: UDP, virtual_: endpoint(VIP, 53) };
    let changed = Rules { services: [udp].into(), ..rules() };
    steering.update(&changed).unwrap();
    assert!(!takes(&mut steering, &old) && takes(&mut steering, &new));
    assert_eq!(steering.read_contents().unwrap(), Contents::of(&changed), "what stays is left alone");

    steering.update(&Rules::default()).unwrap();
    assert!(!takes(&mut steering, &new));

    steering.update(&changed).unwrap();
    let before = steering.counters().unwrap();
    assert!(takes(&mut steering, &new));
    assert_eq!(steering.counters().unwrap(), Counters { dropped: before.dropped + 1, ..before });
    steering.set_fallback(Fallback::Pass).unwrap();
    assert!(!takes(&mut steering, &new));
    assert_eq!(
        steering.counters().unwrap(),
        Counters { dropped: before.dropped + 1, passed: before.passed + 1, ..before }
    );
}

#[test]
fn ports_whose_numbers_collide_have_entries_of_their_own() {
    let Some(mut steering) = loaded() else { return };
    let size = steering.map::<Array<_, [u32; 2]>>("ports").len();
    for (interface, first_socket) in [(3, 10), (3 + size, 20), (3, 30), (2 * size - 1, 40), (size - 1, 50)] {
        steering.enter_port(interface, first_socket).unwrap();
    }
    let ports = steering.map::<Array<_, [u32; 2]>>("ports");
    let entries = [3, 4, size - 1, 0].map(|at| ports.get(&at, 0).unwrap());
    assert_eq!(entries, [[3, 30], [3 + size, 20], [2 * size - 1, 40], [size - 1, 50]]);
    for interface in 1000..1000 + size - 4 {
        steering.enter_port(interface, 0).unwrap();
    }
    let full = steering.enter_port(9999, 0).unwrap_err();
    assert!(matches!(full, SetupError::TooManyQueues { .. }), "{full}");
}

fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], &ethertype.to_be_bytes()[..], payload].concat()
}

fn ip4(source: &str, destination: &str, protocol: u8, fragment: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let words = 5 + options.len() as u8 / 4;
    let [flags, offset] = fragment.to_be_bytes();
    let head = [0x40 | words, 0, 0, 0, 0, 0, flags, offset, 64, protocol, 0, 0];
    let octets = |text: &str| text.parse::<Ipv4Addr>().unwrap().octets();
    [&head, &octets(source)[..], &octets(destination), options, payload].concat()
}

fn ip6(source: &str, destination: &str, next: u8, payload: &[u8]) -> Vec<u8> {
    let octets = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
    [&[0x60, 0, 0, 0, 0, 0, next, 64], &octets(source)[..], &octets(destination), payload].concat()
}

/// An options header of `8 * (length + 1)` bytes.
fn extension(next: u8, length: u8, payload: &[u8]) -> Vec<u8> {
    let rest = vec![0; 8 * (usize::from(length) + 1) - 2];
    [&[next, length], &rest[..], payload].concat()
}

/// This many destination options headers, then TCP.
fn extensions(count: usize, payload: &[u8]) -> Vec<u8> {
    (0..count).fold((TCP, payload.to_vec()), |(next, inner), _| (60, extension(next, 0, &inner))).1
}

/// A fragment header; `piece` is its offset and its "more" bit.
fn fragment(next: u8, piece: u16) -> Vec<u8> {
    [&[next, 0], &piece.to_be_bytes()[..], &[0, 0, 0, 1], &[0; 64]].concat()
}

fn ports(source: u16, destination: u16) -> Vec<u8> {
    [&source.to_be_bytes()[..], &destination.to_be_bytes(), &[0; 16]].concat()
}

fn icmp(kind: u8, quoted: &[u8]) -> Vec<u8> {
    [&[kind, 0, 0, 0, 0, 0, 0, 0], quoted].concat()
}
