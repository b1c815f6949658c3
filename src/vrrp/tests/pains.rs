//! What keepalived's users suffer from. Each test is named after the pain that must not be felt here.

use std::time::Duration;

use super::bytes::addr;
use crate::vrrp::Cause;
use crate::vrrp::accept::Rejection;
use crate::vrrp::event::Happening;
use crate::vrrp::packet::Packet;
use crate::vrrp::wire::{Advert, Authentication, Checksum, Ends};
use crate::vrrp::{Order, Role, Routers, Spec};
use crate::wire::{Addr, Family};

pub(super) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn spec(name: &str, router: u8, priority: u8) -> Spec {
    Spec { priority, addresses: vec![addr("192.0.2.100")], ..Spec::new(name, "eth0", router, Family::V4) }
}

pub(super) fn advert(spec: &Spec) -> Advert {
    Advert {
        version: spec.version,
        router: spec.router,
        priority: spec.priority,
        interval: spec.interval,
        authentication: Authentication::None,
        addresses: spec.addresses.clone(),
    }
}

/// Hands an advert over as if `source` had sent it with this TTL.
pub(super) fn send(routers: &mut Routers, source: &str, advert: &Advert, ttl: u8, now: Duration) {
    let ends = Ends { source: addr(source), destination: addr("224.0.0.18") };
    let payload = advert.emit(ends, Checksum::Journey);
    routers.received("eth0", &Packet { ends, ttl, payload: &payload, header: None }, now);
}

/// A director that is master since some time before 10 s.
fn master(spec: Spec) -> Routers {
    let mut routers = Routers::new(vec![spec], &[], ms(0), ms(0));
    routers.interface(0, Some(own()), ms(0));
    (0..100).for_each(|n| routers.fire(ms(n * 100)));
    assert_eq!(routers.members()[0].role(), Role::Master);
    routers.take_orders();
    routers.take_events();
    routers
}

fn own() -> Addr {
    addr("192.0.2.11")
}

fn happenings(routers: &mut Routers) -> Vec<Happening> {
    routers.take_events().into_iter().map(|event| event.what).collect()
}

#[test]
fn garbage_adverts_never_delay_ours() {
    let mut routers = master(spec("VI", 51, 100));
    let first = routers.deadline().unwrap();
    for n in 0..50 {
        let now = ms(10_000 + n * 200);
        send(&mut routers, "192.0.2.12", &advert(&spec("VI", 51, 90)), 64, now);
        let intruder = Advert { authentication: Authentication::Password([7; 8]), ..advert(&spec("VI", 51, 200)) };
        send(&mut routers, "192.0.2.13", &intruder, 255, now);
        routers.fire(now);
    }
    let sent = routers.take_orders();
    assert_eq!(sent, vec![Order::Send(0, 100); sent.len()], "no change of role, no announcements");
    let due = (ms(10_000 + 49 * 200) - first).as_millis() / 1000 + 1;
    assert_eq!(sent.len() as u128, due, "one an interval, all the time");
}

#[test]
fn a_vip_added_on_one_node_does_not_split_the_pair() {
    let mut routers = Routers::new(vec![spec("VI", 51, 90)], &[], ms(0), ms(0));
    routers.interface(0, Some(own()), ms(0));
    let mut other = spec("VI", 51, 100);
    other.addresses.push(addr("192.0.2.101"));
    for n in 0..20 {
        send(&mut routers, "192.0.2.12", &advert(&other), 255, ms(n * 1000));
        routers.fire(ms(n * 1000));
    }
    assert_eq!(routers.members()[0].role(), Role::Backup);
    let told = happenings(&mut routers);
    let mismatches = told.iter().filter(|what| matches!(what, Happening::Mismatch(_))).count();
    assert_eq!(mismatches, 1, "told once: {told:?}");
    assert_eq!(routers.members()[0].counters().mismatched, 20);
}

#[test]
fn one_answer_for_what_queued_up_during_a_stall() {
    let mut routers = master(spec("VI", 51, 100));
    (0..20).for_each(|_| send(&mut routers, "192.0.2.12", &advert(&spec("VI", 51, 90)), 255, ms(16_000)));
    routers.fire(ms(16_000));
    let orders = routers.take_orders();
    assert_eq!(orders, [Order::Send(0, 100), Order::Reassert(0)]);
    let told = happenings(&mut routers);
    assert_eq!(told, [Happening::Lower(addr("192.0.2.12"), 90)], "and no split brain: it has not had our answer");
}

#[test]
fn a_stall_is_measured_and_told() {
    let mut routers = master(spec("VI", 51, 100));
    let due = routers.deadline().unwrap();
    routers.woke(due + ms(200));
    routers.fire(due + ms(200));
    assert!(happenings(&mut routers).is_empty(), "a fifth of an interval is nothing");
    let due = routers.deadline().unwrap();
    routers.woke(due + ms(1700));
    send(&mut routers, "192.0.2.12", &advert(&spec("VI", 51, 200)), 255, due + ms(1700));
    routers.fire(due + ms(1700));
    assert_eq!(happenings(&mut routers)[0], Happening::Stalled(ms(1700)), "whatever queued up meanwhile");
    assert_eq!(routers.members()[0].counters().latest, ms(1700));
}

#[test]
fn a_backup_that_stood_still_does_not_take_over_from_a_living_master() {
    let mut routers = Routers::new(vec![spec("VI", 51, 90)], &[], ms(0), ms(0));
    routers.interface(0, Some(own()), ms(0));
    send(&mut routers, "192.0.2.12", &advert(&spec("VI", 51, 100)), 255, ms(500));
    // Six seconds later: what was received meanwhile comes first.
    send(&mut routers, "192.0.2.12", &advert(&spec("VI", 51, 100)), 255, ms(6500));
    routers.fire(ms(6500));
    assert_eq!(routers.members()[0].role(), Role::Backup);
}

#[test]
fn split_brain_is_detected_counted_healed_and_told() {
    let mut routers = master(spec("VI", 51, 100));
    let rival = addr("192.0.2.12");
    let mut reasserted = 0;
    for n in 0..4 {
        send(&mut routers, "192.0.2.12", &advert(&spec("VI", 51, 90)), 255, ms(10_100 + n * 1000));
        (0..10).for_each(|tenth| routers.fire(ms(10_100 + n * 1000 + tenth * 100)));
        reasserted += routers.take_orders().iter().filter(|order| **order == Order::Reassert(0)).count();
    }
    assert_eq!(reasserted, 4, "neighbours are told again each time");
    assert_eq!(happenings(&mut routers), [Happening::Lower(rival, 90), Happening::SplitBrain(rival)]);
    assert!(routers.members()[0].is_split());
    assert_eq!(routers.members()[0].counters().split_brains, 1);
    (141..200).for_each(|n| routers.fire(ms(n * 100)));
    assert_eq!(happenings(&mut routers), [Happening::Healed(rival)]);
    assert!(!routers.members()[0].is_split());
}

#[test]
fn who_becomes_master_for_deafness_says_why() {
    let mut routers = Routers::new(vec![spec("VI", 51, 90)], &[], ms(0), ms(0));
    routers.interface(0, Some(own()), ms(0));
    routers.take_events();
    for n in 1..5 {
        let secured = Advert { authentication: Authentication::Password([1; 8]), ..advert(&spec("VI", 51, 100)) };
        send(&mut routers, "192.0.2.12", &secured, 255, ms(n * 900));
        routers.fire(ms(n * 900));
    }
    routers.fire(ms(3700));
    let from = addr("192.0.2.12");
    assert_eq!(
        happenings(&mut routers)[..2],
        [
            Happening::Deaf { adverts: 4, from, why: Rejection::Authentication },
            Happening::Role { from: Role::Backup, to: Role::Master, cause: Cause::Silence, priority: 90 },
        ]
    );
    assert_eq!(routers.members()[0].counters().rejected[Rejection::Authentication as usize], 4);
}

#[test]
fn nobody_starts_before_the_startup_delay() {
    let mut routers = Routers::new(vec![spec("VI", 51, 100)], &[], ms(10_000), ms(0));
    routers.interface(0, Some(own()), ms(0));
    assert_eq!(routers.deadline(), Some(ms(10_000)));
    (0..99).for_each(|n| routers.fire(ms(n * 100)));
    assert_eq!(routers.members()[0].role(), Role::Fault);
    routers.fire(ms(10_000));
    assert_eq!(routers.members()[0].role(), Role::Backup);
    assert_eq!(routers.deadline(), Some(ms(10_000) + Duration::from_micros(3_609_375)));
    routers.require(0, "link", false, ms(11_000));
    assert_eq!(routers.deadline(), None, "a delay that is over wakes nobody again");
}

#[test]
fn adverts_of_another_router_interface_or_family_are_nobody_s() {
    let mut routers = master(spec("VI", 51, 100));
    let higher = advert(&spec("VI", 52, 200));
    send(&mut routers, "192.0.2.12", &higher, 255, ms(10_100));
    let ends = Ends { source: addr("192.0.2.12"), destination: addr("224.0.0.18") };
    let payload = advert(&spec("VI", 51, 200)).emit(ends, Checksum::Journey);
    routers.received("eth1", &Packet { ends, ttl: 255, payload: &payload, header: None }, ms(10_100));
    assert_eq!(routers.members()[0].role(), Role::Master);
    assert_eq!(routers.members()[0].counters().rejected.iter().sum::<u64>(), 0);
}

#[test]
fn weights_move_the_priority_that_is_advertised() {
    let mut routers = master(spec("VI", 51, 100));
    routers.weigh(0, "check", -30, ms(10_000));
    routers.weigh(0, "check", -30, ms(10_000));
    assert_eq!(happenings(&mut routers), [Happening::Priority(70)], "told once");
    routers.fire(ms(11_000));
    assert_eq!(routers.take_orders(), [Order::Send(0, 70)]);
    routers.require(0, "link", false, ms(11_100));
    assert_eq!(routers.take_orders(), [Order::Send(0, 0), Order::Leave(0)]);
    assert_eq!(routers.members()[0].role(), Role::Fault);
    routers.require(0, "link", true, ms(11_200));
    assert_eq!(routers.members()[0].role(), Role::Backup);
}
