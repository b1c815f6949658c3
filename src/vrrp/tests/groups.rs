//! Groups move together.

use super::pains::{advert, ms, send, spec};
use crate::vrrp::{Order, Role, Routers};
use crate::wire::Addr;

fn own() -> Addr {
    super::bytes::addr("192.0.2.11")
}

/// Two instances in a group, and one alone.
fn started() -> Routers {
    let specs = vec![spec("A", 51, 100), spec("B", 52, 100), spec("C", 53, 100)];
    let mut routers = Routers::new(specs, &[vec![0, 1]], ms(0), ms(0));
    (0..3).for_each(|instance| routers.interface(instance, Some(own()), ms(0)));
    routers
}

fn roles(routers: &Routers) -> Vec<Role> {
    routers.members().iter().map(|member| member.role()).collect()
}

fn run(routers: &mut Routers, from: u64, to: u64) {
    (from / 100..=to / 100).for_each(|n| routers.fire(ms(n * 100)));
}

#[test]
fn a_group_leads_when_all_members_would() {
    let mut routers = started();
    for n in 0..8 {
        let now = ms(n * 1000);
        send(&mut routers, "192.0.2.12", &advert(&spec("A", 51, 200)), 255, now);
        run(&mut routers, n * 1000, n * 1000 + 900);
    }
    assert_eq!(roles(&routers), [Role::Backup, Role::Backup, Role::Master], "B would, but A has a master");
    run(&mut routers, 8000, 11_000);
    assert_eq!(roles(&routers), [Role::Master; 3]);
}

#[test]
fn a_group_gives_way_together_and_says_goodbye() {
    let mut routers = started();
    run(&mut routers, 0, 5000);
    assert_eq!(roles(&routers), [Role::Master; 3]);
    routers.take_orders();
    send(&mut routers, "192.0.2.12", &advert(&spec("B", 52, 200)), 255, ms(5050));
    assert_eq!(roles(&routers), [Role::Backup, Role::Backup, Role::Master]);
    assert_eq!(routers.take_orders(), [Order::Leave(1), Order::Send(0, 0), Order::Leave(0)]);
}

#[test]
fn a_member_that_cannot_take_part_keeps_its_group_out() {
    let mut routers = started();
    run(&mut routers, 0, 5000);
    routers.take_orders();
    routers.interface(0, None, ms(5050));
    assert_eq!(roles(&routers), [Role::Fault, Role::Fault, Role::Master]);
    let mut orders = routers.take_orders();
    orders.sort_by_key(|order| format!("{order:?}"));
    assert_eq!(orders, [Order::Leave(0), Order::Leave(1), Order::Send(0, 0), Order::Send(1, 0)]);
    routers.interface(0, Some(own()), ms(6000));
    assert_eq!(roles(&routers), [Role::Backup, Role::Backup, Role::Master]);
}

#[test]
fn two_groups_that_each_lead_by_one_member_do_not_take_turns() {
    // Here A is better, there B is. Whoever came first stays.
    let mut routers = started();
    run(&mut routers, 0, 5000);
    let mut theirs = Routers::new(vec![spec("A", 51, 90), spec("B", 52, 150)], &[vec![0, 1]], ms(0), ms(5000));
    (0..2).for_each(|instance| theirs.interface(instance, Some(super::bytes::addr("192.0.2.12")), ms(5000)));
    routers.take_orders();
    for n in 51..300 {
        let now = ms(n * 100);
        for (from, to, source, priorities) in [(0, 1, "192.0.2.11", [100, 100]), (1, 0, "192.0.2.12", [90, 150])] {
            let all = [&mut routers, &mut theirs];
            let orders = {
                let [a, b] = all;
                if from == 0 { a.take_orders() } else { b.take_orders() }
            };
            for order in orders {
                if let Order::Send(instance @ 0..=1, priority) = order {
                    let mut told = advert(&spec("X", 51 + instance as u8, priorities[instance]));
                    told.priority = priority;
                    send(if to == 1 { &mut theirs } else { &mut routers }, source, &told, 255, now);
                }
            }
        }
        routers.fire(now);
        theirs.fire(now);
    }
    assert_eq!(roles(&routers)[..2], [Role::Master; 2]);
    assert_eq!(roles(&theirs), [Role::Backup; 2]);
    assert_eq!(routers.members()[0].counters().left_master, 0);
}
