use super::super::spec::Manners;
use super::*;
use crate::vrrp::wire::Checksum;
use crate::wire::Family;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn own() -> Addr {
    Addr::v4(0x0a00_000b)
}

fn spec(priority: u8) -> Spec {
    Spec { priority, ..Spec::new("VI", "eth0", 51, Family::V4) }
}

/// An advert of the router with this last byte.
fn heard(last: u32, priority: u8) -> Input {
    Input::Heard(Heard {
        from: Addr::v4(0x0a00_0000 | last),
        priority,
        interval: ms(1000),
        checksum: Checksum::Journey,
    })
}

fn backup(spec: &Spec) -> Machine {
    let mut machine = Machine::new(spec, false);
    let actions = machine.handle(Input::Usable(Some(own())), ms(0));
    assert_eq!(actions[..], [Action::Entered(Role::Backup, Cause::Usable)]);
    machine
}

fn master(spec: &Spec) -> Machine {
    let mut machine = backup(spec);
    let at = machine.deadline().unwrap();
    machine.handle(Input::Deadline, at);
    assert_eq!(machine.role(), Role::Master);
    // Tests begin at 10 s with a fresh interval.
    machine.state = State::Master(Master { own: own(), advert_at: ms(11_000), answered: None });
    machine
}

#[test]
fn a_backup_leads_after_the_master_s_silence() {
    let mut machine = backup(&spec(100));
    assert_eq!(machine.deadline(), Some(Duration::from_micros(3_609_375)));
    assert!(machine.handle(Input::Deadline, ms(3609)).is_empty(), "woken early");
    let actions = machine.handle(Input::Deadline, ms(3610));
    assert_eq!(
        actions[..],
        [Action::Send(100), Action::Take, Action::Entered(Role::Master, Cause::Silence)],
        "the advert comes first"
    );
    assert_eq!(machine.deadline(), Some(ms(4610)));
}

/// Version 3: a backup waits by the master's interval, unless that names none.
#[test]
fn the_masters_interval_counts_if_it_is_one() {
    for (interval, waits) in [(ms(100), ms(300)), (ms(0), ms(3000)), (ms(2000), ms(6000))] {
        let mut machine = backup(&Spec { version: Version::V3, ..spec(100) });
        let advert = Heard { from: Addr::v4(1), priority: 200, interval, checksum: Checksum::Journey };
        machine.handle(Input::Heard(advert), ms(0));
        let skew = waits / 3 * 156 / 256;
        assert_eq!(machine.deadline(), Some(waits + skew), "{interval:?}");
    }
}

#[test]
fn only_an_owner_told_to_be_master_does_not_wait() {
    for (priority, starts_as_master, role) in
        [(255, true, Role::Master), (255, false, Role::Backup), (254, true, Role::Backup), (100, false, Role::Backup)]
    {
        let mut machine = Machine::new(&Spec { starts_as_master, ..spec(priority) }, false);
        machine.handle(Input::Usable(Some(own())), ms(0));
        assert_eq!(machine.role(), role, "{priority} {starts_as_master}");
    }
}

#[test]
fn what_a_backup_hears_decides_how_long_it_waits() {
    let delayed = Preempt::After(ms(5000));
    // (preempt, priority heard, deadline in µs): started at 0, heard at 1 s, with priority 100.
    for (preempt, priority, deadline) in [
        (Preempt::After(ms(0)), 150, 4_609_375),
        (Preempt::After(ms(0)), 100, 4_609_375),
        (Preempt::After(ms(0)), 99, 3_609_375),
        (Preempt::Never, 1, 4_609_375),
        (delayed, 99, 4_609_375),
        (Preempt::After(ms(0)), 0, 1_609_375),
        (Preempt::Never, 0, 1_609_375),
    ] {
        let mut machine = backup(&Spec { preempt, ..spec(100) });
        assert!(machine.handle(heard(9, priority), ms(1000)).is_empty());
        assert_eq!(machine.deadline(), Some(Duration::from_micros(deadline)), "{preempt:?} {priority}");
    }
}

#[test]
fn a_delayed_preemption_counts_from_the_first_lower_advert() {
    let mut machine = backup(&Spec { preempt: Preempt::After(ms(5000)), ..spec(100) });
    // The last advert that still counts is at 5.1 s; the next would be at 6.1 s, after 0.1 + 5 s.
    (0..10).for_each(|n| _ = machine.handle(heard(9, 90), ms(100 + n * 1000)));
    assert_eq!(machine.deadline(), Some(Duration::from_micros(4_100_000 + 3_609_375)));
    let mut machine = backup(&Spec { preempt: Preempt::After(ms(5000)), ..spec(100) });
    machine.handle(heard(9, 90), ms(100));
    machine.handle(heard(9, 200), ms(1100));
    machine.handle(heard(9, 90), ms(6000));
    assert_eq!(machine.deadline(), Some(Duration::from_micros(9_609_375)), "a higher master begins it anew");
}

#[test]
fn a_respectful_backup_takes_over_from_no_living_master() {
    let mut machine = backup(&Spec { preempt: Preempt::After(ms(2000)), ..spec(100) });
    machine.handle(Input::Respect(true), ms(0));
    (0..10).for_each(|n| _ = machine.handle(heard(9, 90), ms(100 + n * 1000)));
    assert_eq!(machine.deadline(), Some(Duration::from_micros(9_100_000 + 3_609_375)), "its silence is waited for");
    machine.handle(Input::Respect(false), ms(9200));
    machine.handle(heard(9, 90), ms(10_100));
    assert_eq!(machine.deadline(), Some(Duration::from_micros(9_100_000 + 3_609_375)), "the delay ran meanwhile");
    machine.handle(Input::Respect(true), ms(10_200));
    assert_eq!(machine.handle(Input::Deadline, ms(12_710))[2], Action::Entered(Role::Master, Cause::Silence));
}

#[test]
fn version_3_waits_by_the_master_s_interval() {
    let mut machine = backup(&Spec { version: Version::V3, ..spec(100) });
    let quick = Heard { from: Addr::v4(9), priority: 200, interval: ms(100), checksum: Checksum::Journey };
    machine.handle(Input::Heard(quick), ms(1000));
    assert_eq!(machine.deadline(), Some(Duration::from_nanos(1_360_937_500)));
    machine.handle(Input::Heard(Heard { priority: 0, ..quick }), ms(1010));
    assert_eq!(machine.deadline(), Some(Duration::from_nanos(1_070_937_500)), "and so does its skew");
}

#[test]
fn a_lost_master_is_waited_for_no_longer() {
    // (preempt, priority, deadline in µs): the master of priority 150 is heard at 1 s and lost at 1.2 s.
    for (preempt, priority, deadline) in [
        (Preempt::After(ms(0)), 100, 1_200_000 + 609_375 / 8),
        (Preempt::Never, 100, 1_200_000 + 609_375 / 8),
        (Preempt::Never, 101, 1_200_000 + 605_468 / 8),
    ] {
        let mut machine = backup(&Spec { preempt, ..spec(priority) });
        machine.handle(heard(9, 150), ms(1000));
        assert!(machine.handle(Input::Lost, ms(1200)).is_empty());
        assert_eq!(machine.deadline().unwrap().as_micros(), deadline, "{preempt:?} {priority}");
        let mut alive = machine.clone();
        assert_eq!(machine.handle(Input::Deadline, ms(1300))[2], Action::Entered(Role::Master, Cause::Lost));
        machine.handle(Input::Lost, ms(1400));
        assert_eq!(machine.role(), Role::Master);
        alive.handle(heard(9, 150), ms(1210));
        assert!(alive.deadline().unwrap() > ms(4000), "an advert is better news");
        assert_eq!(alive.handle(Input::Deadline, ms(5000))[2], Action::Entered(Role::Master, Cause::Silence));
    }
}

#[test]
fn repeated_goodbyes_do_not_keep_a_backup_waiting() {
    let mut machine = backup(&spec(100));
    (0..10).for_each(|n| _ = machine.handle(heard(9, 0), ms(1000 + n * 100)));
    assert_eq!(machine.deadline(), Some(Duration::from_micros(1_609_375)));
    assert_eq!(machine.handle(Input::Deadline, ms(1610))[2], Action::Entered(Role::Master, Cause::Released));
}

#[test]
fn a_master_gives_way_to_the_better_one() {
    let gone = |from: u32, priority: u8| {
        vec![Action::Leave, Action::Entered(Role::Backup, Cause::Higher(Addr::v4(0x0a00_0000 | from), priority))]
    };
    let answer = vec![Action::Send(100), Action::Reassert];
    let quiet = Manners { answers_lower: false, ..Manners::default() };
    let parting = Manners { answers_higher: true, ..Manners::default() };
    for (manners, from, priority, expected) in [
        (Manners::default(), 9, 101, gone(9, 101)),
        (Manners::default(), 12, 100, gone(12, 100)),
        (Manners::default(), 10, 100, answer.clone()),
        (Manners::default(), 200, 99, answer),
        (quiet, 200, 99, vec![Action::Reassert]),
        (parting, 9, 101, [vec![Action::Send(100)], gone(9, 101)].concat()),
        (Manners::default(), 9, 0, vec![Action::Send(100)]),
    ] {
        let mut machine = master(&Spec { manners, ..spec(100) });
        assert_eq!(machine.handle(heard(from, priority), ms(10_500))[..], expected, "{from} {priority}");
    }
}

#[test]
fn an_owner_may_stay_whatever_it_hears() {
    for (owner_stays, role) in [(true, Role::Master), (false, Role::Backup)] {
        let mut machine = master(&Spec { manners: Manners { owner_stays, ..Manners::default() }, ..spec(255) });
        machine.handle(heard(200, 255), ms(10_500));
        assert_eq!(machine.role(), role);
    }
}

#[test]
fn a_master_keeps_step() {
    let mut machine = master(&spec(100));
    for (now, next) in [(11_000, 12_000), (12_003, 13_000), (13_400, 14_000), (19_500, 20_500)] {
        assert_eq!(machine.handle(Input::Deadline, ms(now))[..], [Action::Send(100)]);
        assert_eq!(machine.deadline(), Some(ms(next)), "woken at {now}");
    }
}

#[test]
fn who_cannot_take_part_says_goodbye_first() {
    for (input, role, cause) in
        [(Input::Usable(None), Role::Fault, Cause::Unusable), (Input::Stop, Role::Stopped, Cause::Stop)]
    {
        let mut machine = master(&spec(100));
        let actions = machine.handle(input, ms(10_500));
        assert_eq!(actions[..], [Action::Send(0), Action::Leave, Action::Entered(role, cause)]);
        assert_eq!(machine.deadline(), None);
        let mut machine = backup(&spec(100));
        assert_eq!(
            machine.handle(input, ms(500))[..],
            [Action::Entered(role, cause)],
            "a backup has nothing to give up"
        );
    }
}

#[test]
fn a_new_priority_is_in_the_next_advert_and_the_next_wait() {
    let mut machine = master(&spec(100));
    assert!(machine.handle(Input::Priority(80), ms(10_500)).is_empty());
    assert_eq!(machine.handle(Input::Deadline, ms(11_000))[..], [Action::Send(80)]);
    assert_eq!(machine.handle(heard(9, 90), ms(11_100))[0], Action::Leave, "and compares with others at once");
}

#[test]
fn the_stopped_and_the_faulty_hear_nothing() {
    let mut machine = Machine::new(&spec(100), false);
    for input in [heard(9, 0), Input::Deadline, Input::Lead, Input::Yield, Input::Usable(None)] {
        assert!(machine.handle(input, ms(100)).is_empty());
    }
    let mut machine = master(&spec(100));
    machine.handle(Input::Stop, ms(10_500));
    for input in [heard(9, 0), Input::Deadline, Input::Lead, Input::Usable(Some(own())), Input::Stop] {
        assert!(machine.handle(input, ms(20_000)).is_empty());
    }
}

#[test]
fn a_master_that_stood_still_gives_way_where_it_is_told_to() {
    let late = Spec { preempt: Preempt::Never, yields_after: Some(ms(3200)), ..spec(100) };
    for (spec, woke, role) in
        [(&late, 13_199, Role::Master), (&late, 13_200, Role::Backup), (&spec(100), 60_000, Role::Master)]
    {
        // Its last advert was at 10 s.
        let mut machine = master(spec);
        let actions = machine.handle(Input::Woke, ms(woke));
        assert_eq!(machine.role(), role, "woke at {woke}");
        let expected: &[Action] = &[Action::Leave, Action::Entered(Role::Backup, Cause::Late)];
        assert_eq!(actions[..], *if role == Role::Backup { expected } else { &[] }, "without a goodbye");
    }
    let mut machine = backup(&late);
    assert!(machine.handle(Input::Woke, ms(60_000)).is_empty(), "a backup waits for its deadline");
}
