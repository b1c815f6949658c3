//! Names of hosts, from the system's resolver.

#![expect(unsafe_code, reason = "the standard library does not ask for the name of an address")]

use std::ffi::{CStr, c_char};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use socket2::SockAddr;

/// The first IPv4 address of a host.
pub fn address_of(host: &str) -> Option<Ipv4Addr> {
    let addresses = (host, 0).to_socket_addrs().ok()?;
    addresses.filter_map(|address| if let IpAddr::V4(v4) = address.ip() { Some(v4) } else { None }).next()
}

/// The name of this host.
pub fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "localhost".to_owned() } else { name.trim().to_owned() }
}

/// The name of a host.
pub fn name_of(address: IpAddr) -> Option<String> {
    let socket = SockAddr::from(SocketAddr::new(address, 0));
    // NI_MAXHOST.
    let mut name = [0 as c_char; 1025];
    // SAFETY: `socket` is a valid socket address of the length it says, and `name` has room for as many bytes as is said;
    // no service is asked for, so that its null pointer is not written to.
    let failed = unsafe {
        libc::getnameinfo(
            socket.as_ptr().cast(),
            socket.len(),
            name.as_mut_ptr(),
            name.len() as libc::socklen_t,
            std::ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    };
    if failed != 0 {
        return None;
    }
    // SAFETY: on success the array holds a string that ends with 0 inside of it.
    let name = unsafe { CStr::from_ptr(name.as_ptr()) };
    Some(name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_has_an_address_and_a_name() {
        assert_eq!(address_of("localhost"), Some(Ipv4Addr::LOCALHOST));
        assert_eq!(address_of("127.0.0.9"), Some(Ipv4Addr::new(127, 0, 0, 9)));
        assert_eq!(address_of("no such host"), None);
        assert!(name_of(Ipv4Addr::LOCALHOST.into()).is_some_and(|name| name.contains("localhost")));
    }
}
