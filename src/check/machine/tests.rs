//! The pace of a check and its verdicts, on virtual time.

use super::*;
use crate::check::Probe;
use crate::wire::{Addr, Endpoint};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

/// The pace of the tutorials: `delay_loop 6`, `connect_timeout 3`, `nb_get_retry 3`, `delay_before_retry 3`.
pub(in crate::check) fn spec() -> Spec {
    Spec {
        probe: Probe::Tcp,
        target: Endpoint::new(Addr::v4(0x0a00_0016), 80),
        bind: None,
        timeout: 3 * SECOND,
        interval: 6 * SECOND,
        retries: 3,
        retry_delay: 3 * SECOND,
        warmup: 6 * SECOND,
        starts_down: false,
    }
}

fn checker(spec: Spec) -> Checker {
    Checker::new(Arc::new(Spec { warmup: Duration::ZERO, ..spec }), Duration::ZERO, 0)
}

/// Runs the next probe, which takes `latency`, and returns when its answer came and what it led to.
fn next(checker: &mut Checker, answer: Result<(), Failure>, latency: Duration) -> (Duration, Option<Action>) {
    let asked = checker.deadline().expect("no probe is out");
    assert_eq!(checker.handle(Input::Deadline, asked), Some(Action::Probe));
    let answered = asked + latency;
    (answered, checker.handle(Input::Answer(answer), answered))
}

/// From the last good answer until the server is found down, if it fails like this from then on.
fn detection(spec: Spec, failure: Failure, latency: Duration) -> Duration {
    let mut checker = checker(spec);
    let (died, _) = next(&mut checker, Ok(()), Duration::ZERO);
    loop {
        let (now, action) = next(&mut checker, Err(failure.clone()), latency);
        if let Some(action) = action {
            assert_eq!(action, Action::Down(failure));
            return now - died;
        }
        assert!(now < 1000 * SECOND, "never found down");
    }
}

#[test]
fn a_dead_server_is_found_down_as_fast_as_keepalived_does() {
    assert_eq!(detection(spec(), Failure::TimedOut, 3 * SECOND), 27 * SECOND);
    assert_eq!(detection(spec(), Failure::Refused, Duration::ZERO), 15 * SECOND);
    assert_eq!(detection(Spec { retries: 0, ..spec() }, Failure::Refused, Duration::ZERO), 6 * SECOND);
}

#[test]
fn one_success_forgives_all_failures_before_it() {
    let mut checker = checker(spec());
    for good in [false, false, false, true].repeat(3) {
        let answer = if good { Ok(()) } else { Err(Failure::Refused) };
        assert_eq!(next(&mut checker, answer, Duration::ZERO).1, None);
    }
    assert!(checker.is_up());
}

#[test]
fn a_server_that_starts_down_comes_up_with_its_first_success() {
    let mut checker = checker(Spec { starts_down: true, ..spec() });
    assert!(!checker.is_up());
    let (now, action) = next(&mut checker, Err(Failure::Refused), Duration::ZERO);
    assert_eq!((action, checker.deadline()), (None, Some(now + 6 * SECOND)), "while down, asked at the usual pace");
    assert_eq!(next(&mut checker, Ok(()), Duration::ZERO).1, Some(Action::Up));
    assert_eq!(next(&mut checker, Ok(()), Duration::ZERO).1, None, "told once");
}

#[test]
fn the_first_check_starts_within_the_warm_up() {
    let first = |spread| Checker::new(Arc::new(spec()), SECOND, spread).deadline().unwrap();
    assert_eq!(first(0), SECOND);
    assert_eq!(first(1 << 31), 4 * SECOND);
    assert!((6 * SECOND..7 * SECOND).contains(&first(u32::MAX)));
}

/// What happens next in a run; times in milliseconds.
#[derive(Clone, Debug)]
enum Step {
    /// The clock moves on and the loop wakes, on time or not.
    Wake { after: u64 },
    /// An answer comes, asked for or not.
    Answer { good: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wake = (0..9000u64).prop_map(|after| Step::Wake { after });
    let answer = prop::bool::weighted(0.3).prop_map(|good| Step::Answer { good });
    prop::collection::vec(prop_oneof![wake, answer], 0..200)
}

proptest! {
    /// Against a model that only counts failures: never stuck, up after a success, down only after `retries` + 1 failures
    /// in a row, and every change told exactly once.
    #[test]
    fn verdicts_follow_the_answers(steps in steps(), retries in 0..4u32, starts_down: bool) {
        let mut checker = checker(Spec { retries, starts_down, ..spec() });
        let (mut now, mut out, mut failures, mut up) = (Duration::ZERO, false, 0, !starts_down);
        for step in steps {
            let action = match step {
                Step::Wake { after } => {
                    now += Duration::from_millis(after);
                    let due = checker.deadline().is_some_and(|deadline| deadline <= now);
                    let action = checker.handle(Input::Deadline, now);
                    prop_assert_eq!(&action, &due.then_some(Action::Probe));
                    out |= due;
                    None
                }
                Step::Answer { good } => {
                    let answer = if good { Ok(()) } else { Err(Failure::Reset) };
                    failures = match (out, good) {
                        (true, true) => 0,
                        (true, false) => failures + 1,
                        (false, _) => failures,
                    };
                    let action = checker.handle(Input::Answer(answer), now);
                    let was_out = std::mem::replace(&mut out, false);
                    prop_assert!(was_out || action.is_none());
                    let expected = match good {
                        true if was_out && !up => Some(Action::Up),
                        false if was_out && up && failures == retries + 1 => Some(Action::Down(Failure::Reset)),
                        _ => None,
                    };
                    prop_assert_eq!(&action, &expected);
                    action
                }
            };
            up = match action {
                Some(Action::Up) => { failures = 0; true }
                Some(Action::Down(_)) => false,
                _ => up,
            };
            prop_assert_eq!(checker.is_up(), up);
            prop_assert!(checker.deadline().is_some() != out, "either a deadline or a probe");
            prop_assert!(checker.deadline().is_none_or(|deadline| deadline <= now + 6 * SECOND), "asked again soon");
        }
    }

    /// The worst case of detection: silence that begins just after a good answer.
    #[test]
    fn detection_time_is_as_promised(interval in 1..100u32, retries in 0..5u32, delay in 0..20u32, timeout in 1..20u32) {
        let spec = Spec {
            interval: interval * SECOND,
            retries,
            retry_delay: delay * SECOND,
            timeout: timeout * SECOND,
            ..spec()
        };
        let promised = interval + retries * delay + (retries + 1) * timeout;
        prop_assert_eq!(detection(spec, Failure::TimedOut, timeout * SECOND), promised * SECOND);
    }
}
