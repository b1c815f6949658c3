//! Faults on demand, for tests of what a director survives: a datagram to a service that ends with [`SPELL`] and a word has
//! its worker do what the word says. Only in builds with debug assertions or the feature `faults`, and only in a process with [`VARIABLE`] in its
//! environment.
//!
//! | word | what happens |
//! | --- | --- |
//! | `abort` | the process aborts, in the middle of the worker's batch |
//! | `spin` | the worker never ends its batch, and takes all of its core |
//! | `block` | the worker never ends its batch, and sleeps |
//! | `spin-control` | the control thread's loop never ends its turn, and takes all of its core |
//! | `block-control` | the same, asleep |

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::Observer;
use crate::forward::Decision;
use crate::io::{Frame, PacketIo};

/// In the environment, whatever its value.
const VARIABLE: &str = "RINGMASTER_FAULTS";
/// What the word stands behind.
const SPELL: &[u8] = b"RINGMASTER FAULT ";

/// What the control thread is to do at its next beat.
static CONTROL: AtomicU8 = AtomicU8::new(NOTHING);
const NOTHING: u8 = 0;
const SPIN: u8 = 1;
const BLOCK: u8 = 2;

/// Looks at every packet that was decided about.
#[derive(Debug)]
pub struct OnDemand {
    enabled: bool,
}

impl Default for OnDemand {
    fn default() -> Self {
        Self { enabled: std::env::var_os(VARIABLE).is_some() }
    }
}

impl Observer for OnDemand {
    fn decided<I: PacketIo>(&mut self, io: &mut I, frame: &Frame, _decision: &Decision) {
        if !self.enabled {
            return;
        }
        let (at, len) = (frame.offset(), frame.len());
        let bytes = io.slot_mut(frame).get(at..at + len).unwrap_or(&[]);
        let word =
            bytes.windows(SPELL.len()).rposition(|place| place == SPELL).map(|place| &bytes[place + SPELL.len()..]);
        match word {
            Some(b"abort") => std::process::abort(),
            Some(b"spin") => spin(),
            Some(b"block") => block(),
            Some(b"spin-control") => CONTROL.store(SPIN, Ordering::Relaxed),
            Some(b"block-control") => CONTROL.store(BLOCK, Ordering::Relaxed),
            _ => {}
        }
    }
}

/// For the control thread, at each beat: does not return if a packet has asked for that.
pub fn stand_still_on_demand() {
    match CONTROL.load(Ordering::Relaxed) {
        SPIN => spin(),
        BLOCK => block(),
        _ => {}
    }
}

fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

fn block() -> ! {
    loop {
        std::thread::sleep(Duration::MAX);
    }
}
