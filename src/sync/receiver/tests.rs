use proptest::prelude::*;

use super::*;
use crate::conn::table::Listed;
use crate::sync::tests::stage::{DR, NAT, Stage, TUN6, UDP};
use crate::wire::Endpoint;

fn established() -> SyncRecord {
    SyncRecord {
        protocol: 6,
        flags: Flags(0),
        state: 1,
        fwmark: 0,
        timeout: 900,
        client: "198.51.100.7:40000".parse().unwrap(),
        virtual_: "192.0.2.1:80".parse().unwrap(),
        real: "10.1.0.11:8080".parse().unwrap(),
        call: None,
    }
}

fn closing() -> SyncRecord {
    SyncRecord { flags: Flags::INACTIVE, state: 5, timeout: 120, ..established() }
}

fn only(stage: &Stage) -> Listed {
    let entries = stage.entries();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries[0]
}

#[test]
fn a_connection_is_entered_and_follows_its_messages() {
    let mut stage = Stage::new();
    assert_eq!(stage.apply(&established()), Outcome::Created);
    let Listed { key, record, .. } = only(&stage);
    assert_eq!(key, FlowKey::connection(6, established().client.addr, 40000));
    assert_eq!((record.pair, record.generation, record.state, record.flags), (0, 7, State::Established, 0));
    assert_eq!((record.timeout, record.last_seen), (Ticks::from_secs(900), stage.now));
    assert_eq!((record.vport, record.rport, record.hop), (80, 8080, HopId::NONE.0));
    assert_eq!(stage.load(NAT[0]), (1, 0), "counted by its state, as the kernel does");

    stage.pass(30);
    assert_eq!(stage.apply(&closing()), Outcome::Updated);
    let Listed { record, .. } = only(&stage);
    assert_eq!((record.state, record.timeout, record.last_seen), (State::TimeWait, Ticks::from_secs(120), stage.now));
    assert_eq!(stage.load(NAT[0]), (0, 1));
}

#[test]
fn methods_families_and_templates_are_entered_as_ours_would_be() {
    let record = |client: &str, virtual_: &str, real: &str| SyncRecord {
        client: client.parse().unwrap(),
        virtual_: virtual_.parse().unwrap(),
        real: real.parse().unwrap(),
        ..established()
    };
    let dr = record("198.51.100.7:1", "192.0.2.2:443", "10.1.0.11:443");
    let tun = record("[2001:db8::7]:1", "[2001:db8:1::1]:443", "[2001:db8:2::b]:443");
    let udp =
        SyncRecord { protocol: 17, state: 0, timeout: 0, ..record("198.51.100.7:1", "192.0.2.1:53", "10.1.0.11:53") };
    let template = SyncRecord {
        flags: Flags(0x1100),
        state: 1,
        timeout: 0,
        ..record("198.51.100.0:0", "192.0.2.1:80", "10.1.0.11:8080")
    };
    let seconds = Ticks::from_secs;
    for (record, pair, state, flags, lasts, load) in [
        // The sender's method is of no account: the server's here is.
        (SyncRecord { flags: Flags(0x2), ..dr }, DR, State::Established, lifecycle::NO_OUTPUT, seconds(900), (1, 0)),
        (SyncRecord { flags: Flags(0), ..tun }, TUN6, State::Established, lifecycle::NO_OUTPUT, seconds(900), (1, 0)),
        (udp, UDP, State::Udp, 0, seconds(300), (0, 1)),
        (template, NAT[0], State::TemplateAssured, 0, seconds(180), (0, 0)),
        (SyncRecord { state: 9, timeout: 77, ..template }, NAT[0], State::Template, 0, seconds(77), (0, 0)),
        (
            SyncRecord { timeout: u32::MAX, ..dr },
            DR,
            State::Established,
            lifecycle::NO_OUTPUT,
            seconds(LONGEST),
            (1, 0),
        ),
    ] {
        let mut stage = Stage::new();
        assert_eq!(stage.apply(&record), Outcome::Created, "{record:?}");
        let Listed { key, record: made, .. } = only(&stage);
        assert_eq!((made.pair, made.state, made.flags, made.timeout), (pair.0, state, flags, lasts), "{record:?}");
        assert_eq!(key.is_template(), record.flags.any(Flags::TEMPLATE));
        assert_eq!(stage.load(pair), load, "{record:?}");
    }
}

#[test]
fn what_makes_no_sense_here_is_left_alone() {
    let good = established();
    let end = |text: &str| text.parse().unwrap();
    for (what, record, outcome) in [
        ("another protocol", SyncRecord { protocol: 47, ..good }, Outcome::Refused),
        ("an unknown state", SyncRecord { state: 11, ..good }, Outcome::Refused),
        ("without client port", SyncRecord { flags: Flags::NO_CLIENT_PORT, ..good }, Outcome::Refused),
        ("a template without client port", SyncRecord { flags: Flags(0x1800), ..good }, Outcome::Refused),
        ("for one packet", SyncRecord { flags: Flags::ONE_PACKET, ..good }, Outcome::Refused),
        ("with shifted sequences", SyncRecord { flags: Flags(0x200), ..good }, Outcome::Refused),
        ("client port 0", SyncRecord { client: end("198.51.100.7:0"), ..good }, Outcome::Refused),
        ("families mixed", SyncRecord { client: end("[2001:db8::1]:1"), ..good }, Outcome::Refused),
        ("no such service", SyncRecord { virtual_: end("192.0.2.9:80"), ..good }, Outcome::UnknownServer),
        ("no such server", SyncRecord { real: end("10.1.0.99:8080"), ..good }, Outcome::UnknownServer),
        ("the service of another protocol", SyncRecord { protocol: 17, state: 0, ..good }, Outcome::UnknownServer),
    ] {
        let mut stage = Stage::new();
        assert_eq!(stage.apply(&record), outcome, "{what}");
        assert_eq!(stage.entries().len(), 0, "{what}");
    }
}

#[test]
fn another_server_replaces_the_connection_unless_that_is_only_the_old_one_ending() {
    let other = SyncRecord { real: "10.1.0.12:8080".parse().unwrap(), ..established() };
    let mut stage = Stage::new();
    stage.apply(&established());
    assert_eq!(stage.apply(&SyncRecord { flags: Flags::INACTIVE, state: 5, ..other }), Outcome::Stale);
    assert_eq!(only(&stage).record.pair, 0);
    assert_eq!(stage.apply(&other), Outcome::Created);
    assert_eq!(only(&stage).record.pair, 1);
    assert_eq!((stage.load(NAT[0]), stage.load(NAT[1])), ((0, 0), (1, 0)));
}

#[test]
fn what_a_peer_told_us_is_not_told_back_until_packets_come() {
    let mut stage = Stage::new();
    stage.apply(&established());
    let slot = only(&stage).slot;
    assert_eq!(stage.observe(slot), None);
    stage.pass(100);
    stage.apply(&established());
    assert_eq!(stage.observe(slot), None);
    stage.packet(slot, State::CloseWait);
    assert!(stage.observe(slot).is_some(), "we have taken over");
}

#[test]
fn packets_of_our_own_are_newer_than_a_bulk_transfer_or_a_deletion() {
    let mut stage = Stage::new();
    let slot = stage.open("198.51.100.7:40000", NAT[0], State::CloseWait);
    assert_eq!(stage.apply_bulk(&established()), Outcome::Stale);
    assert_eq!(stage.delete(&established()), Outcome::Stale);
    assert_eq!(stage.shared.table.entry(slot).state(), State::CloseWait);

    let mut stage = Stage::new();
    assert_eq!(stage.apply_bulk(&established()), Outcome::Created);
    stage.pass(1);
    assert_eq!(stage.apply_bulk(&closing()), Outcome::Updated, "nothing has happened here since");
    stage.pass(1);
    stage.packet(only(&stage).slot, State::TimeWait);
    assert_eq!(stage.apply_bulk(&established()), Outcome::Stale);
}

#[test]
fn a_deletion_ends_what_it_names_and_leaves_the_counts_right() {
    let mut stage = Stage::new();
    assert_eq!(stage.delete(&established()), Outcome::Stale, "never heard of");
    stage.apply(&established());
    let other = SyncRecord { real: "10.1.0.12:8080".parse().unwrap(), ..established() };
    assert_eq!(stage.delete(&other), Outcome::Stale, "of the connection before");
    assert_eq!(stage.delete(&established()), Outcome::Deleted);
    assert_eq!((stage.entries().len(), stage.load(NAT[0])), (0, (0, 0)));
}

proptest! {
    /// Whatever comes, the loads are those of the entries.
    #[test]
    fn loads_are_what_the_table_holds(steps in proptest::collection::vec((0u16..3, 0usize..2, 0u16..12, any::<bool>(), 0u8..4), 0..60)) {
        let mut stage = Stage::new();
        for (port, server, state, inactive, how) in steps {
            let real = ["10.1.0.11:8080", "10.1.0.12:8080"][server].parse().unwrap();
            let client = Endpoint { port: 40000 + port, ..established().client };
            let flags = Flags(0).with_if(inactive, Flags::INACTIVE);
            let record = SyncRecord { client, real, state, flags, ..established() };
            _ = match how {
                0 => stage.delete(&record),
                1 => stage.apply_bulk(&record),
                _ => stage.apply(&record),
            };
            stage.pass(1);
            for pair in NAT {
                let of_pair = || stage.shared.table.entries().filter(|listed| listed.record.pair == pair.0);
                let active = of_pair().filter(|listed| listed.record.state.is_active()).count();
                prop_assert_eq!(stage.load(pair), (active as u32, (of_pair().count() - active) as u32));
            }
        }
    }
}
