//! Client affinity.

use ringmaster::conn::State;
use ringmaster::control::view;
use ringmaster::io::mem::MemIo;
use ringmaster::service::{Load, Method, Options, PairId, Snapshot};
use ringmaster::time::{Tick, Ticks};
use ringmaster::worker::Offline;

use crate::offline::*;
use crate::packets::tcp;

const VIP: &str = "192.0.2.10:80";
const TWO: [&str; 2] = ["10.1.0.11:80", "10.1.0.12:80"];

fn at(seconds: u32) -> Tick {
    Tick(1000).plus(Ticks::from_secs(seconds))
}

fn persistent(options: Options, prefix: u8) -> Snapshot {
    snapshot(&[Wanted::tcp(VIP, Method::Nat, &TWO).persistent(50, prefix)], options)
}

fn server_of(director: &mut Offline<MemIo>, client: &str, flags: &str, now: Tick) -> Option<u8> {
    let out = pass(director, CLIENTS, &tcp(client, VIP, flags).bytes(), now);
    out.first().map(|(port, frame)| {
        assert_eq!(*port, SERVERS);
        frame[33]
    })
}

fn templates(director: &Offline<MemIo>) -> Vec<State> {
    let listed = director.shared.table.entries().filter(|listed| listed.key.is_template());
    listed.map(|listed| listed.record.state).collect()
}

#[test]
fn a_client_stays_with_its_server_and_others_take_turns() {
    let mut director = director(persistent(Options::RINGMASTER, 32), 1000);
    let clients = ["198.51.100.1", "198.51.100.2", "198.51.100.1", "198.51.100.3", "198.51.100.2"];
    let servers: Vec<_> = clients
        .iter()
        .enumerate()
        .map(|(n, client)| server_of(&mut director, &format!("{client}:{}", 1000 + n), "S", at(0)).unwrap())
        .collect();
    assert_eq!(servers, [11, 12, 11, 11, 12]);
    assert_eq!(templates(&director).len(), 3);
    let total: u32 = [0, 1].iter().map(|&pair| director.shared.loads.load(PairId(pair)).active).sum();
    assert_eq!(total, 5, "templates are not connections");
}

#[test]
fn the_granularity_makes_a_network_one_client() {
    let mut director = director(persistent(Options::RINGMASTER, 24), 1000);
    let servers = ["198.51.100.1:1", "198.51.100.99:1", "198.51.101.1:1", "198.51.100.1:2"]
        .map(|client| server_of(&mut director, client, "S", at(0)).unwrap());
    assert_eq!(servers, [11, 11, 12, 11]);
}

#[test]
fn only_new_connections_renew_a_template() {
    let mut director = director(persistent(Options::RINGMASTER, 32), 1000);
    for (client, second) in [("198.51.100.1:1", 0), ("198.51.100.1:2", 40)] {
        for flags in ["S", "A", "R"] {
            assert_eq!(server_of(&mut director, client, flags, at(second)), Some(11));
        }
    }
    director.sweep(at(85));
    assert_eq!(templates(&director).len(), 1, "50 s after the second connection");
    director.sweep(at(91));
    assert_eq!(templates(&director).len(), 0);
    assert_eq!(server_of(&mut director, "198.51.100.1:3", "S", at(92)), Some(12), "the rotation goes on");
}

#[test]
fn a_template_with_connections_goes_on_by_the_profile_s_steps() {
    for (options, extension) in [(Options::KERNEL, 60), (Options::RINGMASTER, 50)] {
        let mut director = director(persistent(options, 32), 1000);
        for flags in ["S", "A"] {
            server_of(&mut director, "198.51.100.1:1", flags, at(0));
        }
        assert_eq!(templates(&director), [State::TemplateAssured]);
        director.sweep(at(51));
        assert_eq!(templates(&director).len(), 1, "it has a connection");
        let template = director.shared.table.entries().find(|listed| listed.key.is_template()).unwrap();
        assert_eq!(template.record.timeout, Ticks::from_secs(extension));
    }
}

#[test]
fn a_drained_server_keeps_its_clients_only_under_the_kernel_s_profile() {
    for (options, expected) in [(Options::KERNEL, 11), (Options::RINGMASTER, 12)] {
        let mut director = director(persistent(options, 32), 1000);
        assert_eq!(server_of(&mut director, "198.51.100.1:1", "S", at(0)), Some(11));
        let mut wanted = Wanted::tcp(VIP, Method::Nat, &TWO).persistent(50, 32);
        wanted.servers[0].1 = 0;
        director.publish(Snapshot { generation: 2, ..snapshot(&[wanted], options) });
        assert_eq!(server_of(&mut director, "198.51.100.1:2", "S", at(1)), Some(expected));
        assert_eq!(server_of(&mut director, "198.51.100.1:1", "A", at(1)), Some(11), "the old connection stays");
        let spent = director.shared.table.entries().filter(|listed| {
            let shown = view::connection(&director.shared, &director.snapshot().services, listed, at(1)).unwrap();
            (shown.virtual_.port(), shown.destination.port()) == (u16::MAX, u16::MAX)
        });
        assert_eq!(spent.count(), usize::from(expected == 12), "a template given up is shown with nobody's ports");
    }
}

#[test]
fn everything_ends_in_the_end() {
    let mut director = director(persistent(Options::RINGMASTER, 32), 1000);
    for n in 0..100 {
        server_of(&mut director, &format!("198.51.100.{}:{}", n % 7, 1000 + n), "S", at(0));
    }
    for seconds in (60..400).step_by(10) {
        director.sweep(at(seconds));
    }
    assert_eq!(director.shared.table.len(), 0);
    assert_eq!([0, 1].map(|pair| director.shared.loads.load(PairId(pair))), [Load::default(); 2]);
}
