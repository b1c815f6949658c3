//! Which adverts count: each fault is shown to ours and to keepalived at the same time, by a bystander that plays a master of
//! higher priority. A backup that takes the adverts for good stays backup; one that does not takes over.

use std::net::Ipv4Addr;
use std::time::Duration;

use ringmaster::vrrp::spec::Version;
use ringmaster::vrrp::wire::{Advert, Authentication};
use ringmaster::wire::Addr;

use crate::lab::{Lab, Program};
use crate::rejections::{Bystander, higher};
use crate::support::eventually;

/// What is wrong with the adverts of one virtual router.
struct Case {
    name: &'static str,
    spoil: fn(&mut Advert),
    ttl: u8,
    checksum: bool,
    /// Whether keepalived 2.2.7 takes them, and whether ours does.
    counts: [bool; 2],
}

const fn case(name: &'static str, counts: bool, spoil: fn(&mut Advert)) -> Case {
    Case { name, spoil, ttl: 255, checksum: true, counts: [counts; 2] }
}

const CASES: [Case; 10] = [
    case("nothing", true, |_| ()),
    case("equal priority, higher address", true, |advert| advert.priority = 100),
    case("lower priority", false, |advert| advert.priority = 99),
    case("password", false, |advert| advert.authentication = Authentication::Password(*b"2222\0\0\0\0")),
    case("no password", false, |advert| advert.authentication = Authentication::None),
    case("version", false, |advert| {
        (advert.version, advert.authentication) = (Version::V3, Authentication::None);
    }),
    case("interval", false, |advert| advert.interval = Duration::from_secs(2)),
    Case { ttl: 254, ..case("time to live", false, |_| ()) },
    Case { checksum: false, ..case("checksum", false, |_| ()) },
    // A rolling change of addresses must not make two masters.
    Case { counts: [false, true], ..case("addresses", false, |advert| advert.addresses.push(Addr::v4(0xc0a8_92fe))) },
];

/// The last octet of the address, and the router id, of a case.
const FIRST: [u8; 2] = [50, 150];
const NAMES: [&str; 2] = ["keepalived", "ringmaster"];

fn config(which: usize) -> String {
    let instance = |number: usize| {
        let id = FIRST[which] + number as u8;
        format!(
            "vrrp_instance VI_{id} {{\n state BACKUP\n interface eth0\n virtual_router_id {id}\n priority 100\n advert_int 1\n \
             authentication {{\n auth_type PASS\n auth_pass 1111\n }}\n virtual_ipaddress {{\n 192.168.146.{id}/24\n }}\n}}\n"
        )
    };
    (0..CASES.len()).map(instance).collect()
}

fn shown(case: &Case, id: u8) -> Advert {
    let addresses = vec![Addr::from(Ipv4Addr::new(192, 168, 146, id))];
    let mut advert = Advert { router: id, addresses, ..higher() };
    (case.spoil)(&mut advert);
    advert
}

#[test]
fn each_fault_is_judged_as_keepalived_judges_it() {
    let Some(mut lab) = Lab::new() else { return };
    let bystander = Bystander::new(&lab);
    lab.start(0, Program::Keepalived, &config(0));
    lab.start(1, Program::Ringmaster, &config(1));
    let leads = |which: usize, number: usize| {
        let id = FIRST[which] + number as u8;
        lab.seen().iter().any(|seen| {
            matches!(&seen.what, crate::capture::What::Advert(advert) if seen.host == which && advert.router == id)
        })
    };
    let mut waits = 0;
    eventually("who does not take them has led for two seconds", || {
        for (case, first) in CASES.iter().flat_map(|case| FIRST.map(|first| (case, first))) {
            let number = CASES.iter().position(|other| other.name == case.name).expect("it is one of them");
            bystander.send(&shown(case, first + number as u8), case.ttl, !case.checksum);
        }
        let all =
            (0..2).all(|which| (0..CASES.len()).all(|number| CASES[number].counts[which] || leads(which, number)));
        waits += usize::from(all);
        waits >= 40
    });
    for (which, name) in NAMES.iter().enumerate() {
        for (number, case) in CASES.iter().enumerate() {
            assert_eq!(leads(which, number), !case.counts[which], "{name}: {}", case.name);
        }
    }
}
