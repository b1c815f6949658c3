//! Several workers schedule as one: real threads on one table, one scheduler, one set of loads.

use std::sync::{Arc, Barrier};

use ringmaster::conn::table::TableConfig;
use ringmaster::conn::{HashSeed, Table};
use ringmaster::forward::{Counters, Forwarder, Shared};
use ringmaster::io::mem::MemIo;
use ringmaster::sched::Kind;
use ringmaster::service::{Method, Options, PairId, Snapshot};
use ringmaster::time::Tick;
use ringmaster::worker::{Mailbox, Worker};

use crate::offline::*;
use crate::packets::tcp;

const NOW: Tick = Tick(100);
const VIP: &str = "192.0.2.10:80";
const SERVERS_OF: [&str; 4] = ["10.1.0.11:80", "10.1.0.12:80", "10.1.0.13:80", "10.1.0.14:80"];
/// Divides by all that the tests divide by.
const CONNECTIONS: u32 = 2400;

/// Opens connections on so many workers at the same time; how many each server got.
fn distribution(workers: usize, scheduler: Kind, weights: [u32; 4]) -> [u32; 4] {
    let mut service = Wanted::tcp(VIP, Method::Nat, &SERVERS_OF).scheduled(scheduler);
    for ((_, weight), wanted) in service.servers.iter_mut().zip(weights) {
        *weight = wanted;
    }
    let snapshot = Arc::new(snapshot(&[service], Options::RINGMASTER));
    let config = TableConfig { connections: 10_000, workers: workers as u32, seed: HashSeed([1, 2, 3]) };
    let shared = Shared::new(Arc::new(Table::create(&config).unwrap()), workers, 16);
    let start = Barrier::new(workers);
    std::thread::scope(|scope| {
        for number in 0..workers {
            let (snapshot, shared, start) = (Arc::clone(&snapshot), shared.clone(), &start);
            scope.spawn(move || open(number, CONNECTIONS / workers as u32, snapshot, shared, start));
        }
    });
    let got = std::array::from_fn(|pair| shared.loads.load(PairId(pair as u32)).active);
    println!("{workers} workers, {scheduler}, weights {weights:?}: {got:?}");
    got
}

fn open(number: usize, connections: u32, snapshot: Arc<Snapshot>, shared: Shared, start: &Barrier) {
    let member = shared.table.member(number).unwrap();
    let (_mailbox, inbox) = Mailbox::new(snapshot);
    let io = MemIo::new(&["client0", "server0"], 1024, 2048, 512);
    let forwarder = Forwarder::new(shared, Arc::new(Counters::new(16)), number);
    let mut worker = Worker::new(io, forwarder, member, inbox);
    start.wait();
    for connection in 0..connections {
        let client = format!("198.51.{number}.7:{}", 1024 + connection);
        assert!(worker.io().inject(CLIENTS, &tcp(&client, VIP, "S").bytes()));
        while worker.turn(NOW) > 0 {}
        assert_eq!(worker.io().take_sent(SERVERS).len(), 1);
    }
}

#[test]
fn rotations_are_exactly_fair_over_any_number_of_workers() {
    for workers in [1, 2, 4] {
        assert_eq!(distribution(workers, Kind::Rr, [1; 4]), [CONNECTIONS / 4; 4]);
        let [a, b, c, d] = distribution(workers, Kind::Wrr, [3, 2, 1, 2]);
        assert_eq!([a, b, c, d], [3, 2, 1, 2].map(|weight| CONNECTIONS / 8 * weight));
    }
}

/// Workers that choose in the same moment may choose alike, but only those: what the others have opened they see.
#[test]
fn load_aware_schedulers_see_the_connections_of_all_workers() {
    for workers in [1, 2, 4] {
        for (scheduler, weights) in [(Kind::Lc, [1; 4]), (Kind::Wlc, [3, 2, 1, 2]), (Kind::Sed, [3, 2, 1, 2])] {
            let got = distribution(workers, scheduler, weights);
            assert_eq!(got.iter().sum::<u32>(), CONNECTIONS);
            let all: u32 = weights.iter().sum();
            for (got, weight) in got.iter().zip(weights) {
                let due = CONNECTIONS / all * weight;
                assert!(got.abs_diff(due) <= 4 * workers as u32, "{got} of {due}");
            }
        }
    }
}
