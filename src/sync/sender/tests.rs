use super::*;
use crate::forward::calls::CallName;
use crate::forward::lifecycle;
use crate::sync::Outcome;
use crate::sync::tests::stage::{DR, FTP, MARK, NAT, SCTP, Stage, TUN6, UDP, WIDE};
use crate::wire::sip::CallId;

const CLIENT: &str = "198.51.100.7:40000";

#[test]
fn a_connection_is_told_of_once_established_and_at_each_change_after() {
    let mut stage = Stage::new();
    let slot = stage.open(CLIENT, NAT[0], State::SynRecv);
    assert_eq!(stage.observe(slot), None, "half-open");
    stage.packet(slot, State::Established);
    let told = stage.observe(slot).expect("established");
    assert_eq!((told.state, told.flags, told.timeout), (1, Flags(0), 900));
    assert_eq!((told.client, told.protocol), (CLIENT.parse().unwrap(), 6));
    assert_eq!((told.virtual_, told.real), ("192.0.2.1:80".parse().unwrap(), "10.1.0.11:8080".parse().unwrap()));
    assert_eq!(stage.observe(slot), None, "nothing new");
    for (state, number, timeout) in [(State::CloseWait, 7, 60), (State::TimeWait, 5, 120)] {
        stage.packet(slot, state);
        let told = stage.observe(slot).expect("a change");
        assert_eq!((told.state, told.flags, told.timeout), (number, Flags::INACTIVE, timeout));
    }
    stage.packet(slot, State::LastAck);
    assert_eq!(stage.observe(slot), None, "a state that is not told");
}

#[test]
fn flags_say_the_method() {
    let mut stage = Stage::new();
    let v6 = "[2001:db8::7]:40000";
    for (client, pair, state, flags) in [
        ("198.51.100.7:1", NAT[0], State::Established, 0x0),
        ("198.51.100.7:2", DR, State::Established, 0x83),
        ("198.51.100.7:3", DR, State::FinWait, 0x183),
        (v6, TUN6, State::Established, 0x82),
        ("198.51.100.7:0", NAT[0], State::Template, 0x1100),
        ("198.51.100.8:0", DR, State::Template, 0x1183),
    ] {
        let slot = stage.open(client, pair, state);
        assert_eq!(stage.observe(slot).unwrap().flags, Flags(flags), "{client}");
    }
}

#[test]
fn every_kind_of_service_is_told_by_its_name() {
    let mut stage = Stage::new();
    for (client, pair, state, protocol, fwmark, virtual_, real) in [
        ("198.51.100.7:1", SCTP, State::SctpEstablished, 132, 0, "192.0.2.1:7", "10.1.0.11:7"),
        ("198.51.100.7:2", MARK, State::Established, 6, 9, "192.0.2.77:8443", "10.1.0.31:8443"),
        ("198.51.100.7:0", MARK, State::Template, 0, 9, "0.0.0.9:0", "10.1.0.31:0"),
        ("198.51.100.7:3", WIDE, State::Established, 6, 0, "192.0.2.3:8443", "10.1.0.11:8443"),
        ("198.51.100.8:0", WIDE, State::Template, 6, 0, "192.0.2.3:0", "10.1.0.11:0"),
        ("198.51.100.7:4", FTP, State::Established, 6, 0, "192.0.2.1:21", "10.1.0.11:21"),
    ] {
        let slot = stage.open(client, pair, state);
        let told = stage.observe(slot).unwrap_or_else(|| panic!("{pair:?}, {state:?}"));
        assert_eq!((told.protocol, told.fwmark), (protocol, fwmark), "{pair:?}");
        assert_eq!((told.virtual_, told.real), (virtual_.parse().unwrap(), real.parse().unwrap()), "{pair:?}");
        // What one director tells, another like it understands.
        let mut other = Stage::new();
        assert_eq!(other.apply(&told), Outcome::Created, "{pair:?}");
        assert_eq!(other.apply(&told), Outcome::Updated, "{pair:?}");
        let [mut here, there] = [&stage, &other].map(|stage| {
            let of_pair =
                |listed: &crate::conn::table::Listed| listed.record.pair == pair.0 && listed.record.state == state;
            stage.entries().into_iter().find(of_pair).expect("it is there")
        });
        (here.slot, here.record.hop) = (there.slot, there.record.hop);
        here.record.timeout = there.record.timeout;
        assert_eq!(here, there, "{pair:?}");
    }
}

#[test]
fn what_others_could_not_go_on_with_is_not_told() {
    let mut stage = Stage::new();
    let shifted = stage.open(CLIENT, FTP, State::Established);
    stage.shared.table.set_helper_word(shifted, 1);
    assert_eq!(stage.observe(shifted), None, "its sequence numbers are moved");
    let awaited = stage.open("198.51.100.7:0", FTP, State::Established);
    assert_eq!(stage.observe(awaited), None, "its client's port is not known");
    let spent = stage.open("198.51.100.9:0", NAT[0], State::Template);
    let entry = stage.shared.table.entry(spent);
    entry.change_state(entry.state_word(), State::Template, SPENT).unwrap();
    assert_eq!(stage.observe(spent), None, "it leads nowhere");
    stage.sender.templates_only = true;
    let free = stage.open("198.51.100.7:5", NAT[0], State::Established);
    assert!(stage.observe(free).is_some(), "without persistence");
}

#[test]
fn what_is_over_before_it_was_told_of_is_not_worth_it() {
    for (state, told) in
        [(State::TimeWait, false), (State::Close, false), (State::FinWait, true), (State::CloseWait, true)]
    {
        let mut stage = Stage::new();
        let slot = stage.open(CLIENT, NAT[0], State::SynRecv);
        stage.observe(slot);
        stage.packet(slot, state);
        assert_eq!(stage.observe(slot).is_some(), told, "{state:?}");
    }
}

#[test]
fn udp_is_told_of_when_it_goes_on() {
    let mut stage = Stage::new();
    let slot = stage.open(CLIENT, UDP, State::Udp);
    assert_eq!(stage.observe(slot), None);
    stage.pass(2);
    assert_eq!(stage.observe(slot), None, "a single question");
    stage.packet(slot, State::Udp);
    let told = stage.observe(slot).expect("it goes on");
    assert_eq!((told.protocol, told.state, told.flags, told.timeout), (17, 0, Flags::INACTIVE, 300));
}

#[test]
fn a_connection_that_goes_on_is_told_of_again_in_time() {
    // (state, period, first repetition in seconds): the period, or half the timeout, but not below ten seconds.
    for (state, refresh, again) in
        [(State::Established, 60, 60), (State::CloseWait, 60, 30), (State::Established, 5, 5), (State::Close, 60, 10)]
    {
        let mut stage = Stage::new();
        stage.sender.pace.refresh = Ticks::from_secs(refresh);
        let slot = stage.open(CLIENT, NAT[0], State::Established);
        stage.observe(slot);
        stage.packet(slot, state);
        stage.observe(slot);
        let waited = (1..200).find(|_| {
            stage.pass(1);
            stage.packet(slot, state);
            stage.observe(slot).is_some()
        });
        assert_eq!(waited, Some(again), "{state:?} {refresh}");
    }
    let mut stage = Stage::new();
    let slot = stage.open(CLIENT, NAT[0], State::Established);
    stage.observe(slot);
    stage.pass(800);
    assert_eq!(stage.observe(slot), None, "without packets it is left to its timeout");
}

#[test]
fn an_untimely_end_is_told_of_and_a_timely_one_is_not() {
    for (passed, removed, told) in [(10, false, true), (10, true, true), (901, false, false)] {
        let mut stage = Stage::new();
        let slot = stage.open(CLIENT, NAT[0], State::Established);
        stage.observe(slot);
        if removed {
            let pair = &mut stage.services.pairs[NAT[0].0 as usize];
            pair.flags = pair.flags.with(PairFlags::REMOVED);
        }
        stage.pass(passed);
        let Stage { shared, ledger, services, sender, now, .. } = &mut stage;
        let facts = Facts { table: &shared.table, services, calls: &shared.calls };
        lifecycle::end(shared, 0, slot, shared.table.entry(slot).state_word());
        let record = sender.ended(ledger, facts, slot, *now);
        assert_eq!(record.map(|record| (record.state, record.client)), told.then(|| (1, CLIENT.parse().unwrap())));
        assert_eq!(sender.ended(ledger, facts, slot, *now), None, "once");
    }
}

#[test]
fn everything_is_told_with_the_life_that_is_left() {
    let mut stage = Stage::new();
    let slot = stage.open(CLIENT, NAT[0], State::Established);
    let half_open = stage.open("198.51.100.7:40001", NAT[0], State::SynRecv);
    let over = stage.open("198.51.100.7:40002", NAT[0], State::TimeWait);
    let snapshot = |stage: &Stage, slot| {
        let facts = Facts { table: &stage.shared.table, services: &stage.services, calls: &stage.shared.calls };
        stage.sender.snapshot(facts, slot, stage.now).map(|record| record.timeout)
    };
    stage.pass(100);
    assert_eq!([slot, half_open, over].map(|slot| snapshot(&stage, slot)), [Some(800), None, None]);
    stage.pass(800);
    assert_eq!(snapshot(&stage, slot), None);
}

/// The director that knows a template of a call may not know the call's text any more.
#[test]
fn a_call_is_told_with_its_id_once_that_is_known() {
    let call = |id: &str| SyncRecord {
        protocol: 17,
        flags: Flags(0x1100),
        state: 0,
        fwmark: 0,
        timeout: 60,
        client: "198.51.100.7:0".parse().unwrap(),
        virtual_: "192.0.2.1:53".parse().unwrap(),
        real: "10.1.0.11:53".parse().unwrap(),
        call: CallId::new(id.as_bytes()),
    };
    let mut stage = Stage::new();
    for (id, outcome) in
        [("a@x", Outcome::Created), ("a@x", Outcome::Updated), ("b", Outcome::Created), ("", Outcome::Created)]
    {
        assert_eq!(stage.apply(&call(id)), outcome, "{id:?}");
    }
    let name = CallName::of(b"a@x");
    let of_call = |listed: &crate::conn::table::Listed| listed.record.vip == Some(name.beside());
    let slot = stage.entries().into_iter().find(of_call).expect("it was created").slot;
    stage.ledger.write(slot, Note::default());
    assert_eq!(stage.observe(slot), None, "its text is not known");
    stage.shared.calls.make_room();
    stage.shared.calls.keep(name, b"a@x");
    stage.pass(1);
    stage.packet(slot, State::Template);
    assert_eq!(stage.observe(slot), Some(call("a@x")));
    assert_eq!(stage.delete(&call("b")), Outcome::Deleted);
    assert_eq!(stage.entries().len(), 2, "the other call, and what is of no call");
}
