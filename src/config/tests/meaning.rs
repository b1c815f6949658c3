//! What a valid file means.

use std::time::Duration;

use super::*;
use crate::check::{HttpGet, Probe, Spec, StatusCodes, Url};
use crate::io::options::{Attach, BusyPoll, Driver, Poll, Transfer};
use crate::sched::{Expirations, Flags, Kind};
use crate::service::{
    Defences, Defend, FtpPorts, GueChecksum, HandOn, Limits, Method, Options, Persistence, ProxyVersion, Tunnel,
};
use crate::time::Ticks;
use crate::wire::{Family, Mask};

fn config(path: &str) -> Config {
    load(Path::new(path), &LoadOptions::default()).unwrap_or_else(|problems| panic!("{problems}")).config
}

fn parse(text: &str) -> Config {
    parse_str("x.conf", text).unwrap_or_else(|problems| panic!("{problems}")).config
}

fn reals(config: &Config, service: usize) -> Vec<(String, Method, u32)> {
    let server = |server: &model::RealServer| (server.real.to_string(), server.method, server.weight);
    config.services[service].servers.iter().map(server).collect()
}

#[test]
fn the_nat_tutorial() {
    let config = config("configs/nat.conf");
    let instance = &config.instances[0];
    let election = &instance.election;
    assert_eq!((election.name.as_str(), election.router, election.priority), ("VI_1", 51, 50));
    let address = &instance.addresses[0];
    assert_eq!((address.address.to_string().as_str(), address.prefix), ("10.0.0.100", 32));
    let service = &config.services[0];
    assert_eq!((service.key.protocol, service.key.virtual_.to_string().as_str()), (6, "10.0.0.100:80"));
    assert_eq!(service.scheduler, Kind::Rr.into());
    assert_eq!(
        service.persistence,
        Some(Persistence { timeout: Ticks::from_secs(50), mask: Mask::of_length(Family::V4, 32) })
    );
    let expected = [("10.0.0.22:80".to_owned(), Method::Nat, 1), ("10.0.0.23:80".to_owned(), Method::Nat, 1)];
    assert_eq!(reals(&config, 0), expected);
    assert!(service.servers.iter().all(|server| server.checks.is_empty()));
}

#[test]
fn the_dr_and_tun_tutorials() {
    for (file, method) in [("configs/dr.conf", Method::Dr), ("configs/tun.conf", Method::IPIP)] {
        let config = config(file);
        assert_eq!(config.global.router_id.as_deref(), Some("LVS_DEVEL"));
        let address = &config.instances[0].addresses[0];
        assert_eq!((address.prefix, address.device.as_str(), address.label.as_deref()), (24, "ens33", Some("ens33:1")));
        assert_eq!(config.services[0].persistence, None);
        let server = &config.services[0].servers[0];
        assert_eq!(server.method, method);
        let url = Url { path: "/".into(), status: StatusCodes(vec![(200, 200)]), virtual_host: None };
        let expected = Spec {
            probe: Probe::Http(HttpGet { urls: vec![url], virtual_host: None }),
            target: server.real,
            bind: None,
            timeout: Duration::from_secs(3),
            interval: Duration::from_secs(6),
            retries: 3,
            retry_delay: Duration::from_secs(3),
            warmup: Duration::from_secs(6),
            starts_down: false,
        };
        assert_eq!(server.checks, [expected]);
    }
}

/// Exactly what keepalived says about these files, besides our own notes.
#[test]
fn the_tutorials_warn_where_keepalived_does() {
    for (file, expected) in [
        ("configs/nat.conf", &["`nat_mask`"][..]),
        ("configs/dr.conf", &["`vrrp_garp_interval`", "`persistence_timeout` 0", "`nb_get_retry`", "`nb_get_retry`"]),
        ("configs/tun.conf", &["`vrrp_garp_interval`", "`persistence_timeout` 0", "`nb_get_retry`", "`nb_get_retry`"]),
    ] {
        let problems = problems(Path::new(file));
        let warnings: Vec<_> = problems.0.iter().filter(|problem| problem.level == Level::Warning).collect();
        assert_eq!(warnings.len(), expected.len(), "{problems}");
        for (warning, expected) in warnings.iter().zip(expected) {
            assert!(warning.message.contains(expected), "{expected}: {}", warning.message);
        }
    }
}

#[test]
fn the_clean_file_sets_everything() {
    let config = config("tests/config/clean.conf");
    let addresses = &config.instances[0].addresses;
    let shown: Vec<_> = addresses.iter().map(|a| (a.address.to_string(), a.prefix, a.scope)).collect();
    let expected = [("192.0.2.100", 24, 0), ("192.0.2.101", 24, 253), ("2001:db8::100", 64, 0)];
    assert_eq!(shown, expected.map(|(address, prefix, scope)| (address.to_owned(), prefix, scope)));

    let [web, dns] = &config.services[..] else { panic!("{} services", config.services.len()) };
    assert_eq!(
        web.persistence,
        Some(Persistence { timeout: Ticks::from_secs(50), mask: Mask::of_length(Family::V4, 24) })
    );
    assert_eq!(web.sorry.as_ref().map(|sorry| sorry.real.to_string()).as_deref(), Some("10.0.0.99:80"));
    assert_eq!(web.servers.iter().map(|server| server.inhibit_on_failure).collect::<Vec<_>>(), [true, false]);
    assert_eq!((dns.scheduler.kind, dns.scheduler.flags), (Kind::Sh, Flags { port: true, ..Flags::default() }));
    assert_eq!((dns.servers[0].method, dns.servers[1].method, dns.key.protocol), (Method::Dr, Method::IPIP, 17));

    let Probe::Http(http) = &web.servers[0].checks[0].probe else { panic!("no HTTP_GET") };
    assert_eq!(http.virtual_host.as_deref(), Some("www.example.com"), "from the virtual server");
    assert_eq!(http.urls[0].status, StatusCodes(vec![(200, 204), (302, 302)]));
    assert_eq!(http.urls[1].virtual_host.as_deref(), Some("ready.example.com"));
    let tcp = &web.servers[1].checks[0];
    assert_eq!((tcp.target.to_string().as_str(), tcp.warmup, tcp.starts_down), ("10.0.1.23:81", Duration::ZERO, true));
    assert_eq!(tcp.bind, Some("10.0.1.1".parse().unwrap()));

    let settings = &config.settings;
    assert_eq!((settings.workers, &settings.cpus[..]), (Some(2), &[1, 3][..]));
    assert_eq!((settings.attach, settings.transfer, settings.poll), (Attach::Generic, Transfer::Copy, Poll::Spin));
    assert_eq!((settings.driver, settings.busy_poll), (Driver::Own, Some(BusyPoll { microseconds: 50 })));
    assert_eq!((settings.connections, settings.frames), (65536, 8192));
    let mut options = Options {
        conn_reuse_mode: 2,
        expire_nodest_conn: true,
        reset_unknown: false,
        pmtu_disc: false,
        tunnel_error_tells_new_mtu: true,
        icmp_ratelimit: Ticks(16),
        icmp_msgs_per_sec: 77,
        ..Options::KERNEL
    };
    options.timeouts.tcp = Ticks::from_secs(600);
    options.timeouts.tcp_fin = Ticks::from_secs(60);
    options.timeouts.udp = Ticks::from_secs(30);
    assert_eq!(settings.options, options);
}

#[test]
fn the_innermost_timing_holds() {
    let service = |outer: &str, middle: &str, inner: &str| {
        let text = format!(
            "virtual_server 192.0.2.1 80 {{\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n {outer}\n \
             real_server 10.0.0.1 80 {{\n {middle}\n TCP_CHECK {{\n {inner}\n }}\n }}\n}}\n"
        );
        parse(&text).services[0].servers[0].checks[0].interval.as_secs()
    };
    assert_eq!(service("", "", ""), 60);
    assert_eq!(service("delay_loop 7", "", ""), 7);
    assert_eq!(service("delay_loop 7", "delay_loop 8", ""), 8);
    assert_eq!(service("delay_loop 7", "delay_loop 8", "delay_loop 9"), 9);
}

#[test]
fn what_is_not_said_is_what_keepalived_takes() {
    let config = parse("virtual_server 192.0.2.1 53 {\nreal_server 10.0.0.1 {\nTCP_CHECK {\n}\n}\n}\n");
    let service = &config.services[0];
    assert_eq!((service.key.protocol, service.scheduler.kind), (17, Kind::Wlc));
    assert_eq!(reals(&config, 0), [("10.0.0.1:53".to_owned(), Method::Nat, 1)]);
    let check = &service.servers[0].checks[0];
    assert_eq!((check.timeout.as_secs(), check.retries, check.retry_delay.as_secs()), (5, 1, 1));
}

#[test]
fn conditions_follow_the_id() {
    let text = "@a global_defs {\n@a router_id one\n@a }\n@^a global_defs {\n@^a router_id two\n@^a }\n";
    let id = |id: Option<&str>| {
        let options = LoadOptions { config_id: id.map(str::to_owned) };
        super::super::parse("x.conf", text, &options).unwrap().config.global.router_id.unwrap()
    };
    assert_eq!((id(Some("a")), id(Some("b")), id(None)), ("one".to_owned(), "two".to_owned(), "two".to_owned()));
}

#[test]
fn included_files_count_as_if_they_stood_there() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("main.conf", "global_defs {\n  include \"parts/*.inc\"\n}\n");
    std::fs::create_dir(folder.path().join("parts")).unwrap();
    write("parts/id.inc", "router_id lb7");
    write("parts/other.txt", "}");
    let loaded = load(&folder.path().join("main.conf"), &LoadOptions::default()).unwrap();
    assert_eq!(loaded.config.global.router_id.as_deref(), Some("lb7"));
    assert_eq!(loaded.problems, Problems::default());
}

#[test]
fn what_is_no_regular_file_is_not_opened() {
    for path in ["/dev/zero", "/", "/nonexistent/keepalived.conf"] {
        let problems = load(Path::new(path), &LoadOptions::default()).unwrap_err();
        assert!(problems.0[0].message.contains(path), "{problems}");
    }
}

#[test]
fn tunnels_of_every_kind() {
    for (words, expected) in [
        ("", Tunnel::Ipip),
        ("type ipip", Tunnel::Ipip),
        ("type gre", Tunnel::Gre { checksum: false }),
        ("type gre nocsum", Tunnel::Gre { checksum: false }),
        ("csum type gre", Tunnel::Gre { checksum: true }),
        ("type gue port 6080", Tunnel::Gue { port: 6080, checksum: GueChecksum::Off }),
        ("type gue port 6080 csum", Tunnel::Gue { port: 6080, checksum: GueChecksum::On }),
        ("remcsum port 1 type gue", Tunnel::Gue { port: 1, checksum: GueChecksum::Remote }),
    ] {
        let server = format!("real_server 10.0.0.1 80 {{\nlvs_method TUN {words}\n}}");
        let config = parse(&format!("virtual_server 192.0.2.1 80 {{\nprotocol TCP\nlvs_method DR\n{server}\n}}\n"));
        assert_eq!(config.services[0].servers[0].method, Method::Tun(expected), "{words}");
    }
}

#[test]
fn defences_limits_and_helpers() {
    let config = parse(
        "ringmaster {
            limit 192.0.2.1 80 tcp connections 100 rate 10
            drop_entry 0
            drop_packet 1
            secure_tcp 3
            amemthresh 500
            am_droprate 7
            ftp_ports 21 2121
            sloppy_sctp yes
            schedule_icmp yes
            nat_icmp_send yes
            cache_bypass yes
            lblc_expiration 60
            lblcr_expiration 120
        }
        virtual_server 192.0.2.1 80 {
            protocol TCP
            real_server 10.0.0.1 80 {
            }
        }
        virtual_server 192.0.2.1 80 {
            protocol SCTP
            real_server 10.0.0.1 80 {
            }
        }",
    );
    let options = config.settings.options;
    let defences = Defences {
        drop_entry: Defend::Off,
        drop_packet: Defend::Auto,
        secure_tcp: Defend::Always,
        amemthresh: Some(500),
        am_droprate: 7,
    };
    assert_eq!((options.defences, options.ftp_ports), (defences, FtpPorts::new([21, 2121])));
    assert!(options.sloppy_sctp && options.schedule_icmp && options.nat_icmp_send && options.cache_bypass);
    let expirations = Expirations { lblc: Ticks::from_secs(60), lblcr: Ticks::from_secs(120) };
    assert_eq!(options.expirations, expirations);
    let limits: Vec<_> = config.services.iter().map(|service| (service.key.protocol, service.limits)).collect();
    assert_eq!(limits, [(6, Limits { connections: 100, rate: 10 }), (132, Limits::default())]);
    assert_eq!(parse("ringmaster {\nftp_ports none\n}").settings.options.ftp_ports, FtpPorts::NONE);
}

#[test]
fn full_nat_has_its_addresses_ports_and_ways_to_tell() {
    let text = |more: &str, settings: &str| {
        format!(
            "local_address_group inside {{\n10.0.0.5-6 eth1\nfd00::5\n}}\nringmaster {{\n{settings}\n}}\n\
             virtual_server 192.0.2.1 80 {{\nprotocol TCP\nlb_kind FNAT\nladdr_group_name inside\n{more}\n\
             real_server 10.0.0.1 8080 {{\n}}\nreal_server 10.0.0.2 8080 {{\nlvs_method NAT\n}}\n}}\n"
        )
    };
    let config = parse(&text("", ""));
    let service = &config.services[0];
    let methods: Vec<_> = service.servers.iter().map(|server| (server.real.port, server.method)).collect();
    assert_eq!(methods, [(8080, Method::Full), (8080, Method::Nat)]);
    let full = service.full.as_ref().unwrap();
    let addresses: Vec<_> = full.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(
        (addresses.as_slice(), full.ports),
        (&["10.0.0.5".to_owned(), "10.0.0.6".to_owned()][..], (1024, 32767))
    );
    let placed: Vec<_> = config.local_addresses.iter().map(|local| (local.address.to_string(), local.prefix)).collect();
    assert_eq!(placed, [("10.0.0.5".to_owned(), 32), ("10.0.0.6".to_owned(), 32)], "the third names no interface");
    assert_eq!(config.local_addresses[0].device, "eth1");

    for (words, expected) in [
        ("", HandOn::Toa),
        ("toa no", HandOn::Nothing),
        ("toa", HandOn::Toa),
        ("proxy_protocol disable", HandOn::Toa),
        ("proxy_protocol v1", HandOn::Proxy(ProxyVersion::V1)),
        ("proxy_protocol v2\ntoa no", HandOn::Proxy(ProxyVersion::V2)),
    ] {
        let config = parse(&text(words, "local_ports 61000 65535"));
        let full = config.services[0].full.as_ref().unwrap();
        assert_eq!((full.hand_on, full.ports), (expected, (61000, 65535)), "{words}");
    }
}

#[test]
fn connection_synchronisation() {
    assert_eq!(parse("").global.sync_daemon, None);
    let plain = parse("global_defs {\n lvs_sync_daemon eth1\n}");
    assert_eq!(plain.global.sync_daemon, Some(model::SyncDaemon::on("eth1")));
    assert_eq!(plain.settings.sync, model::SyncChoices::default());
    let full = parse(
        "global_defs {\n lvs_sync_daemon eth1 VI_1 id 255 maxlen 1400 port 8849 ttl 3 group ff02::81\n}\n\
         vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {\n 192.0.2.10\n }\n}\n\
         ringmaster {\n sync_key sixteen-letters-or-more\n sync_peer_port 9000\n sync_kernel_peers yes\n \
         sync_refresh_period 30\n sync_persist_mode yes\n}",
    );
    let daemon = model::SyncDaemon {
        interface: "eth1".to_owned(),
        instance: Some("VI_1".to_owned()),
        id: 255,
        maxlen: 1400,
        port: 8849,
        ttl: 3,
        group: "ff02::81".parse().unwrap(),
    };
    assert_eq!(full.global.sync_daemon, Some(daemon));
    let choices = model::SyncChoices {
        key: Some("sixteen-letters-or-more".to_owned()),
        peer_port: 9000,
        kernel_peers: true,
        refresh: Ticks::from_secs(30),
        templates_only: true,
    };
    assert_eq!(full.settings.sync, choices);
}
