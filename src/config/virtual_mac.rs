//! Virtual MAC addresses: `use_vmac` and `use_vmac_addr`.

use crate::wire::{Family, Mac};

/// An interface of the director's own making, on top of another one and with a MAC address that moves with the role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualMac {
    /// Its name.
    pub name: String,
    /// The interface that its packets come and go by.
    pub parent: String,
    /// Its MAC address.
    pub mac: Mac,
    /// Whether there are IPv6 addresses among those that it gets.
    pub ipv6: bool,
}

/// The MAC address of a virtual router: 00:00:5e:00:01:VRID or, of IPv6, 00:00:5e:00:02:VRID (RFC 5798 7.3).
pub fn virtual_mac(router: u8, family: Family) -> Mac {
    let kind = match family {
        Family::V4 => 1,
        Family::V6 => 2,
    };
    Mac([0, 0, 0x5e, 0, kind, router])
}
