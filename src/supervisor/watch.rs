//! Whether a director hangs. Its threads count their turns (`sys::pulse`); one that does not turn any more either loops, is
//! blocked, or has not been given a processor, and only the first two are its fault:
//!
//! - A thread *loops* if it has used so much processor time since its last turn. Time that it was not given does not count, so
//!   a busy machine makes nobody guilty.
//! - A thread is *blocked* if it was found asleep, each time that it was looked at, for so long without a turn. A healthy one
//!   wakes every few milliseconds.
//! - A thread that is ready to run and does not, or that somebody has stopped (SIGSTOP, a debugger), is left alone.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::sys::pulse::{Pulses, Sign};
use crate::sys::usage;

/// How often to look. Twice that is as much as a look can miss: what is longer is the supervisor's own sleep.
pub(super) const LOOK: Duration = Duration::from_millis(3);
/// A thread that has said that it waits is asked no more for so long.
const WAIT: Duration = Duration::from_millis(100);

/// What is too long.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Processor time without a turn.
    loops: Duration,
    /// Sleep without a turn.
    blocked: Duration,
}

/// A worker's turn is a batch of 64 packets, or a sleep of 10 ms. A batch takes less than a millisecond; but while it sends, the
/// kernel may do work of its own for two ticks of its clock, at the worker's cost. Without optimisation all takes its time.
const WORKER: Limits = Limits {
    loops: Duration::from_millis(if cfg!(debug_assertions) { 36 } else { 12 }),
    blocked: Duration::from_secs(1),
};
/// The control thread's turn may be a plan of thousands of services.
const CONTROL: Limits = Limits { loops: Duration::from_secs(3), blocked: Duration::from_secs(3) };

/// What is wrong with a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hang {
    Loops,
    Blocked,
}

/// The watch over one director.
#[derive(Debug)]
pub(super) struct Watch {
    pulses: Pulses,
    process: u32,
    threads: Vec<Thread>,
}

impl Watch {
    /// Over the threads of a process that have these pages.
    pub(super) fn new(pages: OwnedFd, process: u32) -> io::Result<Self> {
        let pulses = Pulses::attach(pages)?;
        let threads = pulses.signs().enumerate().map(|(at, _)| Thread::new(if at == 0 { CONTROL } else { WORKER }));
        Ok(Self { threads: threads.collect(), pulses, process })
    }

    /// Looks at all threads; says of one that hangs which it is.
    pub(super) fn look(&mut self, now: Duration) -> Option<(String, Hang)> {
        let Self { pulses, process, threads } = self;
        let mut judged = threads.iter_mut().zip(pulses.signs()).enumerate().filter_map(|(at, (thread, sign))| {
            let hang = thread.judge(sign, now, |id| Condition::of(*process, id))?;
            let name = if at == 0 { "its control thread".to_owned() } else { format!("its worker {}", at - 1) };
            Some((name, hang))
        });
        judged.next()
    }
}

/// What the kernel says of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// Processor time that it has used.
    pub(super) used: Duration,
    pub(super) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It runs, or would.
    Runnable,
    /// It waits for something.
    Asleep,
    /// Somebody has stopped it, or it is gone.
    Stopped,
}

impl Condition {
    /// `None`: it is gone, or the kernel does not say.
    pub(super) fn of(process: u32, thread: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/task/{thread}/stat")).ok()?;
        Some(Self { used: usage::used_by(process, thread)?, state: State::of(&stat)? })
    }
}

impl State {
    /// Of a line of `/proc/PID/stat`: the state follows the name, which may contain anything (proc_pid_stat(5)).
    fn of(stat: &str) -> Option<Self> {
        Some(match stat.rsplit(") ").next()?.chars().next()? {
            'R' => Self::Runnable,
            'S' | 'D' => Self::Asleep,
            _ => Self::Stopped,
        })
    }
}

/// What was seen of a thread since its last turn.
#[derive(Debug)]
struct Thread {
    limits: Limits,
    turns: Option<u64>,
    looked: Duration,
    /// How long there was no turn.
    still: Duration,
    /// How long it was asleep at every look.
    asleep: Duration,
    /// The processor time that it had used at the first look.
    used: Option<Duration>,
}

impl Thread {
    fn new(limits: Limits) -> Self {
        let zero = Duration::ZERO;
        Self { limits, turns: None, looked: zero, still: zero, asleep: zero, used: None }
    }

    fn judge(&mut self, sign: Sign, now: Duration, condition: impl Fn(u32) -> Option<Condition>) -> Option<Hang> {
        let passed = now.saturating_sub(self.looked).min(LOOK * 2);
        self.looked = now;
        let thread = sign.thread?;
        if self.turns != Some(sign.turns) {
            (self.turns, self.still, self.asleep, self.used) = (Some(sign.turns), Duration::ZERO, Duration::ZERO, None);
            return None;
        }
        self.still += passed;
        if sign.waits && self.still < WAIT {
            return None;
        }
        let Condition { used, state } = condition(thread)?;
        let before = *self.used.get_or_insert(used);
        self.asleep = if state == State::Asleep { self.asleep + passed } else { Duration::ZERO };
        if state != State::Stopped && used.saturating_sub(before) >= self.limits.loops {
            return Some(Hang::Loops);
        }
        (self.asleep >= self.limits.blocked).then_some(Hang::Blocked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Looks every 3 ms, for at most `limit`, at a thread that is still while `life` says of each millisecond what it does;
    /// gives what it was found guilty of, and when.
    fn judged(limit: u64, life: impl Fn(u64) -> (u64, State)) -> Option<(Hang, u64)> {
        let mut thread = Thread::new(WORKER);
        let sign = Sign { turns: 7, waits: false, thread: Some(1) };
        (0..limit).step_by(3).find_map(|at| {
            let (used, state) = life(at);
            thread.judge(sign, ms(at), |_| Some(Condition { used: ms(used), state })).map(|hang| (hang, at))
        })
    }

    #[test]
    fn one_that_loops_is_told_from_one_that_starves() {
        use State::{Asleep, Runnable, Stopped};
        let (loops, at) = judged(100, |at| (at, Runnable)).unwrap();
        let limit = WORKER.loops.as_millis() as u64;
        assert!(loops == Hang::Loops && (limit..=limit + 6).contains(&at), "after {at} ms");
        assert_eq!(judged(60_000, |_| (5, Runnable)), None, "it was given no processor");
        assert_eq!(judged(60_000, |_| (5, Stopped)), None);
        assert_eq!(judged(60_000, |at| (5, if at % 900 == 0 { Runnable } else { Asleep })), None, "it was woken");
        let (blocked, at) = judged(5000, |_| (5, Asleep)).unwrap();
        assert!(blocked == Hang::Blocked && (1000..1020).contains(&at), "after {at} ms");
    }

    #[test]
    fn a_turn_clears_of_everything() {
        let mut thread = Thread::new(WORKER);
        for at in 0..100_000 {
            let sign = Sign { turns: at / 5, waits: false, thread: Some(1) };
            let condition = Condition { used: ms(at), state: State::Runnable };
            assert_eq!(thread.judge(sign, ms(at), |_| Some(condition)), None, "7 ms of work at most");
        }
    }

    #[test]
    fn what_the_supervisor_has_slept_through_does_not_count() {
        let mut thread = Thread::new(WORKER);
        let sign = Sign { turns: 1, waits: true, thread: Some(1) };
        for second in 0..100 {
            let condition = Condition { used: Duration::ZERO, state: State::Asleep };
            assert_eq!(thread.judge(sign, ms(second * 1000), |_| Some(condition)), None);
        }
    }

    #[test]
    fn the_kernel_tells_of_a_thread() {
        let own = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
        let condition = || Condition::of(std::process::id(), own).unwrap();
        // The kernel counts at its ticks.
        while condition().used == Duration::ZERO {}
        assert_eq!(condition().state, State::Runnable);
        assert_eq!(State::of("12 (a) S (b) T 1 12"), Some(State::Stopped));
        assert_eq!(State::of("12 (worker-0) D 1 12"), Some(State::Asleep));
    }
}
