//! Two sessions against each other on virtual time, and one against packets by hand.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::wire::Addr;

const START: Duration = Duration::from_secs(100);
const MS: Duration = Duration::from_millis(1);

fn spec(min_rx: u32, min_tx: u32, multiplier: u8) -> Spec {
    Spec { min_rx: MS * min_rx, min_tx: MS * min_tx, multiplier, ..Spec::new("b", Addr::v4(1)) }
}

/// Two sessions and the wire between them.
struct Pair {
    sessions: [Session; 2],
    /// In flight: to whom, by the time of arrival.
    wire: BTreeMap<(Duration, u64), (usize, Packet)>,
    serial: u64,
    now: Duration,
    delay: Duration,
    cut: [bool; 2],
    sent: [Vec<(Duration, Packet)>; 2],
    changes: [Vec<(Duration, Change)>; 2],
}

impl Pair {
    fn new(one: Spec, other: Spec) -> Self {
        Self {
            sessions: [Session::new(one, 11, 3, START), Session::new(other, 22, 5, START)],
            wire: BTreeMap::new(),
            serial: 0,
            now: START,
            delay: MS / 10,
            cut: [false; 2],
            sent: Default::default(),
            changes: Default::default(),
        }
    }

    fn collect(&mut self) {
        for from in 0..2 {
            for packet in self.sessions[from].take_packets() {
                self.sent[from].push((self.now, packet));
                self.serial += 1;
                if !self.cut[from] {
                    self.wire.insert((self.now + self.delay, self.serial), (1 - from, packet));
                }
            }
            let change = self.sessions[from].take_change();
            self.changes[from].extend(change.map(|change| (self.now, change)));
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..1_000_000 {
            self.collect();
            let arrival = self.wire.keys().next().map(|key| key.0);
            let next = self.sessions.iter().filter_map(Session::deadline).chain(arrival).min();
            match next.filter(|&next| next <= end) {
                Some(next) => self.now = next.max(self.now),
                None => {
                    self.now = end;
                    return;
                }
            }
            while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (to, packet) = entry.remove();
                self.sessions[to].received(&packet, self.now);
            }
            self.sessions.iter_mut().for_each(|session| session.fire(self.now));
        }
        panic!("the sessions never rest");
    }

    fn states(&self) -> [State; 2] {
        [self.sessions[0].state(), self.sessions[1].state()]
    }
}

#[test]
fn two_neighbours_come_up_within_a_second_and_a_bit() {
    let mut pair = Pair::new(spec(50, 50, 3), spec(50, 50, 3));
    pair.run(MS * 1100);
    assert_eq!(pair.states(), [State::Up, State::Up]);
    let polls = |at: usize| pair.sent[at].iter().filter(|(_, packet)| packet.poll).count();
    let answers = |at: usize| pair.sent[at].iter().filter(|(_, packet)| packet.last).count();
    assert!(polls(0) >= 1 && polls(1) >= 1, "new times are told");
    assert!(answers(0) >= 1 && answers(1) >= 1, "and confirmed");
    let last = |at: usize| pair.sent[at].last().expect("it sent").1;
    assert!(!last(0).poll && !last(1).poll, "and then asked for no longer");
}

#[test]
fn the_slower_of_what_is_offered_and_asked_for_sets_the_pace() {
    // (min_rx, min_tx) of ours and of theirs, and the interval of ours that follows.
    for (ours, theirs, interval) in [((10, 20), (50, 10), 50), ((10, 80), (50, 10), 80), ((10, 20), (10, 500), 20)] {
        let mut pair = Pair::new(spec(ours.0, ours.1, 3), spec(theirs.0, theirs.1, 3));
        pair.run(Duration::from_secs(10));
        assert_eq!(pair.states(), [State::Up, State::Up]);
        let times: Vec<_> = pair.sent[0].iter().map(|(at, _)| *at).filter(|at| *at > START + MS * 8000).collect();
        let (least, most) = (MS * interval * 3 / 4, MS * interval);
        for gap in times.windows(2).map(|pair| pair[1] - pair[0]) {
            assert!((least..=most).contains(&gap), "{gap:?} where {interval} ms are due");
        }
        let spread: std::collections::BTreeSet<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(spread.len() > 5, "packets are spread");
    }
}

#[test]
fn one_missing_packet_that_counts_leaves_a_tenth_to_spare() {
    let mut pair = Pair::new(spec(100, 100, 1), spec(100, 100, 1));
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.states(), [State::Up, State::Up]);
    assert_eq!(pair.changes[0].len(), 1, "it never expired");
    let times: Vec<_> = pair.sent[0].iter().map(|(at, _)| *at).filter(|at| *at > START + MS * 3000).collect();
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().expect("it sent");
    assert!(longest <= MS * 90, "{longest:?}: RFC 5880 6.8.7");
}

#[test]
fn a_dead_neighbour_is_seen_after_its_multiplier_times_the_pace() {
    // Their min_tx and multiplier, our min_rx, and the detection time.
    for (min_tx, multiplier, min_rx, detection) in [(50, 3, 50, 150), (50, 3, 100, 300), (100, 5, 10, 500)] {
        let mut pair = Pair::new(spec(min_rx, 50, 3), spec(50, min_tx, multiplier));
        pair.run(Duration::from_secs(5));
        assert_eq!(pair.states(), [State::Up, State::Up]);
        pair.cut[1] = true;
        let died = pair.now;
        pair.run(Duration::from_secs(2));
        let (at, change) = *pair.changes[0].last().expect("it changed");
        assert_eq!(change, Change::Down(Diagnostic::Expired));
        let took = at - died;
        assert!(
            took <= MS * detection && took >= MS * detection - MS * min_tx.max(min_rx),
            "{took:?} for {detection} ms"
        );
        let (heard, change) = *pair.changes[1].last().expect("it heard of it");
        assert_eq!(change, Change::Down(Diagnostic::Neighbour), "the other way still works");
        assert_eq!(heard, at + pair.delay, "and is told at once");
        pair.cut[1] = false;
        pair.run(Duration::from_secs(3));
        assert_eq!(pair.states(), [State::Up, State::Up], "and both come back");
    }
}

#[test]
fn a_passive_session_waits_to_be_spoken_to() {
    let passive = Spec { passive: true, ..spec(50, 50, 3) };
    let mut both = Pair::new(passive.clone(), passive.clone());
    both.run(Duration::from_secs(5));
    assert!(both.sent.iter().all(Vec::is_empty) && both.states() == [State::Down; 2]);
    let mut one = Pair::new(passive, spec(50, 50, 3));
    one.run(Duration::from_secs(3));
    assert_eq!(one.states(), [State::Up, State::Up]);
    one.cut[1] = true;
    one.run(Duration::from_secs(3));
    let after = one.sent[0].last().expect("it spoke").0;
    one.run(Duration::from_secs(5));
    assert_eq!(one.sent[0].last().expect("it spoke").0, after, "silent again when nobody is heard");
}

#[test]
fn a_neighbour_that_stops_on_purpose_has_not_failed() {
    let mut pair = Pair::new(spec(50, 50, 3), spec(50, 50, 3));
    pair.run(Duration::from_secs(3));
    let now = pair.now;
    pair.sessions[1].stop(now);
    pair.run(MS);
    assert_eq!(pair.changes[0].last(), Some(&(now + pair.delay, Change::Excused)));
    assert!(pair.sessions[0].is_excused() && pair.sessions[0].standing().counts_as_up());
    pair.run(Duration::from_secs(3));
    assert_eq!(pair.states(), [State::Down, State::AdminDown], "and stays so");
    assert_eq!(pair.changes[0].len(), 2, "its silence means nothing");
    pair.sessions[1] = Session::new(spec(50, 50, 3), 33, 7, pair.now);
    pair.run(Duration::from_secs(3));
    assert_eq!(pair.states(), [State::Up, State::Up], "it may come back");
    assert!(!pair.sessions[0].is_excused());
    pair.cut = [true; 2];
    pair.run(Duration::from_secs(3));
    assert_eq!(pair.changes[0].last().map(|(_, change)| *change), Some(Change::Down(Diagnostic::Expired)));
}

/// A packet of a neighbour that has heard us.
fn says(state: State) -> Packet {
    Packet {
        diagnostic: Diagnostic::None,
        state,
        poll: false,
        last: false,
        demand: false,
        multiplier: 3,
        mine: 22,
        yours: 11,
        min_tx: MS * 50,
        min_rx: MS * 50,
    }
}

#[test]
fn every_state_by_every_word() {
    use State::{AdminDown, Down, Init, Up};
    // From RFC 5880 6.8.6: our state, what is heard, our state after.
    let table = [
        (Down, AdminDown, Down),
        (Down, Down, Init),
        (Down, Init, Up),
        (Down, Up, Down),
        (Init, AdminDown, Down),
        (Init, Down, Init),
        (Init, Init, Up),
        (Init, Up, Up),
        (Up, AdminDown, Down),
        (Up, Down, Down),
        (Up, Init, Up),
        (Up, Up, Up),
        (AdminDown, AdminDown, AdminDown),
        (AdminDown, Down, AdminDown),
        (AdminDown, Init, AdminDown),
        (AdminDown, Up, AdminDown),
    ];
    for (before, heard, after) in table {
        let mut session = Session::new(spec(50, 50, 3), 11, 1, START);
        let way: &[State] = match before {
            Down | AdminDown => &[],
            Init => &[Down],
            Up => &[Down, Up],
        };
        way.iter().for_each(|&state| session.received(&says(state), START));
        if before == AdminDown {
            session.stop(START);
        }
        assert_eq!(session.state(), before);
        session.received(&says(heard), START);
        assert_eq!(session.state(), after, "{before:?} hears {heard:?}");
    }
}

#[test]
fn a_poll_is_answered_at_once_and_moves_no_timer() {
    let mut session = Session::new(spec(50, 50, 3), 11, 1, START);
    [State::Down, State::Up].iter().for_each(|&state| session.received(&says(state), START));
    session.received(&Packet { last: true, ..says(State::Up) }, START);
    session.take_packets();
    let before = session.send_at;
    session.received(&Packet { poll: true, ..says(State::Up) }, START + MS);
    let answers = session.take_packets();
    assert_eq!(answers.len(), 1);
    assert!(answers[0].last && !answers[0].poll);
    assert_eq!(session.send_at, before);
}

#[test]
fn a_neighbour_that_takes_nothing_is_sent_nothing() {
    for quiet in [Packet { min_rx: Duration::ZERO, ..says(State::Up) }, Packet { demand: true, ..says(State::Up) }] {
        let mut session = Session::new(spec(50, 50, 3), 11, 1, START);
        [State::Down, State::Up].iter().for_each(|&state| session.received(&says(state), START));
        session.received(&Packet { last: true, ..quiet }, START);
        session.take_packets();
        session.fire(START + MS * 100);
        assert!(session.take_packets().is_empty(), "{quiet:?}");
        session.received(&Packet { last: true, ..says(State::Up) }, START + MS * 100);
        session.fire(START + MS * 200);
        assert_eq!(session.take_packets().len(), 1, "and again when it wants to hear");
    }
}

/// Has the first of two sessions die, and go on in another process after a while.
fn die_and_go_on(pair: &mut Pair, pause: Duration, spec: Spec) {
    let standing = pair.sessions[0].standing();
    pair.cut = [true; 2];
    pair.run(pause);
    pair.cut = [false; 2];
    pair.sessions[0] = Session::resume(spec, standing, 7, pair.now).expect("a session can stand so");
}

#[test]
fn a_session_that_goes_on_in_another_process_has_never_been_away() {
    for (pause, after) in [(0, spec(50, 50, 3)), (80, spec(50, 50, 3)), (80, spec(50, 90, 4)), (80, spec(90, 20, 3))] {
        let mut pair = Pair::new(spec(50, 50, 3), spec(50, 50, 3));
        pair.run(Duration::from_secs(5));
        for _ in 0..20 {
            die_and_go_on(&mut pair, MS * pause, after.clone());
            pair.run(MS * 333);
        }
        assert_eq!(pair.states(), [State::Up, State::Up]);
        assert_eq!([pair.changes[0].len(), pair.changes[1].len()], [1, 1], "{pause} ms: both came up once");
        assert!(pair.sessions[0].before.is_none() && !pair.sessions[0].polling, "new times are confirmed");
    }
}

#[test]
fn one_that_was_away_too_long_comes_up_again() {
    let mut pair = Pair::new(spec(50, 50, 3), spec(50, 50, 3));
    pair.run(Duration::from_secs(5));
    die_and_go_on(&mut pair, MS * 400, spec(50, 50, 3));
    pair.run(Duration::from_secs(3));
    assert_eq!(pair.states(), [State::Up, State::Up]);
    assert_eq!(pair.changes[1].iter().filter(|(_, change)| *change != Change::Up).count(), 1);
}

fn any_time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..2_000_000_u64).prop_map(Duration::from_micros),
        Just(Duration::from_micros(u32::MAX.into())),
        Just(Duration::MAX),
        any::<Duration>(),
    ]
}

fn any_state() -> impl Strategy<Value = State> {
    prop::sample::select(vec![State::AdminDown, State::Down, State::Init, State::Up])
}

prop_compose! {
    /// What somebody may have written who was dying, or means harm.
    fn any_standing()(
        states in [any_state(), any_state()],
        discriminators in any::<[u32; 2]>(),
        times in prop::collection::vec(any_time(), 7..8),
        flags in any::<[bool; 4]>(),
    ) -> Standing {
        let of = |at| Times { min_tx: times[at], min_rx: times[at + 1] };
        Standing {
            state: states[0],
            diagnostic: Diagnostic::None,
            since: times[0],
            excused: flags[3],
            discriminator: discriminators[0],
            remote: Remote { discriminator: discriminators[1], state: states[1], min_rx: times[1], demand: flags[0] },
            times: of(2),
            before: flags[1].then(|| of(4)),
            polling: flags[2],
            detection: times[6],
        }
    }
}

proptest! {
    /// Whatever was left, nothing breaks, and once what was left has expired the two come up.
    #[test]
    fn nothing_that_was_left_breaks_a_session(standing in any_standing()) {
        let mut pair = Pair::new(spec(50, 50, 3), spec(50, 50, 3));
        pair.run(Duration::from_secs(3));
        if let Some(resumed) = Session::resume(spec(50, 50, 3), standing, 7, pair.now) {
            pair.sessions[0] = resumed;
            pair.run(Duration::from_secs(3));
            // What says that it comes but every hour is waited for, as RFC 5880 has it.
            if standing.detection < Duration::from_secs(1) && standing.remote.min_rx < Duration::from_secs(1) {
                pair.run(Duration::from_secs(5));
                prop_assert_eq!(pair.states(), [State::Up, State::Up]);
            }
        }
    }

    /// Whatever is lost on the way, both come up again when nothing is, and neither ever speaks faster than agreed.
    #[test]
    fn losses_heal(
        cuts in proptest::collection::vec((0..2_usize, any::<bool>(), 1..2000_u32), 0..20),
        times in proptest::array::uniform4(10..200_u32), multiplier in 2..6_u8,
    ) {
        let mut pair = Pair::new(spec(times[0], times[1], multiplier), spec(times[2], times[3], multiplier));
        for (side, cut, time) in cuts {
            pair.cut[side] = cut;
            pair.run(MS * time);
        }
        pair.cut = [false; 2];
        pair.run(Duration::from_secs(8));
        prop_assert_eq!(pair.states(), [State::Up, State::Up]);
        for side in 0..2 {
            let ups = pair.changes[side].iter().filter(|(_, change)| *change == Change::Up).count();
            let downs = pair.changes[side].len() - ups;
            prop_assert_eq!(ups, downs + 1, "changes take turns");
        }
    }
}
