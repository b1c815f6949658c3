use super::*;

const A: Session = Session(0xa);
const B: Session = Session(0xb);

fn at(millis: u64) -> Duration {
    Duration::from_secs(1000) + Duration::from_millis(millis)
}

fn envelope(session: Session, sequence: u64, kind: Kind, payload: &[u8]) -> Envelope<'_> {
    Envelope { kind, syncid: 0, session, sequence, payload }
}

/// Two directors whose envelopes reach each other: A tells, B listens.
struct Pair {
    a: Peers,
    b: Peers,
}

impl Pair {
    fn new() -> Self {
        Self { a: Peers::new(A, at(0)), b: Peers::new(B, at(0)) }
    }

    /// Both send the beat that is due, and hear the other's.
    fn beat(&mut self, now: Duration) {
        exchange(&mut self.a, &mut self.b, true, now);
        exchange(&mut self.b, &mut self.a, false, now);
    }

    /// A sends something that B hears, or not.
    fn send(&mut self, kind: Kind, payload: &[u8], heard: bool, now: Duration) -> Option<Admission> {
        let sequence = self.a.next_sequence();
        heard.then(|| self.b.admit(&envelope(A, sequence, kind, payload), now))
    }

    /// A tells everything in two messages.
    fn bulk(&mut self, heard: [bool; 2], now: Duration) {
        for heard in heard {
            self.send(Kind::Bulk, &[], heard, now);
        }
        let closing = self.a.bulk_told(2, now);
        self.send(Kind::BulkEnd, &closing, true, now);
    }

    fn acquainted() -> Self {
        let mut pair = Pair::new();
        (0..3).for_each(|second| pair.beat(at(second * 1000)));
        pair
    }
}

/// The beat that is due goes from one, which tells or listens, to the other.
fn exchange(from: &mut Peers, to: &mut Peers, tells: bool, now: Duration) {
    if let Some(beat) = from.beat(tells, !tells, now) {
        let sequence = from.next_sequence();
        to.admit(&envelope(from.session(), sequence, Kind::Beat, &beat), now);
    }
}

#[test]
fn nothing_is_taken_from_a_session_that_has_not_heard_ours() {
    let mut pair = Pair::new();
    assert_eq!(pair.send(Kind::Live, &[], true, at(0)), Some(Admission::Unproven));
    (0..3).for_each(|second| pair.beat(at(second * 1000)));
    assert_eq!(pair.send(Kind::Live, &[], true, at(2000)), Some(Admission::Records(Delivery::Live)));
    assert_eq!(pair.send(Kind::Deletions, &[], true, at(2000)), Some(Admission::Deletions));
}

#[test]
fn a_recording_of_yesterday_proves_nothing_and_no_envelope_is_taken_twice() {
    let mut yesterday = Peers::new(A, at(0));
    yesterday.admit(&envelope(Session(0xdead), 1, Kind::Beat, &[0, 0, 0, 0]), at(0));
    let beat = yesterday.beat(true, false, at(0)).unwrap();
    let mut now = Peers::new(B, at(0));
    assert_eq!(now.admit(&envelope(A, 1, Kind::Beat, &beat), at(0)), Admission::Done);
    assert_eq!(now.admit(&envelope(A, 2, Kind::Live, &[]), at(0)), Admission::Unproven);

    let mut pair = Pair::acquainted();
    pair.send(Kind::Live, &[], true, at(2000));
    let again = pair.a.sent();
    for sequence in [again, again - 1, 0] {
        assert_eq!(pair.b.admit(&envelope(A, sequence, Kind::Live, &[]), at(2000)), Admission::Stale, "{sequence}");
    }
    assert_eq!(pair.b.admit(&envelope(B, 99, Kind::Live, &[]), at(2000)), Admission::Stale, "our own, come back");
}

#[test]
fn who_joins_is_in_sync_once_everything_has_come() {
    let mut pair = Pair::acquainted();
    assert!(!pair.b.in_sync(at(3000)));
    pair.beat(at(3000));
    assert!(pair.a.bulk_is_due(at(3000)));
    pair.bulk([true, true], at(3000));
    assert!(pair.b.in_sync(at(3000)));
    pair.beat(at(4000));
    assert!(!pair.a.bulk_is_due(at(60_000)), "nobody asks any more");
    assert!(pair.a.in_sync(at(3000)), "a master without another has nothing to wait for");
}

#[test]
fn a_part_that_is_lost_is_asked_for_again_but_not_at_once() {
    for heard in [[true, false], [false, true]] {
        let mut pair = Pair::acquainted();
        pair.bulk(heard, at(3000));
        assert!(!pair.b.in_sync(at(3000)), "{heard:?}");
        pair.beat(at(4000));
        assert!(!pair.a.bulk_is_due(at(7999)));
        assert!(pair.a.bulk_is_due(at(8000)));
        pair.bulk([true, true], at(8000));
        assert!(pair.b.in_sync(at(8000)));
    }
}

#[test]
fn a_lost_message_later_on_is_noticed_with_the_next() {
    let mut pair = Pair::acquainted();
    pair.bulk([true, true], at(3000));
    pair.send(Kind::Live, &[], false, at(3000));
    pair.send(Kind::Live, &[], false, at(3000));
    assert!(pair.b.in_sync(at(3000)));
    pair.send(Kind::Live, &[], true, at(3000));
    assert!(!pair.b.in_sync(at(3000)));
    assert_eq!(pair.b.list()[0].lost, 2);
    pair.beat(at(4000));
    assert_eq!(pair.a.list()[0].acknowledged, pair.a.sent());
}

#[test]
fn a_lonely_director_waits_a_little_and_the_dead_are_forgotten() {
    let mut alone = Peers::new(A, at(0));
    assert!(!alone.in_sync(at(2999)));
    assert!(alone.in_sync(at(3000)));
    let mut pair = Pair::acquainted();
    assert!(!pair.b.in_sync(at(3000)));
    alone = pair.b;
    alone.beat(false, true, at(6999));
    assert_eq!(alone.list().len(), 1);
    alone.beat(false, true, at(7000));
    assert!(alone.list().is_empty() && alone.in_sync(at(7000)), "a master that is gone cannot be waited for");
    pair = Pair::acquainted();
    assert_eq!(pair.a.list().len(), 1);
}

#[test]
fn strangers_do_not_drive_out_a_proven_peer() {
    let mut pair = Pair::acquainted();
    for stranger in 100..200 {
        pair.b.admit(&envelope(Session(stranger), 1, Kind::Beat, &[0xff, 0xff, 0, 0, 1]), at(2500));
    }
    assert_eq!(pair.b.list().len(), MOST);
    assert_eq!(pair.send(Kind::Live, &[], true, at(2500)), Some(Admission::Records(Delivery::Live)));
}
