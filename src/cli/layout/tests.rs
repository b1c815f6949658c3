use super::*;
use crate::control::view::TimeoutsView;

fn service(protocol: Protocol, address: &str, scheduler: &str, servers: Vec<ServerView>) -> ServiceView {
    let name = ServiceName::Address { protocol, address: address.parse().unwrap() };
    ServiceView { name, ..marked(0, Family::Ipv4, scheduler, servers) }
}

fn marked(fwmark: u32, family: Family, scheduler: &str, servers: Vec<ServerView>) -> ServiceView {
    ServiceView {
        name: ServiceName::Mark { fwmark, family },
        scheduler: scheduler.into(),
        flags: vec![],
        persistence: None,
        engine: None,
        one_packet: false,
        counts: counts([1234, 98_765, 87_654, 123_456_789, 98_765_432_100]),
        rates: counts([12, 3456, 3001, 4_567_890, 12_345_678]),
        servers,
    }
}

fn counts([connections, packets_in, packets_out, bytes_in, bytes_out]: [u64; 5]) -> Counts {
    Counts { connections, packets_in, packets_out, bytes_in, bytes_out }
}

fn server(address: &str, method: Forward, weight: u32, active: u32, inactive: u32) -> ServerView {
    ServerView {
        address: address.parse().unwrap(),
        method,
        tunnel: (method == Forward::Tun).then(TunnelSpec::default),
        weight,
        active,
        inactive,
        persistent: 57,
        upper: 1000,
        lower: 800,
        counts: counts([1000, 80_000, 70_000, 100_000_000, 90_000_000_000]),
        rates: counts([100_000_000, 2, 3, 100_000_000, 5]),
    }
}

fn listed(layout: Layout<'_>, list: &[ServiceView]) -> String {
    let mut out = Vec::new();
    layout.services(&mut out, list).unwrap();
    String::from_utf8(out).unwrap()
}

/// One service of each kind.
fn many() -> Vec<ServiceView> {
    let persistence = |timeout, prefix| Some(PersistenceView { timeout, prefix, netmask: None });
    let gue = TunnelSpec { kind: TunnelKind::Gue, port: 6080, checksum: TunnelChecksum::Plain };
    let gre = TunnelSpec { kind: TunnelKind::Gre, port: 0, checksum: TunnelChecksum::None };
    vec![
        ServiceView {
            persistence: persistence(360, 64),
            flags: vec!["mh-port".into()],
            ..service(
                Protocol::Tcp,
                "[2001:db8::10]:443",
                "mh",
                vec![server("[2001:db8:1::11]:443", Forward::Dr, 1, 9, 0)],
            )
        },
        ServiceView {
            flags: vec!["sh-fallback".into(), "sh-port".into()],
            persistence: persistence(300, 32),
            engine: Some("sip".into()),
            one_packet: true,
            ..service(Protocol::Udp, "192.0.2.10:53", "sh", vec![server("10.1.0.21:53", Forward::Dr, 1, 0, 2)])
        },
        marked(7, Family::Ipv6, "rr", vec![]),
        marked(7, Family::Ipv4, "rr", vec![server("10.1.0.31:0", Forward::Tun, 0, 0, 0)]),
        ServiceView {
            persistence: persistence(360, 24),
            ..service(
                Protocol::Tcp,
                "192.0.2.10:80",
                "wlc",
                vec![
                    ServerView { tunnel: Some(gue), ..server("192.168.0.9:80", Forward::Tun, 0, 0, 0) },
                    ServerView { tunnel: Some(gre), ..server("[fd00:1::b]:80", Forward::Tun, 1, 0, 0) },
                    server("10.1.0.11:8080", Forward::Nat, 3, 12, 345),
                ],
            )
        },
        ServiceView { persistence: persistence(50, 32), ..service(Protocol::Tcp, "10.9.0.1:80", "rr", vec![]) },
        service(Protocol::Sctp, "10.0.0.1:5000", "rr", vec![]),
    ]
}

#[test]
fn services_are_laid_out_as_by_ipvsadm() {
    let expected = concat!(
        "Prot LocalAddress:Port Scheduler Flags\n",
        "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n",
        "TCP  10.9.0.1:80 rr persistent 50\n",
        "TCP  192.0.2.10:80 wlc persistent 360 mask 255.255.255.0\n",
        "  -> 10.1.0.11:8080               Masq    3      12         345       \n",
        "  -> 192.168.0.9:80               Tunnel  0      0          0         \n",
        "  -> [fd00:1::b]:80               Tunnel  1      0          0         \n",
        "UDP  192.0.2.10:53 sh (sh-fallback,sh-port) persistent 300 pe sip ops\n",
        "  -> 10.1.0.21:53                 Route   1      0          2         \n",
        "SCTP 10.0.0.1:5000 rr\n",
        "TCP  [2001:db8::10]:443 mh (mh-port) persistent 360 mask 64\n",
        "  -> [2001:db8:1::11]:443         Route   1      9          0         \n",
        "FWM  7 rr\n",
        "  -> 10.1.0.31:0                  Tunnel  0      0          0         \n",
        "FWM  7 IPv6 rr\n",
    );
    assert_eq!(listed(Layout::default(), &many()), expected);
}

#[test]
fn ipvsadm_s_order_is_that_of_signed_differences() {
    let text = listed(Layout { order: Order::Ipvsadm, ..Layout::default() }, &many());
    let lines: Vec<&str> = text.lines().skip(2).map(|line| line.split(" rr").next().unwrap_or(line)).collect();
    assert!(lines[0].starts_with("TCP  192.0.2.10:80"), "{text}");
    let servers: Vec<&str> = lines[1..4].iter().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(servers, ["192.168.0.9:80", "[fd00:1::b]:80", "10.1.0.11:8080"]);
    assert_eq!(lines[4], "TCP  10.9.0.1:80");
    let unsorted = listed(Layout { order: Order::AsIs, ..Layout::default() }, &many());
    assert!(unsorted.lines().nth(2).is_some_and(|line| line.starts_with("TCP  [2001")), "{unsorted}");
}

#[test]
fn other_columns() {
    let one = [many().swap_remove(4)];
    let row = |columns, exact| {
        let text = listed(Layout { columns, exact, ..Layout::default() }, &one);
        let mut lines = text.lines().map(str::to_owned);
        (lines.next().unwrap(), lines.next().unwrap(), lines.next().unwrap(), lines.next().unwrap())
    };
    let [first, below] = ["Prot LocalAddress:Port           ", "  -> RemoteAddress:Port"];
    let (service, server) = ("TCP  192.0.2.10:80               ", "  -> 10.1.0.11:8080              ");
    let loads = "TCP  192.0.2.10:80 wlc persistent 360 mask 255.255.255.0";
    for (columns, exact, expected) in [
        (
            Columns::Stats,
            false,
            (
                format!("{first}    Conns   InPkts  OutPkts  InBytes OutBytes"),
                below.to_owned(),
                format!("{service}     1234    98765    87654  123456K   98765M"),
                format!("{server}     1000    80000    70000  100000K   90000M"),
            ),
        ),
        (
            Columns::Stats,
            true,
            (
                format!("{first}    Conns   InPkts  OutPkts  InBytes OutBytes"),
                below.to_owned(),
                format!("{service}     1234    98765    87654 123456789 98765432100"),
                format!("{server}     1000    80000    70000 100000000 90000000000"),
            ),
        ),
        (
            Columns::Rates,
            false,
            (
                format!("{first}      CPS    InPPS   OutPPS    InBPS   OutBPS"),
                below.to_owned(),
                format!("{service}       12     3456     3001  4567890 12345678"),
                format!("{server} 100000000        2        3  100000K        5"),
            ),
        ),
        (
            Columns::Thresholds,
            false,
            (
                format!("{first} Uthreshold Lthreshold ActiveConn InActConn "),
                below.to_owned(),
                loads.to_owned(),
                format!("{server} 1000       800        12         345       "),
            ),
        ),
        (
            Columns::Persistent,
            false,
            (
                format!("{first} Weight    PersistConn ActiveConn InActConn "),
                below.to_owned(),
                loads.to_owned(),
                format!("{server} 3         57          12         345       "),
            ),
        ),
        (
            Columns::Tunnels,
            false,
            (
                "Prot LocalAddress:Port Scheduler Flags".to_owned(),
                format!("{below}           Forward TunnelInfo    Weight ActiveConn InActConn"),
                loads.to_owned(),
                format!("{server} Masq    n/a           3      12         345       "),
            ),
        ),
    ] {
        assert_eq!(row(columns, exact), expected, "{columns:?}");
    }
    let text = listed(Layout { columns: Columns::Tunnels, ..Layout::default() }, &one);
    assert!(text.contains("  -> 192.168.0.9:80               Tunnel  gue:6080:+c   0      0          0         \n"));
    assert!(text.contains("  -> [fd00:1::b]:80               Tunnel  gre:-c        1      0          0         \n"));
}

#[test]
fn rules_say_all_that_makes_the_services() {
    let save = |limits| {
        let mut out = Vec::new();
        Layout::default().rules(&mut out, &many(), limits).unwrap();
        String::from_utf8(out).unwrap()
    };
    let expected = concat!(
        "-A -t 10.9.0.1:80 -s rr -p 50\n",
        "-A -t 192.0.2.10:80 -s wlc -p 360 -M 255.255.255.0\n",
        "-a -t 192.0.2.10:80 -r 10.1.0.11:8080 -m -w 3\n",
        "-a -t 192.0.2.10:80 -r 192.168.0.9:80 -i -w 0 --tun-type gue --tun-port 6080 --tun-csum\n",
        "-a -t 192.0.2.10:80 -r [fd00:1::b]:80 -i -w 1 --tun-type gre --tun-nocsum\n",
        "-A -u 192.0.2.10:53 -s sh -p 300 --pe sip -o -b sh-fallback,sh-port\n",
        "-a -u 192.0.2.10:53 -r 10.1.0.21:53 -g -w 1\n",
        "-A --sctp-service 10.0.0.1:5000 -s rr\n",
        "-A -t [2001:db8::10]:443 -s mh -p 360 -M 64 -b mh-port\n",
        "-a -t [2001:db8::10]:443 -r [2001:db8:1::11]:443 -g -w 1\n",
        "-A -f 7 -s rr\n",
        "-a -f 7 -r 10.1.0.31:0 -i -w 0 --tun-type ipip\n",
        "-A -f 7 -6 -s rr\n",
    );
    assert_eq!(save(None), expected);
    let timeouts = TimeoutsView { tcp: 900, tcp_fin: 120, udp: 300 };
    let with_limits = save(Some(rules::Limits { timeouts }));
    assert_eq!(with_limits.replace(" -x 1000 -y 800", ""), expected, "the usual timeouts need no word");
    assert_eq!(with_limits.matches(" -x 1000 -y 800").count(), 6);
    let other = save(Some(rules::Limits { timeouts: TimeoutsView { udp: 30, ..timeouts } }));
    assert!(other.starts_with("--set 900 120 30\n-A "), "{other}");
}

#[test]
fn an_ipv6_address_too_wide_for_its_column_pushes_the_rest() {
    let wide = server("[2001:db8:1111:2222:3333:4444:5555:6666]:8080", Forward::Nat, 100_000, 1, 2);
    let listed = listed(Layout::default(), &[service(Protocol::Tcp, "[2001:db8::10]:443", "rr", vec![wide])]);
    let last = "  -> [2001:db8:1111:2222:3333:4444:5555:6666]:8080 Masq    100000 1          2         ";
    assert_eq!(listed.lines().last(), Some(last));
}

/// Gives everything the same long name.
struct Long;

impl Names for Long {
    fn address(&self, _: &str) -> Option<Ipv4Addr> {
        None
    }

    fn host(&self, _: std::net::IpAddr) -> Option<String> {
        Some("a-host-of-a-rather-long-name.example".into())
    }

    fn port(&self, _: &str, _: Option<Protocol>) -> Option<u16> {
        None
    }

    fn service(&self, port: u16, protocol: Option<Protocol>) -> Option<String> {
        protocol.filter(|_| port == 80).map(|_| "http".into())
    }
}

#[test]
fn names_are_cut_to_their_column_but_for_ipv6_and_in_rules() {
    let servers = vec![server("10.1.0.11:80", Forward::Nat, 1, 0, 0)];
    let list = [
        service(Protocol::Tcp, "192.0.2.10:80", "rr", servers),
        service(Protocol::Udp, "[2001:db8::1]:80", "rr", vec![]),
    ];
    let layout = Layout { names: Some(&Long), ..Layout::default() };
    let text = listed(layout, &list);
    let lines: Vec<&str> = text.lines().skip(2).collect();
    assert_eq!(
        lines,
        [
            "TCP  a-host-of-a-rather-long-name rr",
            "  -> a-host-of-a-rather-long-name Masq    1      0          0         ",
            "UDP  [a-host-of-a-rather-long-name.example]:http rr",
        ]
    );
    let mut out = Vec::new();
    layout.rules(&mut out, &list, None).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("-r a-host-of-a-rather-long-name.example:http -m"), "{text}");
}

#[test]
fn masks_of_every_length() {
    for (prefix, expected) in [(0, "0.0.0.0"), (1, "128.0.0.0"), (20, "255.255.240.0"), (31, "255.255.255.254")] {
        assert_eq!(mask(prefix).to_string(), expected);
    }
}

#[test]
fn connections_are_laid_out_as_by_ipvsadm() {
    use crate::control::view::ConnectionView;
    let rows = [
        (Protocol::Tcp, 898, "ESTABLISHED", "198.51.100.7:40000", "192.0.2.10:80", "10.1.0.11:8080"),
        (Protocol::Tcp, 357, "ASSURED", "198.51.100.0:0", "192.0.2.10:80", "10.1.0.11:8080"),
        (Protocol::Udp, 299, "UDP", "[2001:db8:c::7]:2150", "[2001:db8:f::10]:53", "[fd00:1::c]:53"),
        (Protocol::Sctp, 3, "REJECTED", "198.51.100.7:40000", "192.0.2.10:5000", "10.1.0.12:5000"),
        (Protocol::Tcp, 2_678_400, "NONE", "198.51.100.7:0", "192.0.2.10:80", "10.1.0.11:80"),
    ];
    let mut out = Vec::new();
    connections::head(&mut out, false).unwrap();
    for (protocol, expires, state, source, virtual_, destination) in rows {
        let [source, virtual_, destination] = [source, virtual_, destination].map(|text| text.parse().unwrap());
        let state = state.to_owned();
        let (protocol, local, call_id) = (Some(protocol), None, None);
        let view = ConnectionView { protocol, expires, state, source, virtual_, destination, local, call_id };
        connections::line(&mut out, None, true, &view).unwrap();
    }
    let call_id = Some("a84b4c@pc33".to_owned());
    let [source, virtual_, destination] =
        ["198.51.100.7:0", "192.0.2.10:5060", "10.1.0.11:5060"].map(|text| text.parse().unwrap());
    let (protocol, state) = (Some(Protocol::Udp), "NONE".to_owned());
    let call = ConnectionView { protocol, expires: 59, state, source, virtual_, destination, local: None, call_id };
    for persistence in [false, true] {
        connections::line(&mut out, None, persistence, &call).unwrap();
    }
    let expected = concat!(
        "IPVS connection entries\n",
        "pro expire state       source             virtual            destination\n",
        "TCP 14:58  ESTABLISHED 198.51.100.7:40000 192.0.2.10:80      10.1.0.11:8080\n",
        "TCP 05:57  ASSURED     198.51.100.0:0     192.0.2.10:80      10.1.0.11:8080\n",
        "UDP 04:59  UDP         [2001:db8:c::7]:2150 [2001:db8:f::10]:53 [fd00:1::c]:53\n",
        "SCTP 00:03  REJECTED    198.51.100.7:40000 192.0.2.10:5000    10.1.0.12:5000\n",
        "TCP 44640:00 NONE        198.51.100.7:0     192.0.2.10:80      10.1.0.11:80\n",
        "UDP 00:59  NONE        198.51.100.7:0     192.0.2.10:5060    10.1.0.11:5060\n",
        "UDP 00:59  NONE        198.51.100.7:0     192.0.2.10:5060    10.1.0.11:5060   sip                a84b4c@pc33\n",
    );
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    let mut out = Vec::new();
    connections::head(&mut out, true).unwrap();
    let wide =
        "pro expire state       source             virtual            destination        pe name          pe_data";
    assert_eq!(String::from_utf8(out).unwrap().lines().last(), Some(wide));
}
