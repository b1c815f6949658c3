//! Which thread goes first, and that none goes first for long.
//!
//! A thread with real-time priority that does not come to rest takes a core from everybody, and two take a small machine. So
//! the kernel measures them (RLIMIT_RTTIME, setrlimit(2)): if one has worked for half a second without waiting for anything, all
//! that went first go along with the others from then on.

#![expect(unsafe_code, reason = "sched_setscheduler and sigaction have no safe wrappers")]

use std::io;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::clock;

/// How long a thread that goes first may work without a pause.
const ENDURANCE: Duration = Duration::from_millis(500);

/// The threads that go first, by their kernel's numbers; 0: room for one more.
static FIRST: [AtomicI32; 8] = [const { AtomicI32::new(0) }; 8];

/// Puts the calling thread before all threads that are not real-time ones: it runs as soon as it has something to do.
/// Needs CAP_SYS_NICE.
pub fn go_first() -> io::Result<()> {
    limit_endurance()?;
    let this = this_thread();
    let free = |place: &&AtomicI32| place.compare_exchange(0, this, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    let place = FIRST.iter().find(free).ok_or(io::ErrorKind::QuotaExceeded)?;
    set(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, 1).inspect_err(|_| place.store(0, Ordering::Relaxed))
}

/// Has the calling thread wait for a core no longer than it must, beside others that are no real-time ones (nice(2)): it gets ten
/// times as much as they do of one that all want. Needs CAP_SYS_NICE.
pub fn go_sooner() -> io::Result<()> {
    const NICE: i32 = -10;
    Ok(rustix::process::setpriority_process(None, NICE)?)
}

/// Leaves the core to others of the same session or control group that want it (sched_yield(2)), and tells for how long.
pub fn give_way() -> Duration {
    let start = clock::now();
    rustix::thread::sched_yield();
    clock::now().saturating_sub(start)
}

/// Puts the calling thread among the others again.
pub fn go_along() -> io::Result<()> {
    let this = this_thread();
    FIRST
        .iter()
        .filter(|place| place.load(Ordering::Relaxed) == this)
        .for_each(|place| place.store(0, Ordering::Relaxed));
    set(0, libc::SCHED_OTHER, 0)
}

/// Has the kernel tell of threads that do not come to rest.
fn limit_endurance() -> io::Result<()> {
    static DONE: Once = Once::new();
    let limit = getrlimit(Resource::Rttime);
    let current = ENDURANCE.as_micros().try_into().ok();
    setrlimit(Resource::Rttime, Rlimit { current, ..limit })?;
    DONE.call_once(|| {
        // SAFETY: all of it is plain data; the handler is set below, and a mask of no signals is all zeros.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        let handler: extern "C" fn(libc::c_int) = all_go_along;
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: the structure lives through the call, and the handler does nothing but system calls on atomics.
        unsafe { libc::sigaction(libc::SIGXCPU, &raw const action, std::ptr::null_mut()) };
    });
    Ok(())
}

extern "C" fn all_go_along(_signal: libc::c_int) {
    for thread in FIRST.iter().map(|place| place.swap(0, Ordering::Relaxed)).filter(|&thread| thread != 0) {
        // Nobody could be told if it failed.
        let _ = set(thread, libc::SCHED_OTHER, 0);
    }
}

fn this_thread() -> i32 {
    // SAFETY: takes and changes nothing.
    unsafe { libc::gettid() }
}

/// For a thread by the kernel's number; 0 is the calling one.
fn set(thread: i32, policy: i32, priority: i32) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: the structure lives through the call.
    let result = unsafe { libc::sched_setscheduler(thread, policy, &raw const parameters) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes_first() -> bool {
        // SAFETY: takes and changes nothing.
        unsafe { libc::sched_getscheduler(0) & !libc::SCHED_RESET_ON_FORK == libc::SCHED_FIFO }
    }

    /// Works without a pause until the kernel has had enough, or five times as long.
    fn spin() -> Duration {
        let start = clock::now();
        while goes_first() && clock::now() < start + 5 * ENDURANCE {}
        clock::now() - start
    }

    #[test]
    fn who_does_not_come_to_rest_goes_along_with_the_others() {
        let ends = std::thread::spawn(|| {
            if go_first().is_err() {
                println!("skipped: real-time priority needs CAP_SYS_NICE");
                return;
            }
            assert!(goes_first());
            let worked = spin();
            assert!(!goes_first(), "it still goes first after {worked:?}");
            assert!(worked >= ENDURANCE / 2, "it was stopped after {worked:?}");
            go_first().expect("a thread may try again");
            go_along().expect("and give up by itself");
            assert!(!goes_first());
        });
        ends.join().expect("it ends in order");
    }
}
