//! Which fault comes when, drawn from a seed.

use std::time::Duration;

use ringmaster::sys::clock;

/// What is done to a director.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// `kill -9`.
    Kill,
    /// It aborts in the middle of a batch.
    Abort,
    /// One of its workers never ends a batch.
    Hang,
    /// It is stopped for a moment (SIGSTOP), and goes on.
    Pause,
    /// Another program takes its place.
    Upgrade,
    /// Its supervisor is killed, and it has another one started.
    Supervisor,
}

/// How often each comes, of a hundred.
const SHARES: [(Fault, u64); 6] = [
    (Fault::Kill, 25),
    (Fault::Abort, 12),
    (Fault::Hang, 8),
    (Fault::Pause, 35),
    (Fault::Upgrade, 15),
    (Fault::Supervisor, 5),
];

/// A director that dies before it has forwarded for so long is on its way into a crash loop.
const SHORT: Duration = Duration::from_millis(1050);
/// So many such deaths are allowed within `WINDOW`: one less than make a loop.
const ALLOWED: usize = 3;
const WINDOW: Duration = Duration::from_secs(11);

/// Draws faults, and keeps deaths so far apart that nobody takes them for a crash loop.
#[derive(Debug)]
pub(crate) struct Schedule {
    state: u64,
    /// When the present director began.
    begun: Duration,
    /// Early deaths of late.
    early: Vec<Duration>,
}

impl Schedule {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed, begun: clock::now(), early: Vec::new() }
    }

    /// The next fault, after some time.
    pub(crate) fn next(&mut self) -> Fault {
        std::thread::sleep(Duration::from_micros(self.draw() % 30_000));
        let mut left = self.draw() % 100;
        let drawn = SHARES.into_iter().find(|&(_, share)| {
            let here = left < share;
            left = left.saturating_sub(share);
            here
        });
        let (fault, _) = drawn.expect("the shares are a hundred");
        if matches!(fault, Fault::Kill | Fault::Abort | Fault::Hang) {
            self.wait_to_kill();
        }
        fault
    }

    /// A moment, for a pause.
    pub(crate) fn moment(&mut self) -> Duration {
        Duration::from_millis(self.draw() % 80)
    }

    /// A new director forwards.
    pub(crate) fn begun(&mut self) {
        self.begun = clock::now();
    }

    fn wait_to_kill(&mut self) {
        let now = clock::now();
        self.early.retain(|&at| now < at + WINDOW);
        if now < self.begun + SHORT {
            if self.early.len() < ALLOWED {
                self.early.push(now);
            } else {
                std::thread::sleep(self.begun + SHORT - now);
            }
        }
    }

    /// SplitMix64.
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }
}
