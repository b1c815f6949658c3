//! Adverts that must not count, from a bystander, while ours leads; and peers that are configured otherwise.

use std::net::Ipv4Addr;
use std::time::Duration;

use ringmaster::vrrp::packet::Packet;
use ringmaster::vrrp::spec::Version;
use ringmaster::vrrp::wire::{Advert, Authentication, Checksum, Ends};
use ringmaster::wire::Addr;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use crate::lab::{Lab, Program};
use crate::rows::{V2_PASS, V3_TENTH, assert_steady};
use crate::support::eventually;

/// Sends IP packets as they are, from host 2.
pub(crate) struct Bystander(Socket);

impl Bystander {
    pub(crate) fn new(lab: &Lab) -> Self {
        Self(lab.hosts[2].enter(|| {
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)));
            let socket = socket.expect("root may");
            let source = InterfaceIndexOrAddress::Address(Ipv4Addr::new(192, 168, 146, 13));
            socket.set_multicast_loop_v4(false).expect("it is a socket");
            socket.join_multicast_v4_n(&Ipv4Addr::new(224, 0, 0, 250), &source).expect("it is its address");
            socket.bind_device(Some(b"eth0")).expect("it is there");
            socket
        }))
    }

    pub(crate) fn send(&self, advert: &Advert, ttl: u8, spoil: bool) {
        let (source, destination) = (Ipv4Addr::new(192, 168, 146, 13), Ipv4Addr::new(224, 0, 0, 18));
        let ends = Ends { source: Addr::from(source), destination: Addr::from(destination) };
        let mut payload = advert.emit(ends, Checksum::Journey);
        payload[6] ^= u8::from(spoil);
        let bytes = Packet { ends, ttl, payload: &payload, header: None }.emit(7);
        self.0.send_to(&bytes, &std::net::SocketAddr::from((destination, 0)).into()).expect("the link is up");
    }
}

pub(crate) fn higher() -> Advert {
    Advert {
        version: Version::V2,
        router: 51,
        priority: 200,
        interval: Duration::from_secs(1),
        authentication: Authentication::Password(*b"1111\0\0\0\0"),
        addresses: vec![Addr::from(Ipv4Addr::new(192, 168, 146, 100))],
    }
}

/// Five bad adverts silence keepalived for three seconds.
#[test]
fn garbage_at_five_hertz_neither_delays_nor_dethrones_us() {
    let Some(mut lab) = Lab::new() else { return };
    lab.start(0, Program::Ringmaster, &V2_PASS.config(0, 100));
    let first = lab.advert(0, 100, Duration::ZERO);
    let bystander = Bystander::new(&lab);
    let wrong_password = Advert { authentication: Authentication::Password([b'x'; 8]), ..higher() };
    let slow = Advert { interval: Duration::from_secs(2), ..higher() };
    let other = Advert { version: Version::V3, authentication: Authentication::None, ..higher() };
    let mut sent = 0;
    eventually("five more adverts", || {
        // One of each every 200 ms: `eventually` looks every 50.
        sent += 1;
        if sent % 4 == 0 {
            bystander.send(&higher(), 254, false);
            bystander.send(&higher(), 255, true);
            [&wrong_password, &slow, &other].into_iter().for_each(|advert| bystander.send(advert, 255, false));
        }
        lab.last(0).at > first.at + Duration::from_millis(4500)
    });
    let adverts: Vec<_> = lab.seen().into_iter().filter(|seen| seen.host == 0 && seen.priority().is_some()).collect();
    assert_steady(&adverts.iter().map(|seen| seen.at).collect::<Vec<_>>(), Duration::from_secs(1));
    assert!(adverts.iter().all(|seen| seen.priority() == Some(100)), "it never gave way");
    let shown = lab.ours(0).vrrp();
    for reason in ["ttl", "checksum", "authentication", "interval", "version"] {
        let nothing = format!("\"rejected-{reason}\":0");
        assert!(!shown.contains(&nothing), "{reason} was seen and counted: {shown}");
    }
    // And one that counts.
    bystander.send(&higher(), 255, false);
    eventually("it gives way", || !lab.holds(0, "192.168.146.100"));
}

/// keepalived 2.2.7 refuses adverts with another list of addresses; ours says so and stays backup.
#[test]
fn a_vip_more_on_the_master_does_not_make_us_master() {
    let Some(mut lab) = Lab::new() else { return };
    lab.start(1, Program::Keepalived, &V3_TENTH.config(1, 100));
    eventually("keepalived is master", || lab.holds(1, "192.168.146.100"));
    let more = crate::rows::Form { addresses: [V3_TENTH.addresses[0], "192.168.146.101/24"], ..V3_TENTH };
    lab.start(0, Program::Ringmaster, &more.config(0, 90));
    eventually("it is told", || lab.ours(0).has_logged("list other addresses"));
    let since = lab.last(1).at;
    eventually("a second has passed", || lab.last(1).at > since + Duration::from_secs(1));
    assert!(!lab.ours(0).has_logged("MASTER"), "{}", lab.ours(0).log());
    assert!(lab.ours(0).vrrp().contains("\"state\":\"BACKUP\""));
}
