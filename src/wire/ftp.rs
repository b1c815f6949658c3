//! What FTP's control connection says about data connections (RFC 959 4.1.2, 5.4; RFC 2428).
//!
//! Only lines that lie whole in one segment are understood, as with the kernel's helper (`ip_vs_ftp.c:
//! ip_vs_ftp_get_addrport`): programs send them so.

use std::net::IpAddr;
use std::ops::Range;

use arrayvec::ArrayVec;

use super::{Addr, Family};

/// A server's announcement that it listens: the reply to PASV (227) or EPSV (229).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passive {
    /// Where its line begins.
    pub line: usize,
    /// Where address and port stand, without the parentheses around them.
    start: usize,
    end: usize,
    /// Whether it is a reply to EPSV.
    extended: bool,
    /// The address, where it names one.
    pub addr: Option<Addr>,
    /// The port.
    pub port: u16,
}

/// Longest text of an address and a port: `|||65535|`, or six numbers of three digits with five commas.
const LONGEST: usize = 6 * 3 + 5;

impl Passive {
    /// The announcement in what a server sent, if there is one.
    pub fn find(payload: &[u8]) -> Option<Passive> {
        lines(payload).find_map(|line| {
            let text = &payload[line..];
            let extended = match text.get(..4)? {
                b"227 " => false,
                b"229 " => true,
                _ => return None,
            };
            let found = if extended { extended_reply(text) } else { plain_reply(text) };
            let (Range { start, end }, addr, port) = found?;
            Some(Passive { line, start: line + start, end: line + end, extended, addr, port })
        })
    }

    /// Where address and port stand.
    pub fn place(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Address and port as they should read instead. `None`: this kind of reply cannot name such an address.
    pub fn renamed(&self, addr: Addr, port: u16) -> Option<ArrayVec<u8, LONGEST>> {
        let mut text = ArrayVec::new();
        if self.extended {
            text.try_extend_from_slice(b"|||").ok()?;
            put_number(&mut text, port)?;
            text.try_push(b'|').ok()?;
            return Some(text);
        }
        let IpAddr::V4(v4) = IpAddr::from(addr) else { return None };
        let [high, low] = port.to_be_bytes();
        for (at, byte) in v4.octets().into_iter().chain([high, low]).enumerate() {
            if at > 0 {
                text.try_push(b',').ok()?;
            }
            put_number(&mut text, u16::from(byte))?;
        }
        Some(text)
    }
}

/// A client's announcement that it listens: PORT or EPRT.
pub fn active(payload: &[u8]) -> Option<(Addr, u16)> {
    lines(payload).find_map(|line| {
        let text = &payload[line..];
        let (command, arguments) = text.split_at_checked(5)?;
        let ((addr, port), rest) = if command.eq_ignore_ascii_case(b"PORT ") {
            six_numbers(arguments)?
        } else if command.eq_ignore_ascii_case(b"EPRT ") {
            delimited(arguments)?
        } else {
            return None;
        };
        matches!(rest.first()?, b'\r' | b'\n').then_some((addr?, port))
    })
}

/// Where lines begin.
fn lines(payload: &[u8]) -> impl Iterator<Item = usize> {
    let behind = payload.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(behind)
}

/// An address, if one is named, and a port.
type Named = (Option<Addr>, u16);

/// `227 Entering Passive Mode (192,0,2,10,195,80).`; the parentheses are optional.
fn plain_reply(text: &[u8]) -> Option<(Range<usize>, Option<Addr>, u16)> {
    let start = 4 + text[4..].iter().take_while(|byte| **byte != b'\n').position(u8::is_ascii_digit)?;
    let ((addr, port), rest) = six_numbers(&text[start..])?;
    // More digits might follow in the next segment.
    rest.first()?;
    Some((start..text.len() - rest.len(), addr, port))
}

/// `229 Entering Extended Passive Mode (|||50000|)`.
fn extended_reply(text: &[u8]) -> Option<(Range<usize>, Option<Addr>, u16)> {
    let open = 4 + text[4..].iter().take_while(|byte| **byte != b'\n').position(|byte| *byte == b'(')?;
    let start = open + 1;
    let ((addr, port), rest) = delimited(&text[start..])?;
    (rest.first()? == &b')').then_some((start..text.len() - rest.len(), addr, port))
}

/// `h1,h2,h3,h4,p1,p2`.
fn six_numbers(text: &[u8]) -> Option<(Named, &[u8])> {
    let (mut numbers, mut rest) = ([0; 6], text);
    for (at, number) in numbers.iter_mut().enumerate() {
        if at > 0 {
            rest = rest.strip_prefix(b",")?;
        }
        let (value, behind) = number_below(rest, 256)?;
        *number = u8::try_from(value).ok()?;
        rest = behind;
    }
    let [a, b, c, d, high, low] = numbers;
    Some(((Some(Addr::v4(u32::from_be_bytes([a, b, c, d]))), u16::from_be_bytes([high, low])), rest))
}

/// `|1|192.0.2.10|50000|`, `|2|2001:db8::1|50000|` or `|||50000|`, with any printable delimiter (RFC 2428 2).
fn delimited(text: &[u8]) -> Option<(Named, &[u8])> {
    let delimiter = *text.first().filter(|byte| byte.is_ascii_graphic() && !byte.is_ascii_digit())?;
    let mut fields = text[1..].splitn(4, |byte| *byte == delimiter);
    let (family, addr, port, rest) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let addr = match (family, addr) {
        (b"", b"") => None,
        (b"1" | b"2", addr) => {
            let parsed: IpAddr = std::str::from_utf8(addr).ok()?.parse().ok()?;
            let addr = Addr::from(parsed);
            let family_of_number = if family == b"1" { Family::V4 } else { Family::V6 };
            (addr.family() == family_of_number).then_some(Some(addr))?
        }
        _ => return None,
    };
    let (port, []) = number_below(port, 1 << 16)? else { return None };
    Some(((addr, u16::try_from(port).ok()?), rest))
}

/// A decimal number, and what follows it.
fn number_below(text: &[u8], limit: u32) -> Option<(u32, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=5).contains(&digits) {
        return None;
    }
    let (digits, rest) = text.split_at(digits);
    let value = digits.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    (value < limit).then_some((value, rest))
}

fn put_number(text: &mut ArrayVec<u8, LONGEST>, number: u16) -> Option<()> {
    let mut divisor = 10_000;
    while divisor > 1 && number < divisor {
        divisor /= 10;
    }
    while divisor > 0 {
        // One digit.
        text.try_push(b'0' + (number / divisor % 10) as u8).ok()?;
        divisor /= 10;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn addr(text: &str) -> Addr {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn replies_of_servers() {
        for (text, expected) in [
            ("227 Entering Passive Mode (10,1,0,11,195,80).\r\n", Some(("10,1,0,11,195,80", Some("10.1.0.11"), 50000))),
            ("227 =10,1,0,11,0,21\r\n", Some(("10,1,0,11,0,21", Some("10.1.0.11"), 21))),
            ("200 OK\r\n227 x (1,2,3,4,5,6)\r\n", Some(("1,2,3,4,5,6", Some("1.2.3.4"), 1286))),
            ("229 Extended (|||50000|)\r\n", Some(("|||50000|", None, 50000))),
            ("229 Extended (!!!7!)", Some(("!!!7!", None, 7))),
            ("229 x (|1|10.1.0.11|50000|)\r\n", Some(("|1|10.1.0.11|50000|", Some("10.1.0.11"), 50000))),
            ("229 x (|2|2001:db8::1|50000|)\r\n", Some(("|2|2001:db8::1|50000|", Some("2001:db8::1"), 50000))),
            ("227 Entering Passive Mode (10,1,0,11,195,8", None),
            ("227 Entering Passive Mode (10,1,0,256,195,80)", None),
            ("227 Entering Passive Mode (10,1,0,11,195)\r\n", None),
            ("227 Entering Passive Mode\r\n10,1,0,11,195,80)", None),
            ("229 Extended (|||70000|)", None),
            ("229 Extended (|||50000", None),
            ("229 Extended (|1|2001:db8::1|50000|)", None),
            ("226 Transfer complete (10,1,0,11,195,80)\r\n", None),
            ("say 227 Entering (10,1,0,11,195,80)\r\n", None),
            ("22", None),
            ("", None),
        ] {
            let found = Passive::find(text.as_bytes());
            let shown = found.map(|passive| (&text[passive.place()], passive.addr, passive.port));
            assert_eq!(shown, expected.map(|(place, name, port)| (place, name.map(addr), port)), "{text}");
        }
        assert_eq!(Passive::find(b"200 OK\r\n227 x (1,2,3,4,5,6)\r\n").unwrap().line, 8);
    }

    #[test]
    fn a_reply_is_given_another_address() {
        let renamed = |text: &str, to: &str, port| {
            let passive = Passive::find(text.as_bytes()).unwrap();
            passive.renamed(addr(to), port).map(|text| String::from_utf8(text.to_vec()).unwrap())
        };
        assert_eq!(renamed("227 x (10,1,0,11,195,80)", "192.0.2.100", 65535).as_deref(), Some("192,0,2,100,255,255"));
        assert_eq!(renamed("227 x (10,1,0,11,195,80)", "1.2.3.4", 1).as_deref(), Some("1,2,3,4,0,1"));
        assert_eq!(renamed("227 x (10,1,0,11,195,80)", "2001:db8::1", 1), None);
        assert_eq!(renamed("229 x (|2|2001:db8::9|50000|)", "2001:db8::1", 50001).as_deref(), Some("|||50001|"));
        assert_eq!(renamed("229 x (|||9|)", "2001:db8::1", 10).as_deref(), Some("|||10|"));
    }

    #[test]
    fn commands_of_clients() {
        for (text, expected) in [
            ("PORT 198,51,100,7,195,80\r\n", Some(("198.51.100.7", 50000))),
            ("port 198,51,100,7,0,1\n", Some(("198.51.100.7", 1))),
            ("EPRT |1|198.51.100.7|50000|\r\n", Some(("198.51.100.7", 50000))),
            ("EPRT |2|2001:db8::7|50000|\r\n", Some(("2001:db8::7", 50000))),
            ("TYPE I\r\nPORT 198,51,100,7,195,80\r\n", Some(("198.51.100.7", 50000))),
            ("PORT 198,51,100,7,195,80", None),
            ("PORT 198,51,100,7,195,80x\r\n", None),
            ("EPRT |||50000|\r\n", None),
            ("EPRT |3|198.51.100.7|50000|\r\n", None),
            ("PASV\r\n", None),
            ("RETR PORT 1,2,3,4,5,6\r\n", None),
        ] {
            assert_eq!(active(text.as_bytes()), expected.map(|(name, port)| (addr(name), port)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b','), Just(b'|'), Just(b'\n')], 0..80)) {
            for head in [&b""[..], b"227 (", b"229 (|", b"PORT ", b"EPRT |1|"] {
                let text = [head, &bytes].concat();
                if let Some(passive) = Passive::find(&text) {
                    prop_assert!(text.get(passive.place()).is_some());
                    passive.renamed(Addr::v4(u32::MAX), u16::MAX);
                }
                active(&text);
            }
        }

        #[test]
        fn what_is_written_is_read_again(ip in any::<u32>(), port in any::<u16>()) {
            let passive = Passive::find(b"227 (1,2,3,4,5,6)").unwrap();
            let text = [b"227 (", &passive.renamed(Addr::v4(ip), port).unwrap()[..], b")"].concat();
            let again = Passive::find(&text).unwrap();
            prop_assert_eq!((again.addr, again.port), (Some(Addr::v4(ip)), port));
        }
    }
}
