//! Other configurations for elections under way, and standings that outlive a machine.

use std::time::Duration;

use super::bytes::addr;
use super::pains::{advert, ms, send, spec};
use crate::vrrp::Cause;
use crate::vrrp::event::Happening;
use crate::vrrp::spec::Version;
use crate::vrrp::{Entry, Influence, Order, Role, Routers, Spec, Standing};
use crate::wire::Addr;

fn own() -> Addr {
    addr("192.0.2.11")
}

fn entry(spec: Spec) -> Entry {
    Entry { own: Some(own()), ..Entry::new(spec) }
}

/// Instances of these ids and priorities: the first hears a better master until 10 s, the others lead.
fn started(specs: &[Spec], groups: &[Vec<usize>]) -> Routers {
    let mut routers = Routers::new(specs.to_vec(), groups, ms(0), ms(0));
    (0..specs.len()).for_each(|instance| routers.interface(instance, Some(own()), ms(0)));
    for n in 0..=100 {
        if n % 10 == 0 {
            let better = Spec { priority: 200, ..specs[0].clone() };
            send(&mut routers, "192.0.2.12", &advert(&better), 255, ms(n * 100));
        }
        routers.fire(ms(n * 100));
    }
    routers.take_orders();
    routers.take_events();
    routers
}

fn roles(routers: &Routers) -> Vec<Role> {
    routers.members().iter().map(|member| member.role()).collect()
}

fn reload(routers: &mut Routers, entries: Vec<Entry>, groups: &[Vec<usize>], now: Duration) -> Vec<Order> {
    routers.retire(|spec| entries.iter().any(|entry| entry.spec.is_same_router(spec)), now);
    let last = routers.take_orders();
    routers.adopt(entries, groups, now);
    last
}

#[test]
fn instances_keep_role_times_and_counters_under_another_number_and_name() {
    let (a, b) = (spec("A", 51, 100), spec("B", 52, 100));
    let mut routers = started(&[a.clone(), b.clone()], &[]);
    let before: Vec<_> =
        routers.members().iter().map(|member| (member.standing(), member.counters().clone())).collect();
    let renamed = Spec { name: "C".to_owned(), ..b };
    let last = reload(&mut routers, vec![entry(renamed), entry(a)], &[], ms(10_050));
    assert_eq!(last, []);
    assert_eq!(roles(&routers), [Role::Master, Role::Backup]);
    let after: Vec<_> = routers.members().iter().map(|member| (member.standing(), member.counters().clone())).collect();
    assert_eq!(after, [before[1].clone(), before[0].clone()]);
    assert_eq!(routers.take_orders(), []);
    assert_eq!(routers.take_events(), []);
}

#[test]
fn what_is_gone_says_goodbye_and_what_is_new_waits() {
    let (a, b, new) = (spec("A", 51, 100), spec("B", 52, 100), spec("N", 53, 100));
    let mut routers = started(&[a.clone(), b], &[]);
    let last = reload(&mut routers, vec![entry(new), entry(a)], &[], ms(10_000));
    assert_eq!(last, [Order::Send(1, 0), Order::Leave(1)], "by the number of before");
    assert_eq!(roles(&routers), [Role::Backup; 2]);
    assert_eq!(routers.deadline(), Some(ms(10_000) + Duration::from_micros(3_609_375)));
    let told: Vec<_> = routers.take_events().into_iter().map(|event| (event.instance, event.what)).collect();
    let role = |from, to, cause| Happening::Role { from, to, cause, priority: 100 };
    assert_eq!(
        told,
        [(1, role(Role::Master, Role::Stopped, Cause::Removed)), (0, role(Role::Fault, Role::Backup, Cause::Usable))]
    );
}

#[test]
fn priority_addresses_and_interval_change_while_it_leads() {
    let (a, b) = (spec("A", 51, 100), spec("B", 52, 100));
    let mut routers = started(&[a.clone(), b.clone()], &[]);
    let due = |routers: &Routers| match routers.members()[1].standing() {
        Some(Standing::Master { advert_at }) => advert_at,
        other => panic!("{other:?}"),
    };
    let before = due(&routers);
    let mut changed = Spec { priority: 120, version: Version::V3, interval: ms(100), ..b.clone() };
    changed.addresses.push(addr("192.0.2.101"));
    let influence = Influence { tracker: "script s".to_owned(), met: true, weight: -30 };
    let influenced = Entry { influences: vec![influence], ..entry(changed) };
    reload(&mut routers, vec![entry(a.clone()), influenced], &[], ms(10_000));
    assert_eq!(due(&routers), before.min(ms(10_100)), "no later than before, nor than the new interval");
    assert_eq!(
        routers.take_events().into_iter().map(|event| event.what).collect::<Vec<_>>(),
        [Happening::Priority(90)]
    );
    routers.fire(ms(10_100));
    assert_eq!(routers.take_orders(), [Order::Send(1, 90)]);
    // Longer again: peers reckon with the short one until they hear of it.
    let before = due(&routers);
    reload(&mut routers, vec![entry(a), entry(Spec { version: Version::V3, ..b })], &[], ms(10_110));
    assert_eq!(due(&routers), before);
    assert_eq!(routers.members()[1].priority(), 100, "what no tracker says counts no more");
}

#[test]
fn what_a_backup_heard_counts_from_when_it_was_heard() {
    let a = spec("A", 51, 100);
    let mut routers = started(std::slice::from_ref(&a), &[]);
    // Heard at 10 s; 3 s and the skew of the new priority later, not of the time of the change.
    reload(&mut routers, vec![entry(Spec { priority: 156, ..a.clone() })], &[], ms(12_000));
    assert_eq!(routers.deadline(), Some(ms(13_000) + Duration::from_micros(390_625)));
    reload(&mut routers, vec![entry(Spec { priority: 156, down_adverts: 1, ..a })], &[], ms(12_500));
    assert_eq!(routers.deadline(), Some(ms(12_500)), "past already, but not before now");
}

#[test]
fn a_condition_that_fails_is_a_fault_and_one_that_is_gone_is_none() {
    let (a, b) = (spec("A", 51, 100), spec("B", 52, 100));
    let mut routers = started(&[a.clone(), b.clone()], &[]);
    let influence = Influence { tracker: "script s".to_owned(), met: false, weight: 0 };
    let unmet = Entry { influences: vec![influence], ..entry(b.clone()) };
    reload(&mut routers, vec![entry(a.clone()), unmet], &[], ms(10_000));
    assert_eq!(roles(&routers), [Role::Backup, Role::Fault]);
    assert_eq!(routers.take_orders(), [Order::Send(1, 0), Order::Leave(1)]);
    reload(&mut routers, vec![entry(a), entry(b)], &[], ms(10_100));
    assert_eq!(roles(&routers), [Role::Backup; 2]);
}

#[test]
fn a_group_that_is_made_of_a_master_and_a_backup_waits_and_one_that_a_new_instance_joins_leads_on() {
    let (a, b, new) = (spec("A", 51, 100), spec("B", 52, 100), spec("N", 53, 100));
    let mut routers = started(&[a.clone(), b.clone()], &[]);
    reload(&mut routers, vec![entry(a.clone()), entry(b.clone())], &[vec![0, 1]], ms(10_000));
    assert_eq!(roles(&routers), [Role::Backup; 2]);
    assert_eq!(routers.take_orders(), [Order::Send(1, 0), Order::Leave(1)]);

    let mut routers = started(&[a.clone(), b.clone()], &[]);
    reload(&mut routers, vec![entry(a), entry(b), entry(new)], &[vec![1, 2]], ms(10_000));
    assert_eq!(roles(&routers), [Role::Backup, Role::Master, Role::Backup]);
    routers.fire(ms(13_700));
    assert_eq!(roles(&routers)[1..], [Role::Master; 2]);
    let given_up = routers.take_orders().into_iter().any(|order| matches!(order, Order::Leave(1)));
    assert!(!given_up, "it led all the time");
}

#[test]
fn who_holds_the_addresses_of_a_new_instance_leads_it_at_once() {
    let mut routers = started(&[spec("A", 51, 100)], &[]);
    let standing = Some(Standing::Master { advert_at: ms(0) });
    let new = Entry { standing, ..entry(spec("N", 52, 100)) };
    reload(&mut routers, vec![entry(spec("A", 51, 100)), new], &[], ms(10_000));
    assert_eq!(routers.take_orders(), [Order::Send(1, 100), Order::Take(1)]);
}

/// What a director that died has noted, and when the next one does what: in ms, both at 10 s; with 1 s adverts.
#[test]
fn a_repaired_crash_keeps_the_times() {
    let standing = |down_at| Standing::Backup { interval: ms(1000), down_at: ms(down_at), preempt_at: None };
    let skew = Duration::from_micros(609_375);
    for (standing, role, sends, due) in [
        (Standing::Master { advert_at: ms(10_400) }, Role::Master, false, ms(10_400)),
        (Standing::Master { advert_at: ms(9_900) }, Role::Master, true, ms(11_000)),
        (Standing::Master { advert_at: ms(99_000) }, Role::Master, false, ms(11_000)),
        (standing(13_000), Role::Backup, false, ms(13_000)),
        // It was deaf for a while: one more advert may come.
        (standing(10_100), Role::Backup, false, ms(11_000) + skew),
        (standing(0), Role::Backup, false, ms(11_000) + skew),
        (standing(99_000), Role::Backup, false, ms(13_000) + skew),
    ] {
        let mut routers = Routers::default();
        let entry = Entry { standing: Some(standing), ..entry(spec("A", 51, 100)) };
        routers.wait_until(ms(60_000));
        routers.adopt(vec![entry], &[], ms(10_000));
        assert_eq!(roles(&routers), [role], "{standing:?}");
        assert_eq!(routers.take_orders().contains(&Order::Send(0, 100)), sends, "{standing:?}");
        assert_eq!(routers.deadline(), Some(due), "{standing:?}");
    }
}
