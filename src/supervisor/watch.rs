//! Whether a director hangs. Its threads count their turns (`sys::pulse`); one that does not turn any more either loops, is
//! blocked, or has not been given a processor, and only the first two are its fault:
//!
//! - A thread *loops* if it has used so much processor time since its last turn. Time that it was not given does not count, so
//!   a busy machine makes nobody guilty. The kernel counts that time at its ticks (1 to 10 ms apart, by its configuration); a
//!   machine that is itself not given a processor by its host counts none meanwhile, and all of it in the next tick. So time
//!   counts only as far as it has been seen to pass bit by bit.
//! - A thread is *blocked* if it was found asleep, each time that it was looked at, for so long without a turn. A healthy one
//!   wakes every few milliseconds.
//! - A thread that is ready to run and does not, or that somebody has stopped (SIGSTOP, a debugger), is left alone.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::sys::pulse::{Pulses, Sign};
use crate::sys::usage;

/// How often to look.
pub(super) const LOOK: Duration = Duration::from_millis(1);
/// What is longer between two looks is the supervisor's own sleep.
pub(super) const NAP: Duration = Duration::from_millis(6);
/// A thread that has said that it is in the kernel's hands is asked no more for so long.
const WAIT: Duration = Duration::from_millis(100);
/// What is too long.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Without a turn, whatever the thread does meanwhile.
    still: Duration,
    /// Processor time without a turn.
    loops: Duration,
    /// Sleep without a turn.
    blocked: Duration,
}

/// A worker's turn is a batch of 64 packets, or a sleep of 10 ms. A batch takes less than a millisecond, besides what it
/// leaves to the kernel; without optimisation all takes its time. Most kernels tick every 4 ms: 7 ms are two ticks.
const WORKER: Limits = Limits {
    still: Duration::from_millis(7),
    loops: Duration::from_millis(if cfg!(debug_assertions) { 36 } else { 7 }),
    blocked: Duration::from_secs(1),
};
impl Limits {
    /// As much processor time can be seen to pass at one look: none finds a thread guilty by itself.
    fn leap(self) -> Duration {
        self.loops * 2 / 3
    }
}

/// The control thread's turn may be a plan of thousands of services.
const CONTROL: Limits =
    Limits { still: Duration::ZERO, loops: Duration::from_secs(3), blocked: Duration::from_secs(3) };

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
    /// The processor time that it has used since the first look.
    worked: Duration,
    /// The processor time that it had used at the last look.
    used: Option<Duration>,
}

impl Thread {
    fn new(limits: Limits) -> Self {
        let zero = Duration::ZERO;
        Self { limits, turns: None, looked: zero, still: zero, asleep: zero, worked: zero, used: None }
    }

    fn judge(&mut self, sign: Sign, now: Duration, condition: impl Fn(u32) -> Option<Condition>) -> Option<Hang> {
        let passed = now.saturating_sub(self.looked).min(NAP);
        self.looked = now;
        let thread = sign.thread?;
        if self.turns != Some(sign.turns) {
            *self = Self { turns: Some(sign.turns), looked: now, ..Self::new(self.limits) };
            return None;
        }
        self.still += passed;
        if sign.waits && self.still < WAIT {
            return None;
        }
        let Condition { used, state } = condition(thread)?;
        let before = self.used.replace(used).unwrap_or(used);
        self.worked += used.saturating_sub(before).min(self.limits.leap());
        self.asleep = if state == State::Asleep { self.asleep + passed } else { Duration::ZERO };
        if state != State::Stopped && self.still >= self.limits.still && self.worked >= self.limits.loops {
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

    /// Looks for at most `limit` milliseconds at a thread that is still while `life` says of each of them what it does; gives
    /// what it was found guilty of, and when.
    fn judged(limit: u64, life: impl Fn(u64) -> (u64, State)) -> Option<(Hang, u64)> {
        let mut thread = Thread::new(WORKER);
        let sign = Sign { turns: 7, waits: false, thread: Some(1) };
        (0..limit).step_by(LOOK.as_millis() as usize).find_map(|at| {
            let (used, state) = life(at);
            thread.judge(sign, ms(at), |_| Some(Condition { used: ms(used), state })).map(|hang| (hang, at))
        })
    }

    #[test]
    fn one_that_loops_is_told_from_one_that_starves() {
        use State::{Asleep, Runnable, Stopped};
        assert_eq!(judged(60_000, |_| (5, Runnable)), None, "it was given no processor");
        assert_eq!(judged(60_000, |_| (5, Stopped)), None);
        assert_eq!(judged(60_000, |at| (5, if at % 900 == 0 { Runnable } else { Asleep })), None, "it was woken");
        let (blocked, at) = judged(5000, |_| (5, Asleep)).unwrap();
        assert!(blocked == Hang::Blocked && (1000..1020).contains(&at), "after {at} ms");
    }

    #[test]
    fn one_that_loops_is_found_whatever_the_kernel_counts_by() {
        let limit = WORKER.loops.as_millis() as u64;
        for tick in [1, 4, 10] {
            for phase in 0..tick {
                let (loops, at) = judged(200, |at| ((at + phase) / tick * tick, State::Runnable)).unwrap();
                assert_eq!(loops, Hang::Loops);
                // A part of the first tick may have been before the first look.
                let least = limit.saturating_sub(tick).max(WORKER.still.as_millis() as u64);
                let around = least..=limit + 2 * tick + 2;
                assert!(around.contains(&at), "after {at} ms, with ticks of {tick} ms");
            }
        }
    }

    #[test]
    fn what_the_host_has_kept_does_not_count() {
        let kept = |length: u64| judged(60_000, |at| (5 + if at < 90 { 0 } else { length }, State::Runnable));
        assert!((1..1000).all(|length| kept(length).is_none()));
    }

    #[test]
    fn a_turn_clears_of_everything() {
        let mut thread = Thread::new(WORKER);
        for at in 0..100_000 {
            let sign = Sign { turns: at / 7, waits: false, thread: Some(1) };
            let condition = Condition { used: ms(at), state: State::Runnable };
            assert_eq!(thread.judge(sign, ms(at), |_| Some(condition)), None, "7 ms of work at most");
        }
    }

    #[test]
    fn the_kernel_s_work_is_not_the_thread_s() {
        let mut thread = Thread::new(WORKER);
        let mut judge = |at: u64| {
            let sign = Sign { turns: at / 90, waits: true, thread: Some(1) };
            thread.judge(sign, ms(at), |_| Some(Condition { used: ms(at), state: State::Runnable }))
        };
        assert!((0..10_000).all(|at| judge(at).is_none()), "90 ms of the kernel's work at a time");
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
