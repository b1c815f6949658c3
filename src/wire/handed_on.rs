//! Forms in which a client's address is told to a server that sees another one.
//!
//! TOA is a TCP option that DPVS and the `toa` modules of servers agree on: kind 254 (RFC 6994 keeps it for experiments),
//! length, the client's port and address. The PROXY protocol, versions 1 and 2, is a header in front of the first byte of
//! the stream (`proxy-protocol.txt` of HAProxy, sections 2.1 and 2.2).

use std::fmt::Write;

use arrayvec::{ArrayString, ArrayVec};

use super::{Endpoint, Family};

/// The longest header of the PROXY protocol: version 1 with two IPv6 addresses (section 2.1).
pub const LONGEST_PROXY: usize = 107;

const TOA: u8 = 254;
/// The twelve bytes that version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command PROXY.
const VERSION_2_PROXY: u8 = 0x21;
/// The family in the upper half, SOCK_STREAM in the lower.
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

/// The TCP option: 8 bytes for IPv4, 20 for IPv6.
pub fn toa(client: Endpoint) -> ArrayVec<u8, 20> {
    let mut option = ArrayVec::new();
    option.extend([TOA, toa_length(client.addr.family())]);
    option.extend(client.port.to_be_bytes());
    address(client, &mut option);
    option
}

/// The length of [`toa`] in bytes.
pub const fn toa_length(family: Family) -> u8 {
    match family {
        Family::V4 => 8,
        Family::V6 => 20,
    }
}

/// The header of version 1, a line of text, for a TCP connection from `client` to `virtual_`, of the same family.
pub fn proxy_v1(client: Endpoint, virtual_: Endpoint) -> ArrayVec<u8, LONGEST_PROXY> {
    let mut line = ArrayString::<LONGEST_PROXY>::new();
    let family = match client.addr.family() {
        Family::V4 => "TCP4",
        Family::V6 => "TCP6",
    };
    // The longest line fits, by the protocol's own count.
    let _ = write!(line, "PROXY {family} {} {} {} {}\r\n", client.addr, virtual_.addr, client.port, virtual_.port);
    line.bytes().collect()
}

/// The header of version 2, in binary, likewise: 28 bytes for IPv4, 52 for IPv6.
pub fn proxy_v2(client: Endpoint, virtual_: Endpoint) -> ArrayVec<u8, LONGEST_PROXY> {
    let (transport, length) = match client.addr.family() {
        Family::V4 => (TCP4, 12_u16),
        Family::V6 => (TCP6, 36),
    };
    let mut header = ArrayVec::new();
    header.extend(*SIGNATURE);
    header.extend([VERSION_2_PROXY, transport]);
    header.extend(length.to_be_bytes());
    address(client, &mut header);
    address(virtual_, &mut header);
    header.extend(client.port.to_be_bytes());
    header.extend(virtual_.port.to_be_bytes());
    header
}

fn address<const N: usize>(end: Endpoint, to: &mut ArrayVec<u8, N>) {
    match end.addr.family() {
        Family::V4 => to.extend(end.addr.low32().to_be_bytes()),
        Family::V6 => to.extend(end.addr.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    #[test]
    fn the_option_is_the_one_that_servers_read() {
        assert_eq!(toa(end("198.51.100.7:40000"))[..], [254, 8, 0x9c, 0x40, 198, 51, 100, 7]);
        let option = toa(end("[2001:db8::7]:443"));
        assert_eq!(option[..8], [254, 20, 1, 0xbb, 0x20, 0x01, 0x0d, 0xb8]);
        assert_eq!((option.len(), option[19]), (20, 7));
    }

    #[test]
    fn a_proxy_header_is_as_the_protocol_has_it() {
        let (client, virtual_) = (end("198.51.100.7:40000"), end("192.0.2.10:80"));
        assert_eq!(proxy_v1(client, virtual_)[..], *b"PROXY TCP4 198.51.100.7 192.0.2.10 40000 80\r\n");
        let expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x07\xc0\0\x02\x0a\x9c\x40\0\x50";
        assert_eq!(proxy_v2(client, virtual_)[..], *expected);

        let (client, virtual_) = (end("[2001:db8::7]:1"), end("[2001:db8::10]:65535"));
        assert_eq!(proxy_v1(client, virtual_)[..], *b"PROXY TCP6 2001:db8::7 2001:db8::10 1 65535\r\n");
        let header = proxy_v2(client, virtual_);
        assert_eq!((header.len(), &header[12..16]), (52, &[0x21, 0x21, 0, 36][..]));
        assert_eq!(header[48..], [0, 1, 0xff, 0xff]);
    }

    #[test]
    fn the_longest_line_fits() {
        let longest = end("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
        let line = proxy_v1(longest, longest);
        assert!(line.ends_with(b"\r\n") && line.len() <= LONGEST_PROXY, "{}", line.len());
    }
}
