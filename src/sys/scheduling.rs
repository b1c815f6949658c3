//! Which thread goes first, and that none goes first for long.
//!
//! A thread with real-time priority that does not come to rest takes a core from everybody, and two take a small machine. So
//! the kernel measures them (RLIMIT_RTTIME, setrlimit(2)): one that has worked for half a second without waiting for anything
//! goes along with the others from then on, and first again once it has behaved for a while. Others are not concerned.

#![expect(unsafe_code, reason = "sched_setscheduler and sigaction have no safe wrappers")]

use std::cell::Cell;
use std::io;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::clock;

/// How long a thread that goes first may work without a pause.
const ENDURANCE: Duration = Duration::from_millis(500);
/// How long one goes along that has worked for longer.
const PENANCE: Duration = Duration::from_secs(5);

/// A thread that goes first, or would.
struct Place {
    /// By the kernel's number; 0: room for one more.
    thread: AtomicI32,
    /// In nanoseconds since boot, when it was made to go along; 0: it goes first.
    fallen: AtomicU64,
}

static FIRST: [Place; 8] = [const { Place { thread: AtomicI32::new(0), fallen: AtomicU64::new(0) } }; 8];

thread_local! {
    /// The calling thread's.
    static PLACE: Seat = const { Seat(Cell::new(None)) };
}

/// A place for as long as its thread lives.
struct Seat(Cell<Option<&'static Place>>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Seat {
    /// The place, which is taken if it was not.
    fn take(&self) -> Option<&'static Place> {
        let is_free = |place: &&Place| {
            place.thread.compare_exchange(0, this_thread(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        let place = self.0.get().or_else(|| FIRST.iter().find(is_free))?;
        self.0.set(Some(place));
        Some(place)
    }

    fn leave(&self) {
        if let Some(place) = self.0.take() {
            place.thread.store(0, Ordering::Relaxed);
        }
    }
}

/// Puts the calling thread before all threads that are not real-time ones: it runs as soon as it has something to do.
/// Needs CAP_SYS_NICE.
pub fn go_first() -> io::Result<()> {
    limit_endurance()?;
    let place = PLACE.with(Seat::take).ok_or(io::ErrorKind::QuotaExceeded)?;
    place.fallen.store(0, Ordering::Relaxed);
    set(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, 1).inspect_err(|_| PLACE.with(Seat::leave))
}

/// For a thread that goes first, when it is about to wait: one that was made to go along goes first again if that is long ago.
pub fn rest(now: Duration) {
    let fallen = PLACE.with(|seat| seat.0.get()).map_or(0, |place| place.fallen.load(Ordering::Relaxed));
    if fallen != 0 && now >= Duration::from_nanos(fallen) + PENANCE {
        // Whoever may not any more goes on as it is.
        let _ = go_first();
    }
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
    PLACE.with(Seat::leave);
    set(0, libc::SCHED_OTHER, 0)
}

/// Has the kernel tell of threads that do not come to rest.
fn limit_endurance() -> io::Result<()> {
    static DONE: Once = Once::new();
    set_limit()?;
    DONE.call_once(|| {
        // SAFETY: all of it is plain data; the handler is set below, and a mask of no signals is all zeros.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        let handler: extern "C" fn(libc::c_int) = goes_along;
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: the structure lives through the call, and the handler does nothing but system calls and
        // loads and stores of atomics.
        unsafe { libc::sigaction(libc::SIGXCPU, &raw const action, std::ptr::null_mut()) };
    });
    Ok(())
}

fn set_limit() -> io::Result<()> {
    let limit = getrlimit(Resource::Rttime);
    Ok(setrlimit(Resource::Rttime, Rlimit { current: ENDURANCE.as_micros().try_into().ok(), ..limit })?)
}

/// The signal is sent to the process, while the thread in excess has a core, and that is whom the kernel asks first to take it
/// (`check_rlimit` in kernel/time/posix-cpu-timers.c, `complete_signal` in kernel/signal.c). Should another one have it, who it
/// was is not known: then nobody goes first.
extern "C" fn goes_along(_signal: libc::c_int) {
    let (this, now) = (this_thread(), clock::now().as_nanos() as u64);
    let known = FIRST.iter().any(|place| place.thread.load(Ordering::Relaxed) == this);
    for place in &FIRST {
        let thread = place.thread.load(Ordering::Relaxed);
        if thread != 0 && (thread == this || !known) {
            place.fallen.store(now, Ordering::Relaxed);
            // Nobody could be told if it failed.
            let _ = set(thread, libc::SCHED_OTHER, 0);
        }
    }
    // The kernel has raised it by a second, for all threads.
    let _ = set_limit();
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
    use std::sync::mpsc;

    use super::*;

    /// Of a thread by the kernel's number.
    fn goes_first(thread: i32) -> bool {
        // SAFETY: takes and changes nothing.
        unsafe { libc::sched_getscheduler(thread) & !libc::SCHED_RESET_ON_FORK == libc::SCHED_FIFO }
    }

    /// Works without a pause until the kernel has had enough, or five times as long.
    fn spin() -> Duration {
        let start = clock::now();
        while goes_first(0) && clock::now() < start + 5 * ENDURANCE {}
        clock::now() - start
    }

    #[test]
    fn who_does_not_come_to_rest_goes_along_with_the_others_for_a_while() {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = mpsc::channel::<()>();
        let other = std::thread::spawn(move || {
            let _ = go_first();
            tell.send(this_thread()).expect("somebody listens");
            let _ = stopped.recv();
        });
        let other_one = told.recv().expect("it says its number");
        let ends = std::thread::spawn(move || {
            if go_first().is_err() {
                println!("skipped: real-time priority needs CAP_SYS_NICE");
                return;
            }
            for _ in 0..2 {
                assert!(goes_first(0));
                let worked = spin();
                let now = clock::now();
                assert!(!goes_first(0), "it still goes first after {worked:?}");
                assert!((ENDURANCE / 2..3 * ENDURANCE).contains(&worked), "it was stopped after {worked:?}");
                assert!(goes_first(other_one), "the other one has done nothing");
                rest(now + PENANCE / 2);
                assert!(!goes_first(0), "it has not behaved for long");
                rest(now + PENANCE + ENDURANCE);
                assert!(goes_first(0));
                // What it had worked before is forgotten when it has come to rest.
                std::thread::sleep(Duration::from_millis(1));
                let start = clock::now();
                while clock::now() < start + ENDURANCE / 5 {}
                assert!(goes_first(0));
                std::thread::sleep(Duration::from_millis(1));
            }
            go_along().expect("it gives up by itself");
            assert!(!goes_first(0));
            rest(clock::now() + PENANCE * 2);
            assert!(!goes_first(0));
        });
        let ended = ends.join();
        drop(stop);
        other.join().expect("it only waits");
        ended.expect("it ends in order");
    }
}
