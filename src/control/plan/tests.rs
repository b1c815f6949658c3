use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::check::{Probe, Spec};
use crate::control::{Locals, rules};
use crate::io::PortId;
use crate::io::xdp::steer::Rules;
use crate::sched::Kind;
use crate::service::{Hop, HopId, Method, NextHop, PairFlags, PairId, Route, Side, Thresholds};
use crate::wire::{Endpoint, Family, Mac};

fn vip(last: u8) -> ServiceKey {
    ServiceKey { protocol: 6, virtual_: Endpoint::new(Ipv4Addr::new(192, 0, 2, last), 80) }
}

fn rip(last: u8) -> Endpoint {
    Endpoint::new(Ipv4Addr::new(10, 1, 0, last), 8080)
}

/// A server whose only check is aimed at itself, so that a test can name it to `health`.
fn real(last: u8) -> RealServer {
    let check = Spec {
        probe: Probe::Tcp,
        target: rip(last),
        bind: None,
        timeout: Duration::from_secs(5),
        interval: Duration::from_secs(60),
        retries: 1,
        retry_delay: Duration::from_secs(1),
        warmup: Duration::ZERO,
        starts_down: false,
    };
    RealServer {
        real: rip(last),
        method: Method::Nat,
        weight: 1,
        thresholds: Thresholds::default(),
        inhibit_on_failure: false,
        checks: vec![check],
    }
}

fn service(key: ServiceKey, servers: &[u8]) -> VirtualServer {
    let servers = servers.iter().map(|&last| real(last)).collect();
    VirtualServer {
        key,
        scheduler: Kind::Wrr.into(),
        persistence: None,
        engine: None,
        one_packet: false,
        full: None,
        limits: Default::default(),
        servers,
        sorry: None,
    }
}

fn config(services: Vec<VirtualServer>) -> Config {
    Config { services, ..Config::default() }
}

/// What the director knows between two plans.
#[derive(Default)]
struct Director {
    ids: Ids,
    network: Network,
    down: BTreeSet<Endpoint>,
    services: Option<Services>,
}

impl Director {
    fn plan(&mut self, config: &Config) -> &Services {
        let health = |checks: &[Spec]| checks.iter().all(|check| !self.down.contains(&check.target));
        let next = plan(config, health, &mut self.ids, &self.network, self.services.as_ref());
        self.services.insert(next)
    }

    fn fail(&mut self, last: u8) {
        self.down.insert(rip(last));
    }

    fn recover(&mut self, last: u8) {
        self.down.remove(&rip(last));
    }
}

/// Last bytes of the addresses of a service's servers, in list order.
fn order(services: &Services, at: usize) -> Vec<u8> {
    services.list[at].servers.iter().map(|server| server.real.addr.low32().to_be_bytes()[3]).collect()
}

fn weights(services: &Services, at: usize) -> Vec<u32> {
    services.list[at].servers.iter().map(|server| server.weight).collect()
}

#[test]
fn servers_stand_in_the_kernel_s_order_and_a_returned_one_at_the_head() {
    let config = config(vec![service(vip(1), &[11, 12, 13])]);
    let mut director = Director::default();
    assert_eq!(order(director.plan(&config), 0), [13, 12, 11]);
    director.fail(12);
    assert_eq!(order(director.plan(&config), 0), [13, 11]);
    director.recover(12);
    assert_eq!(order(director.plan(&config), 0), [12, 13, 11]);
}

#[test]
fn a_reload_adds_new_servers_at_the_head_and_leaves_the_others_where_they_are() {
    let mut director = Director::default();
    director.plan(&config(vec![service(vip(1), &[11, 12])]));
    let services = director.plan(&config(vec![service(vip(2), &[11]), service(vip(1), &[12, 13, 14, 11])]));
    assert_eq!(order(services, 1), [14, 13, 12, 11]);
}

#[test]
fn a_failed_server_is_removed_and_comes_back_as_the_same_pair() {
    let config = config(vec![service(vip(1), &[11, 12])]);
    let mut director = Director::default();
    let before = director.plan(&config).list[0].servers[1];
    let generation = director.ids.generation(before.pair);

    director.fail(11);
    let services = director.plan(&config);
    let pair = services.pair(before.pair).expect("its connections must still find it");
    assert!(pair.flags.has(PairFlags::REMOVED));
    assert_eq!((pair.service, pair.generation, pair.end(Side::Real)), (u32::MAX, generation, rip(11)));

    director.recover(11);
    let services = director.plan(&config);
    let pair = services.pair(before.pair).expect("it is in the list");
    assert_eq!((pair.flags, pair.service, pair.generation), (PairFlags::default(), 0, generation));
}

#[test]
fn a_removed_service_s_pairs_stay_until_they_are_vacated() {
    let mut director = Director::default();
    let pair = director.plan(&config(vec![service(vip(1), &[11])])).list[0].servers[0].pair;
    let services = director.plan(&config(vec![]));
    assert!(services.list.is_empty() && services.pair(pair).is_some());
    assert!(services.vips.may_contain(vip(1).virtual_.addr));

    let generation = director.ids.generation(pair);
    assert!(director.ids.vacate(pair, generation));
    assert!(director.plan(&config(vec![])).pair(pair).is_none());
}

#[test]
fn an_inhibited_server_keeps_its_place_with_weight_0() {
    let mut web = service(vip(1), &[11, 12]);
    web.servers[0].inhibit_on_failure = true;
    let config = config(vec![web]);
    let mut director = Director::default();
    director.plan(&config);
    director.fail(11);
    let services = director.plan(&config);
    assert_eq!((order(services, 0), weights(services, 0)), (vec![12, 11], vec![1, 0]));
    let pair = services.pair(services.list[0].servers[1].pair).expect("it is in the list");
    assert_eq!(pair.flags, PairFlags::DRAINED);
}

#[test]
fn the_sorry_server_stands_in_when_no_other_has_any_weight() {
    let mut web = service(vip(1), &[11, 12]);
    web.servers[0].inhibit_on_failure = true;
    web.sorry = Some(RealServer { checks: vec![], ..real(99) });
    let config = config(vec![web]);
    let mut director = Director::default();
    assert_eq!(order(director.plan(&config), 0), [12, 11]);
    director.fail(12);
    assert_eq!(order(director.plan(&config), 0), [11]);
    director.fail(11);
    let services = director.plan(&config);
    assert_eq!((order(services, 0), weights(services, 0)), (vec![99, 11], vec![1, 0]));
    director.recover(12);
    assert_eq!(order(director.plan(&config), 0), [12, 11]);
}

/// Only a service by mark can be reached by addresses that are not the director's.
#[test]
fn what_goes_past_all_servers_has_a_pair_of_its_own_if_that_is_wished() {
    let marked = ServiceKey::of_mark(7, Family::V4);
    let mut config = config(vec![service(vip(1), &[11]), service(marked, &[11])]);
    let mut director = Director::default();
    assert!(director.plan(&config).list.iter().all(|service| service.bypass.is_none()));
    config.settings.options.cache_bypass = true;
    let services = director.plan(&config);
    assert_eq!(services.list[0].bypass, None);
    let bypass = services.list[1].bypass.unwrap();
    let pair = services.pair(bypass.pair).unwrap();
    assert!(pair.flags.has(PairFlags::BYPASS.with(PairFlags::WIDE)) && pair.hop == HopId::NONE && !pair.counts());
    assert_eq!(order(services, 1), [11], "it is no server");
    config.settings.options.cache_bypass = false;
    let removed = *director.plan(&config).pair(bypass.pair).unwrap();
    assert!(removed.flags.has(PairFlags::REMOVED.with(PairFlags::BYPASS)));
}

#[test]
fn a_scheduler_is_carried_over_and_replaced_only_when_its_servers_change() {
    let mut director = Director::default();
    let same = config(vec![service(vip(1), &[11, 12])]);
    let first = Arc::clone(&director.plan(&same).list[0].scheduler);
    assert!(Arc::ptr_eq(&first, &director.plan(&same).list[0].scheduler));

    let mut heavier = same.clone();
    heavier.services[0].servers[0].weight = 5;
    let second = Arc::clone(&director.plan(&heavier).list[0].scheduler);
    assert!(!Arc::ptr_eq(&first, &second));

    let mut other = heavier.clone();
    other.services[0].scheduler = Kind::Lc.into();
    assert_eq!(director.plan(&other).list[0].scheduler.setup(), Kind::Lc.into());
}

#[test]
fn two_services_that_share_a_server_have_a_pair_each() {
    let mut director = Director::default();
    let services = director.plan(&config(vec![service(vip(1), &[11]), service(vip(2), &[11])]));
    let [one, two] = [0, 1].map(|at| services.list[at].servers[0].pair);
    assert_ne!(one, two);
    assert_eq!(services.pair(one).map(|pair| pair.end(Side::Virtual)), Some(vip(1).virtual_));
    assert_eq!(services.pair(two).map(|pair| pair.end(Side::Virtual)), Some(vip(2).virtual_));
}

#[test]
fn the_way_to_a_server_comes_from_the_network() {
    let config = config(vec![service(vip(1), &[11])]);
    let mut director = Director::default();
    let services = director.plan(&config);
    let pair = services.list[0].servers[0].pair;
    assert_eq!(services.pairs[pair.0 as usize].hop, HopId::NONE);

    let on_link = Route { port: Some(PortId(0)), gateway: None, source: None, mtu: 1500 };
    director.network.routes.add(rip(0).addr, 24, on_link);
    director.network.neighbours.insert(NextHop { port: PortId(0), address: rip(11).addr }, HopId(0));
    director.network.hops.push(Hop::new(PortId(0), Mac([2; 6]), Mac([4; 6]), 1500));
    assert_eq!(director.plan(&config).pairs[pair.0 as usize].hop, HopId(0));
    director.fail(11);
    assert_eq!(director.plan(&config).pairs[pair.0 as usize].hop, HopId(0), "a removed pair still answers");
}

#[test]
fn rules_follow_the_services_and_keep_removed_pairs_until_they_are_vacated() {
    let mut mixed = service(vip(1), &[11, 12]);
    mixed.servers[1].method = Method::Dr;
    let mut director = Director::default();
    let own = Locals { own: vec![rip(1).addr], virtual_: vec![] };
    let with = rules(director.plan(&config(vec![mixed])), &own);
    assert_eq!(with.services, BTreeSet::from([vip(1)]));
    assert_eq!(with.vips, BTreeSet::from([vip(1).virtual_.addr]));
    assert_eq!(with.servers, BTreeSet::from([(6, rip(11))]), "only NAT servers answer through the director");
    assert_eq!(with.server_addresses, BTreeSet::from([rip(11).addr]));
    assert_eq!(with.local_addresses, BTreeSet::from([rip(1).addr]));

    assert_eq!(rules(director.plan(&config(vec![])), &own), with);
    let all: Vec<PairId> = director.ids.removed().map(|(id, _)| id).collect();
    for pair in all {
        let generation = director.ids.generation(pair);
        assert!(director.ids.vacate(pair, generation));
    }
    assert_eq!(rules(director.plan(&config(vec![])), &Locals::default()), Rules::default());
}

/// One change of the facts.
#[derive(Clone, Debug)]
enum Step {
    /// The servers (bits) that each of two services has in the file.
    Reload([u8; 2]),
    /// The servers (bits) that fail their checks.
    Health(u8),
    /// The connections of all removed pairs have ended.
    Vacate,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![any::<[u8; 2]>().prop_map(Step::Reload), any::<u8>().prop_map(Step::Health), Just(Step::Vacate)]
}

fn bits(set: u8) -> Vec<u8> {
    (0..8).filter(|bit| set >> bit & 1 == 1).collect()
}

proptest! {
    /// Whatever happens, a name that has not been vacated keeps its id and generation, and no (id, generation) ever
    /// stands for two names.
    #[test]
    fn ids_are_stable(steps in proptest::collection::vec(step(), 1..40)) {
        let mut director = Director::default();
        let mut file = config(vec![]);
        let mut held: BTreeMap<(Endpoint, Endpoint), (PairId, u32)> = BTreeMap::new();
        let mut meaning: BTreeMap<(PairId, u32), (Endpoint, Endpoint)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Reload(sets) => {
                    let services = [1, 2].into_iter().zip(sets).map(|(last, set)| service(vip(last), &bits(set)));
                    file = config(services.collect());
                }
                Step::Health(down) => director.down = bits(down).into_iter().map(rip).collect(),
                Step::Vacate => {
                    for (id, pair) in director.ids.removed().collect::<Vec<_>>() {
                        prop_assert!(director.ids.vacate(id, pair.generation));
                        held.remove(&(pair.end(Side::Virtual), pair.end(Side::Real)));
                    }
                }
            }
            let services = director.plan(&file).clone();
            let mut found = BTreeMap::new();
            for (at, pair) in services.pairs.iter().enumerate().filter(|(_, pair)| pair.generation != 0) {
                let name = (pair.end(Side::Virtual), pair.end(Side::Real));
                let id = (PairId(at as u32), pair.generation);
                prop_assert_eq!(*meaning.entry(id).or_insert(name), name);
                prop_assert!(found.insert(name, id).is_none(), "one pair a name");
            }
            for (name, id) in &held {
                prop_assert_eq!(found.get(name), Some(id));
            }
            for service in &services.list {
                for server in &service.servers {
                    prop_assert!(!director.down.contains(&server.real));
                    prop_assert!(!services.pairs[server.pair.0 as usize].flags.has(PairFlags::REMOVED));
                }
            }
            held = found;
        }
    }
}
