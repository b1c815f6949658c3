//! What persistence needs of SIP: the Call-ID of a message (RFC 3261 20.8), found as `nf_conntrack_sip.c:
//! ct_sip_get_header` and `ip_vs_pe_sip.c: get_callid` find it.

/// The longest Call-ID that counts (`IP_VS_PEDATA_MAXLEN`).
pub const LONGEST_CALL_ID: usize = 255;

const NAME: &[u8] = b"call-id";
/// Its short form (RFC 3261 7.3.3).
const SHORT_NAME: u8 = b'i';

/// The Call-ID of a SIP message; `None` if it has none, or one that is empty, too long or cut off.
pub fn call_id(message: &[u8]) -> Option<&[u8]> {
    // The first line is the request or the status. The body is searched too, as the kernel does.
    let mut rest = message;
    loop {
        rest = after_line(rest)?;
        let Some(value) = value(rest) else { continue };
        let (id, after) = value.split_at(length(value));
        if !id.is_empty() {
            let ends = matches!(after.first(), Some(b'\r' | b'\n'));
            return (ends && id.len() <= LONGEST_CALL_ID).then_some(id);
        }
    }
}

/// What follows the next end of line: CR LF, or either alone (RFC 2543).
fn after_line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
    after_end(&bytes[end..])
}

/// What follows the end of line that `bytes` begin with, if they do.
fn after_end(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [b'\r', b'\n', rest @ ..] | [b'\r' | b'\n', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// The value of the Call-ID header that `line` begins with, if it does.
fn value(line: &[u8]) -> Option<&[u8]> {
    let long = line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME));
    let short = line.first().is_some_and(|name| name.eq_ignore_ascii_case(&SHORT_NAME));
    let name = if long { NAME.len() } else { usize::from(short) };
    let rest = line.get(name..).filter(|_| long || short)?;
    let value = after_blanks(rest)?.strip_prefix(b":")?;
    after_blanks(value)
}

/// What follows blanks, which may go on in the next line if that begins with one.
fn after_blanks(bytes: &[u8]) -> Option<&[u8]> {
    let rest = skip_blanks(bytes);
    match after_end(rest) {
        Some(line) if line.first().is_some_and(is_blank) => Some(skip_blanks(line)),
        Some(_) => None,
        None => Some(rest),
    }
}

fn skip_blanks(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().take_while(|byte| is_blank(byte)).count();
    &bytes[blanks..]
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The length of the `word [ "@" word ]` that `bytes` begin with (`nf_conntrack_sip.c: callid_len`); 0 for a word that
/// only seems to have a second one.
fn length(bytes: &[u8]) -> usize {
    let word = |bytes: &[u8]| bytes.iter().take_while(|&&byte| is_of_word(byte)).count();
    let first = word(bytes);
    match bytes.get(first) {
        Some(b'@') if first > 0 => match word(&bytes[first + 1..]) {
            0 => 0,
            second => first + 1 + second,
        },
        _ => first,
    }
}

/// The characters of `word` (RFC 3261 25.1).
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~()<>:\\\"/[]?{}".contains(&byte)
}

/// A Call-ID to keep.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CallId {
    length: u8,
    bytes: [u8; LONGEST_CALL_ID],
}

impl CallId {
    /// Of the text of one; `None` if it is empty or too long, or holds what no Call-ID can.
    pub fn new(text: &[u8]) -> Option<Self> {
        let sound = !text.is_empty() && text.iter().all(|&byte| byte == b'@' || is_of_word(byte));
        let mut bytes = [0; LONGEST_CALL_ID];
        bytes.get_mut(..text.len()).filter(|_| sound)?.copy_from_slice(text);
        // Fits: it fitted into the bytes.
        Some(Self { length: text.len() as u8, bytes })
    }

    /// Its text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The same as a string: it is ASCII.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl std::fmt::Debug for CallId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REQUEST: &str = "INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP pc33;branch=z9\r\n";

    fn found(headers: &str) -> Option<String> {
        let message = format!("{REQUEST}{headers}");
        call_id(message.as_bytes()).map(|id| String::from_utf8(id.to_vec()).unwrap())
    }

    #[test]
    fn the_header_in_every_form() {
        for (headers, id) in [
            ("Call-ID: a84b4c76e66710@pc33.example.org\r\n\r\n", Some("a84b4c76e66710@pc33.example.org")),
            ("CALL-id : 1\r\n", Some("1")),
            ("i: 1@[2001:db8::1]\r\n", Some("1@[2001:db8::1]")),
            ("I:1\n", Some("1")),
            ("i\t:\t 1\r", Some("1")),
            ("Call-ID:\r\n folded\r\n", Some("folded")),
            ("Call-ID\r\n\t: folded\r\n", Some("folded")),
            ("Call-ID: one two\r\n", None),
            ("Call-ID: first\r\nCall-ID: second\r\n", Some("first")),
            ("Call-ID: \r\ni: second\r\n", Some("second")),
            ("Call-ID: x@\r\ni: second\r\n", Some("second")),
            ("In-Reply-To: other\r\nCall-ID: own\r\n", Some("own")),
            ("Call-IDs: other\r\nCall-ID: own\r\n", Some("own")),
            ("Subject: x\r\n Call-ID: folded\r\n", None),
            ("\r\nCall-ID: within.the.body\r\n", Some("within.the.body")),
            ("Call-ID: cut.off", None),
            ("Call-ID", None),
            ("Call-ID:", None),
            ("", None),
        ] {
            assert_eq!(found(headers).as_deref(), id, "{headers:?}");
        }
        assert_eq!(call_id(b"Call-ID: of.the.first.line\r\n"), None);
    }

    #[test]
    fn longer_than_255_is_none() {
        for (length, fits) in [(255, true), (256, false)] {
            let id = "x".repeat(length);
            assert_eq!(found(&format!("Call-ID: {id}\r\n")).is_some(), fits);
            assert_eq!(CallId::new(id.as_bytes()).is_some(), fits);
        }
        assert_eq!(CallId::new(b""), None);
        assert_eq!(CallId::new(b"with blank"), None);
    }

    proptest! {
        /// Whatever comes, there is no panic, and what is found stands in the message and can be kept.
        #[test]
        fn any_bytes(message in proptest::collection::vec(any::<u8>(), 0..300)) {
            check(&message);
        }

        /// The same with messages that are nearly right.
        #[test]
        fn nearly_sip(parts in proptest::collection::vec(
            prop::sample::select(vec!["Call-ID", "i", "I", ":", " ", "\t", "\r", "\n", "\r\n", "@", "a", "\\", "\0", "Via: x"]),
            0..40,
        )) {
            check(parts.concat().as_bytes());
        }

        /// A sound header is found between any others.
        #[test]
        fn a_sound_one_is_found(before in "([A-HJ-Z][a-z]{2,8}: [ -~]{0,20}\r\n){0,4}", id in "[a-zA-Z0-9.!%*_+`'~-]{1,40}(@[a-z0-9.]{1,20})?") {
            prop_assume!(!before.to_ascii_lowercase().contains("call-id"));
            let headers = format!("{before}Call-ID: {id}\r\n");
            prop_assert_eq!(found(&headers), Some(id));
        }
    }

    fn check(message: &[u8]) {
        if let Some(id) = call_id(message) {
            assert!(message.windows(id.len()).any(|part| part == id));
            assert_eq!(CallId::new(id).map(|kept| kept.as_bytes().to_vec()).as_deref(), Some(id));
        }
    }
}
