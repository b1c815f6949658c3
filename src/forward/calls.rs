//! Call-IDs: what a template is found by, and their text for listings and other directors.
//!
//! An entry of the table has no room for text. What tells calls apart is a digest: 37 bits of it stand in the key, so that
//! the calls of one client spread over the table, and 128 more in the two words beside the entry. The text is kept aside in
//! a fixed number of cells, one a digest; a newer call may take an older one's cell. Then the older one is listed without
//! its Call-ID, and other directors are not told of it, until its next datagram brings the text again. Neither does the
//! text outlive the process; to whom a call belongs does.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use sha2::{Digest, Sha256};

use crate::conn::FlowKey;
use crate::wire::Addr;
use crate::wire::sip::{CallId, LONGEST_CALL_ID};

/// Calls whose text is kept at a time, nearly: 16 MiB in all.
const CELLS: usize = 1 << 16;
/// One byte of length, and the longest text.
const WORDS: usize = (1 + LONGEST_CALL_ID) / 8;

/// The digest of a Call-ID. It is not to be forged: two calls never share a template by accident or design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallName {
    /// The part in the key.
    key: u64,
    /// The part beside the entry.
    words: [u64; 2],
}

impl CallName {
    /// Of a Call-ID's text.
    pub fn of(id: &[u8]) -> Self {
        let digest = Sha256::digest(id);
        let word = |at: usize| u64::from_be_bytes(std::array::from_fn(|byte| digest[at * 8 + byte]));
        Self { key: word(0), words: [word(1), word(2)] }
    }

    /// The key of a call's template; `client` is already masked.
    pub fn key(self, protocol: u8, client: Addr) -> FlowKey {
        FlowKey::call_template(protocol, client, self.key)
    }

    /// What stands beside the entry from its beginning.
    pub fn beside(self) -> Addr {
        let [hi, lo] = self.words;
        Addr { hi, lo }
    }
}

#[derive(Debug)]
struct Cell([AtomicU64; WORDS]);

/// The texts. Any thread may keep and read them: a text that was read while it was written does not agree with its digest,
/// and counts as none.
#[derive(Debug, Default)]
pub struct Calls {
    cells: OnceLock<Box<[Cell]>>,
}

impl Calls {
    /// Takes memory for texts, the first time. Until then none is kept. Not for workers.
    pub fn make_room(&self) {
        self.cells.get_or_init(|| (0..CELLS).map(|_| Cell(std::array::from_fn(|_| AtomicU64::new(0)))).collect());
    }

    /// Keeps the text of `name`.
    pub fn keep(&self, name: CallName, id: &[u8]) {
        let Some(cell) = self.cell(name.words) else { return };
        let Some(words) = words_of(id) else { return };
        for (kept, word) in cell.0.iter().zip(words) {
            // A call has many datagrams, and its text is there already.
            if kept.load(Relaxed) != word {
                kept.store(word, Relaxed);
            }
        }
    }

    /// The text of the call that has this beside its entry, if it is still kept.
    pub fn text(&self, beside: Addr) -> Option<CallId> {
        let words = [beside.hi, beside.lo];
        let cell = self.cell(words)?;
        let mut bytes = [0; 1 + LONGEST_CALL_ID];
        for (kept, eight) in cell.0.iter().zip(bytes.as_chunks_mut::<8>().0) {
            *eight = kept.load(Relaxed).to_be_bytes();
        }
        let [length, text @ ..] = &bytes;
        let id = CallId::new(&text[..usize::from(*length)])?;
        (CallName::of(id.as_bytes()).words == words).then_some(id)
    }

    fn cell(&self, words: [u64; 2]) -> Option<&Cell> {
        self.cells.get()?.get(words[0] as usize % CELLS)
    }
}

/// Length and text, filled up with zeros; `None` if it is too long.
fn words_of(id: &[u8]) -> Option<[u64; WORDS]> {
    let mut bytes = [0; 1 + LONGEST_CALL_ID];
    bytes[0] = u8::try_from(id.len()).ok()?;
    bytes[1..].get_mut(..id.len())?.copy_from_slice(id);
    let mut words = [0; WORDS];
    for (word, eight) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_be_bytes(*eight);
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> CallName {
        CallName::of(text.as_bytes())
    }

    fn text(calls: &Calls, name: CallName) -> Option<String> {
        calls.text(name.beside()).map(|id| id.as_str().to_owned())
    }

    #[test]
    fn a_text_is_kept_once_there_is_room() {
        let (calls, longest) = (Calls::default(), "x".repeat(255));
        calls.keep(name("one@a"), b"one@a");
        assert_eq!(text(&calls, name("one@a")), None, "there is no room");
        calls.make_room();
        for id in ["one@a", "two", &longest] {
            calls.keep(name(id), id.as_bytes());
        }
        for id in ["one@a", "two", &longest] {
            assert_eq!(text(&calls, name(id)).as_deref(), Some(id));
        }
        assert_eq!(text(&calls, name("three")), None);
    }

    #[test]
    fn a_call_may_lose_its_text_to_another_and_get_it_back() {
        let calls = Calls::default();
        calls.make_room();
        let place = |id: &str| name(id).words[0] as usize % CELLS;
        let other = (0..).map(|n: u32| n.to_string()).find(|id| place(id) == place("a")).unwrap();
        for (kept, lost) in [("a", other.as_str()), (&other, "a"), ("a", &other)] {
            calls.keep(name(kept), kept.as_bytes());
            assert_eq!((text(&calls, name(kept)).as_deref(), text(&calls, name(lost))), (Some(kept), None));
        }
    }

    #[test]
    fn keys_differ_by_call_client_and_protocol() {
        let [here, there] = [1, 2].map(Addr::v4);
        let keys = [name("a").key(17, here), name("b").key(17, here), name("a").key(17, there), name("a").key(0, here)];
        for (at, key) in keys.iter().enumerate() {
            assert!(key.is_template() && keys[..at].iter().all(|other| other != key));
        }
        assert_ne!(name("a").key(17, here), FlowKey::template(17, here));
        assert_ne!(name("a").beside(), name("b").beside());
    }
}
