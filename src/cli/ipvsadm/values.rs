//! Values of options: numbers, addresses, masks, as the C library reads them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::fault::Fault;
use crate::cli::names::Names;
use crate::control::view::Protocol;

/// A decimal number within bounds (`strtol`): blanks and a sign may stand in front of it, nothing behind it.
pub(super) fn number(text: &str, least: i64, most: i64) -> Option<i64> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // What does not fit is out of every range.
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

/// A number of the kind that the director counts in.
pub(super) fn count(text: &str, least: u32, most: u32) -> Option<u32> {
    number(text, least.into(), most.into()).and_then(|number| u32::try_from(number).ok())
}

/// Seconds up to `most`.
pub(super) fn timeout(text: &str, least: u32, most: u32) -> Result<u32, Fault> {
    count(text, least, most).ok_or_else(|| Fault::usage(format!("invalid timeout value `{text}' specified")))
}

/// A port number.
pub(super) fn port(text: &str, least: u32) -> Option<u16> {
    count(text, least, u16::MAX.into()).and_then(|port| u16::try_from(port).ok())
}

/// An IPv4 address in any form (`inet_aton`): one to four numbers, decimal, octal or hexadecimal, of which the last fills
/// what is left. What follows a blank does not count.
pub(super) fn loose_ipv4(text: &str) -> Option<Ipv4Addr> {
    let text = text.split([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']).next()?;
    let parts: Vec<u32> = text.split('.').map(loose_number).collect::<Option<_>>()?;
    let (last, bytes) = parts.split_last()?;
    if bytes.len() > 3 || bytes.iter().any(|&byte| byte > 255) {
        return None;
    }
    let most = u64::from(u32::MAX) >> (8 * bytes.len());
    if u64::from(*last) > most {
        return None;
    }
    let front = bytes.iter().zip([24, 16, 8]).fold(0, |address, (byte, shift)| address | byte << shift);
    Some(Ipv4Addr::from(front | last))
}

/// A number as in C's source text.
fn loose_number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    // `from_str_radix` would take a sign.
    let plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then(|| u32::from_str_radix(digits, radix).ok()).flatten()
}

/// A host or IPv4 address.
fn host(text: &str, names: &dyn Names) -> Option<Ipv4Addr> {
    loose_ipv4(text).or_else(|| if text.is_empty() { None } else { names.address(text) })
}

/// An IPv4 netmask; any address will do.
pub(super) fn netmask(text: &str, names: &dyn Names) -> Option<Ipv4Addr> {
    host(text, names)
}

/// `HOST`, `HOST:PORT`, `[IPV6]:PORT` or `IPV6`, the port perhaps by the name that it has for the protocol.
pub(super) fn host_and_port(
    text: &str,
    protocol: Option<Protocol>,
    names: &dyn Names,
) -> Option<(IpAddr, Option<u16>)> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (text, bracketed_port) = match text.strip_prefix('[') {
        // Behind brackets there must be a port.
        Some(rest) => rest.split_once("]:").map(|(inner, port)| (inner, Some(port)))?,
        None => (text, None),
    };
    let (address, port) = match text.parse::<Ipv6Addr>() {
        Ok(address) => (IpAddr::V6(address), bracketed_port),
        Err(_) => match text.rsplit_once(':') {
            Some((name, port)) => (host(name, names)?.into(), Some(port)),
            None => (host(text, names)?.into(), None),
        },
    };
    let port = match port {
        Some(text) => Some(self::port(text, 0).or_else(|| names.port(text, protocol))?),
        None => None,
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ipvsadm::tests::Few;

    #[test]
    fn numbers_are_those_of_strtol() {
        for (text, expected) in [
            ("0", Some(0)),
            ("+7", Some(7)),
            (" \t12", Some(12)),
            ("-0", Some(0)),
            ("007", Some(7)),
            ("100", Some(100)),
            ("101", None),
            ("-1", None),
            ("", None),
            ("+", None),
            ("+-1", None),
            ("7 ", None),
            ("0x7", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(number(text, 0, 100), expected, "{text:?}");
        }
    }

    #[test]
    fn addresses_are_those_of_inet_aton() {
        for (text, expected) in [
            ("192.0.2.1", Some([192, 0, 2, 1])),
            ("10.1", Some([10, 0, 0, 1])),
            ("10.1.258", Some([10, 1, 1, 2])),
            ("0x7f.1", Some([127, 0, 0, 1])),
            ("010.0.0.1", Some([8, 0, 0, 1])),
            ("3232235521", Some([192, 168, 0, 1])),
            ("0", Some([0; 4])),
            ("10.0.0.1 and more", Some([10, 0, 0, 1])),
            ("10.0.0.256", None),
            ("256.0.0.1", None),
            ("10.0.65536", None),
            ("10.0.0.1.1", None),
            ("10..1", None),
            ("08.0.0.1", None),
            ("10.+1", None),
            ("", None),
            ("host", None),
        ] {
            assert_eq!(loose_ipv4(text), expected.map(Ipv4Addr::from), "{text:?}");
        }
    }

    #[test]
    fn ends_of_services() {
        let tcp = Some(Protocol::Tcp);
        for (text, expected) in [
            ("192.0.2.1:80", Some(("192.0.2.1", Some(80)))),
            ("192.0.2.1", Some(("192.0.2.1", None))),
            ("192.0.2.1:0", Some(("192.0.2.1", Some(0)))),
            ("host.example:http", Some(("192.0.2.99", Some(80)))),
            ("[2001:db8::1]:443", Some(("2001:db8::1", Some(443)))),
            ("2001:db8::1", Some(("2001:db8::1", None))),
            ("[192.0.2.1]:80", Some(("192.0.2.1", None))),
            ("[2001:db8::1]", None),
            ("[2001:db8::1", None),
            ("192.0.2.1:65536", None),
            ("192.0.2.1:nosuch", None),
            ("192.0.2.1:", None),
            ("80", None),
            ("", None),
            (":80", None),
            ("nosuch.example:80", None),
        ] {
            let expected = expected.map(|(address, port)| (address.parse::<IpAddr>().expect("an address"), port));
            assert_eq!(host_and_port(text, tcp, &Few), expected, "{text:?}");
        }
        assert_eq!(host_and_port("192.0.2.1:http", None, &Few), None, "no protocol, no names");
    }
}
