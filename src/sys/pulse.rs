//! Signs of life of a process's threads, in memory that other processes read: one page a thread.
//!
//! A thread counts its turns there, and says when it is about to wait; and it takes hold of a word that the kernel marks if
//! the thread dies while it holds it (a robust futex, Documentation/locking/robust-futex-ABI.rst). Whoever waits for that
//! mark learns of a death before the dead process's memory is taken down, and long before its parent is told.

#![expect(unsafe_code, reason = "views the bytes of a shared file as atomics, and tells the kernel of one of them")]

use std::io;
use std::mem::offset_of;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use memmap2::MmapRaw;
use rustix::thread::futex;

use super::memfd;

/// Spells `RMPULSE1` in a little-endian dump: the layout's number is its last byte.
const MAGIC: u64 = u64::from_le_bytes(*b"RMPULSE1");

/// In the holder's word: the kernel found that the holder died (FUTEX_OWNER_DIED of <linux/futex.h>).
const DIED: u32 = 0x4000_0000;
/// Somebody waits (FUTEX_WAITERS).
const WAITERS: u32 = 0x8000_0000;
/// The holder (FUTEX_TID_MASK).
const HOLDER: u32 = 0x3fff_ffff;

/// In the count of turns: the thread is in the kernel's hands.
const WAITING: u64 = 1;
/// One turn.
const TURN: u64 = 2;

/// One thread's page.
#[repr(C, align(128))]
struct Page {
    magic: AtomicU64,
    /// Turns, and whether it waits for the kernel.
    turns: AtomicU64,
    /// The thread that has the page, by the kernel's number; and what the kernel adds.
    holder: AtomicU32,
    /// `struct robust_list_head`, and the one entry of the list. Addresses in the holder's memory; nobody else reads them.
    head: [AtomicUsize; 3],
    entry: AtomicUsize,
}

/// The pages of all threads of a process.
#[derive(Debug)]
pub struct Pulses {
    file: OwnedFd,
    /// Keeps the bytes mapped that the pointer below leads to.
    _bytes: MmapRaw,
    pages: NonNull<[Page]>,
}

// SAFETY: the pointer leads into `_bytes`, which the value owns, and to atomics only.
unsafe impl Send for Pulses {}
// SAFETY: as above; atomics may be used from several threads.
unsafe impl Sync for Pulses {}

/// What a page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sign {
    /// Changes with every turn.
    pub turns: u64,
    /// The thread is in the kernel's hands, or about to be: it waits for something to do, or has it send.
    pub waits: bool,
    /// The thread, by the kernel's number; `None` if nobody has the page.
    pub thread: Option<u32>,
}

impl Pulses {
    /// Pages for so many threads, in a new memory file.
    pub fn create(threads: usize) -> io::Result<Self> {
        let (file, bytes) = memfd::create("ringmaster-pulses", threads * size_of::<Page>())?;
        let pulses = Self::view(file, bytes);
        pulses.pages().iter().for_each(|page| page.magic.store(MAGIC, Ordering::Relaxed));
        Ok(pulses)
    }

    /// Those of another process; an error of kind `InvalidData` says that it has none, or of another layout.
    pub fn attach(file: OwnedFd) -> io::Result<Self> {
        let bytes = usize::try_from(rustix::fs::fstat(&file)?.st_size).unwrap_or(0);
        if bytes == 0 || !bytes.is_multiple_of(size_of::<Page>()) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mapped = memfd::map(&file, bytes)?;
        let pulses = Self::view(file, mapped);
        let known = pulses.pages().iter().all(|page| page.magic.load(Ordering::Relaxed) == MAGIC);
        if known { Ok(pulses) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// `bytes` are a multiple of a page's.
    fn view(file: OwnedFd, bytes: MmapRaw) -> Self {
        let start = NonNull::new(bytes.as_mut_ptr()).expect("the kernel maps nothing at address 0");
        let pages = NonNull::slice_from_raw_parts(start.cast(), bytes.len() / size_of::<Page>());
        Self { file, _bytes: bytes, pages }
    }

    fn pages(&self) -> &[Page] {
        // SAFETY: inside `_bytes`, which lives as long as `self`; aligned, as a mapping is; atomics, valid for any bytes.
        unsafe { self.pages.as_ref() }
    }

    /// What each thread says.
    pub fn signs(&self) -> impl Iterator<Item = Sign> {
        self.pages().iter().map(|page| {
            let (turns, holder) = (page.turns.load(Ordering::Relaxed), page.holder.load(Ordering::Relaxed));
            let thread = Some(holder & HOLDER).filter(|&thread| thread != 0);
            Sign { turns: turns / TURN, waits: turns & WAITING != 0, thread }
        })
    }

    /// Whether a thread has died while it held its page, and not let go in order. Once nobody has the process's descriptors
    /// any more, this is known: the kernel goes through the pages first.
    pub fn died(&self) -> bool {
        self.pages().iter().any(|page| page.holder.load(Ordering::Acquire) & DIED != 0)
    }

    /// Waits until all threads have died while they held their pages. Never returns if one of them lets go in order.
    pub fn wait_for_death(&self) {
        for page in self.pages() {
            loop {
                let found = page.holder.load(Ordering::Acquire);
                if found & DIED != 0 {
                    break;
                }
                let waiting = found | WAITERS;
                if page.holder.compare_exchange(found, waiting, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    // Woken for nothing, or too late: it looks again.
                    let _ = futex::wait(&page.holder, futex::Flags::empty(), waiting, None);
                }
            }
        }
    }
}

impl AsFd for Pulses {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// One thread's page, for the thread itself.
#[derive(Clone, Debug)]
pub struct Pulse {
    pulses: Arc<Pulses>,
    at: usize,
}

impl Pulse {
    /// The page of this number.
    ///
    /// # Panics
    ///
    /// If there is no such page.
    pub fn of(pulses: &Arc<Pulses>, at: usize) -> Self {
        assert!(at < pulses.pages().len(), "there are {} pages", pulses.pages().len());
        Self { pulses: Arc::clone(pulses), at }
    }

    #[inline(always)]
    fn page(&self) -> &Page {
        &self.pulses.pages()[self.at]
    }

    /// Takes hold of the page for the calling thread, for as long as the value lives. A thread can hold one at a time.
    pub fn hold(self) -> io::Result<Hold> {
        let page = self.page();
        let (head, entry) = (address(&page.head[0]), address(&page.entry));
        page.head[0].store(entry, Ordering::Relaxed);
        page.entry.store(head, Ordering::Relaxed);
        page.head[1].store(offset_of!(Page, holder).wrapping_sub(offset_of!(Page, entry)), Ordering::Relaxed);
        page.head[2].store(0, Ordering::Relaxed);
        robust_list(&page.head)?;
        let own = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
        let before = page.holder.swap(own | page.holder.load(Ordering::Relaxed) & WAITERS, Ordering::AcqRel);
        wake(page, before);
        Ok(Hold(self))
    }

    /// Another turn begins.
    #[inline(always)]
    pub fn turn(&self) {
        let turns = &self.page().turns;
        turns.store((turns.load(Ordering::Relaxed) & !WAITING) + TURN, Ordering::Relaxed);
    }

    /// The thread is about to leave itself to the kernel, for as long as that takes; its next turn says that it is back.
    #[inline(always)]
    pub fn wait(&self) {
        let turns = &self.page().turns;
        turns.store(turns.load(Ordering::Relaxed) | WAITING, Ordering::Relaxed);
    }
}

/// A page that is held.
#[derive(Debug)]
pub struct Hold(Pulse);

impl Deref for Hold {
    type Target = Pulse;

    fn deref(&self) -> &Pulse {
        &self.0
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let page = self.0.page();
        // An empty list, so that the kernel looks at no page that may be gone.
        page.head[0].store(address(&page.head[0]), Ordering::Relaxed);
        let before = page.holder.swap(0, Ordering::AcqRel);
        wake(page, before);
    }
}

fn wake(page: &Page, before: u32) {
    if before & WAITERS != 0 {
        // There is nothing to be done about a futex that cannot be.
        let _ = futex::wake(&page.holder, futex::Flags::empty(), i32::MAX.cast_unsigned());
    }
}

fn address<T>(of: &T) -> usize {
    std::ptr::from_ref(of).expose_provenance()
}

/// Tells the kernel of the calling thread's list, in place of the C library's, which nobody here uses.
fn robust_list(head: &[AtomicUsize; 3]) -> io::Result<()> {
    // SAFETY: the head and its one entry lie in a shared mapping. The kernel reads them when the thread ends, and bears it if
    // they are gone by then; it writes nothing but the holder's word of that entry.
    let result = unsafe { libc::syscall(libc::SYS_set_robust_list, head.as_ptr(), size_of_val(head)) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn pulses(threads: usize) -> (Arc<Pulses>, Pulses) {
        let pulses = Pulses::create(threads).unwrap();
        let others = Pulses::attach(pulses.file.try_clone().unwrap()).unwrap();
        (Arc::new(pulses), others)
    }

    #[test]
    fn another_process_sees_turns_and_waits() {
        let (pulses, others) = pulses(2);
        let pulse = Pulse::of(&pulses, 1).hold().unwrap();
        let sign = || others.signs().nth(1).unwrap();
        let own = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
        assert_eq!(sign(), Sign { turns: 0, waits: false, thread: Some(own) });
        pulse.turn();
        pulse.wait();
        assert_eq!(sign(), Sign { turns: 1, waits: true, thread: Some(own) });
        pulse.turn();
        assert_eq!(sign(), Sign { turns: 2, waits: false, thread: Some(own) });
        drop(pulse);
        assert_eq!(sign().thread, None);
    }

    #[test]
    fn a_thread_that_ends_without_letting_go_has_died() {
        let (pulses, others) = pulses(2);
        let (told, news) = std::sync::mpsc::channel();
        let watch = std::thread::spawn(move || {
            others.wait_for_death();
            told.send(()).unwrap();
        });
        let nothing = || news.recv_timeout(Duration::from_millis(50)).is_err();
        assert!(nothing(), "nobody has begun");
        // A thread that lets go, and then two that do not.
        let end = |at, in_order: bool| {
            let pulses = Arc::clone(&pulses);
            let end = move || {
                let hold = Pulse::of(&pulses, at).hold().unwrap();
                if !in_order {
                    std::mem::forget(hold);
                }
            };
            std::thread::spawn(end).join().unwrap();
        };
        end(0, true);
        assert!(nothing(), "it has let go");
        end(0, false);
        assert!(nothing(), "the other one lives");
        end(1, false);
        news.recv_timeout(Duration::from_secs(5)).expect("both are dead");
        watch.join().unwrap();
    }

    #[test]
    fn what_is_something_else_is_refused() {
        for bytes in [size_of::<Page>(), size_of::<Page>() - 1] {
            let (file, _bytes) = memfd::create("ringmaster-test", bytes).unwrap();
            assert_eq!(Pulses::attach(file).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}
