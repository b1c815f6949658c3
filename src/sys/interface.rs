//! What a network interface is, as the calling thread's network namespace knows it.
//!
//! Asked by `ioctl` (netdevice(7), ethtool), not in `/sys`: that shows the namespace in which it was mounted.

#![expect(unsafe_code, reason = "ioctl on network interfaces has no safe wrapper")]

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketType, netdevice, socket};

use crate::wire::Mac;

/// Drivers whose frames always carry finished checksums. Any other may pass on what a local stack left unfinished.
const HARDWARE: &[&str] = &[
    "atlantic",
    "be2net",
    "bnx2x",
    "bnxt_en",
    "cxgb4",
    "e1000",
    "e1000e",
    "ena",
    "enetc",
    "fec",
    "gve",
    "i40e",
    "iavf",
    "ice",
    "idpf",
    "igb",
    "igbvf",
    "igc",
    "ionic",
    "ixgbe",
    "ixgbevf",
    "mlx4_en",
    "mlx5_core",
    "mvneta",
    "nfp",
    "qede",
    "r8169",
    "sfc",
    "stmmac",
    "tg3",
    "thunderx",
];

/// The facts about an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The kernel's number for it.
    pub index: u32,
    /// Largest IP packet, in bytes.
    pub mtu: u32,
    /// Its Ethernet address.
    pub mac: Mac,
    /// Receive queues in use.
    pub queues: u32,
    /// The driver's name (`veth`, `ixgbe`); empty if it has none to tell.
    pub driver: String,
    /// Where the device is (`0000:03:00.0`); empty for software devices.
    pub bus: String,
}

impl Interface {
    /// Asks the kernel about `name`. An error of kind `NotFound` means that there is no such interface.
    pub fn query(name: &str) -> io::Result<Self> {
        let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        let index = netdevice::name_to_index(&socket, name).map_err(|_| io::ErrorKind::NotFound)?;
        let asked = Asked { socket, name };
        let (driver, bus) = asked.driver().unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            index,
            mtu: asked.mtu()?,
            mac: asked.mac()?,
            queues: asked.queues().unwrap_or(1).max(1),
            driver,
            bus,
        })
    }

    /// Whether frames may arrive with checksums that a local stack left for the hardware to finish.
    pub fn may_bring_partial_checksums(&self) -> bool {
        self.bus.is_empty() || !HARDWARE.contains(&self.driver.as_str())
    }
}

/// Whether an interface says that its link is there: what it is asked, not what the kernel was told.
pub fn has_link(name: &str) -> io::Result<bool> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    Asked { socket, name }.link()
}

struct Asked<'a> {
    socket: OwnedFd,
    name: &'a str,
}

impl Asked<'_> {
    fn mtu(&self) -> io::Result<u32> {
        let answer = self.ask(libc::SIOCGIFMTU, std::ptr::null_mut())?;
        // SAFETY: SIOCGIFMTU fills in this member of the union.
        let mtu = unsafe { answer.ifr_ifru.ifru_mtu };
        u32::try_from(mtu).map_err(io::Error::other)
    }

    fn mac(&self) -> io::Result<Mac> {
        let answer = self.ask(libc::SIOCGIFHWADDR, std::ptr::null_mut())?;
        // SAFETY: SIOCGIFHWADDR fills in this member of the union.
        let bytes = unsafe { answer.ifr_ifru.ifru_hwaddr.sa_data };
        Ok(Mac(std::array::from_fn(|at| bytes[at].cast_unsigned())))
    }

    fn queues(&self) -> io::Result<u32> {
        let mut channels = Channels { command: ETHTOOL_GCHANNELS, ..Channels::default() };
        self.ask(SIOCETHTOOL, (&raw mut channels).cast())?;
        Ok(channels.receive.saturating_add(channels.combined))
    }

    fn link(&self) -> io::Result<bool> {
        let mut value = Value { command: ETHTOOL_GLINK, data: 0 };
        self.ask(SIOCETHTOOL, (&raw mut value).cast())?;
        Ok(value.data != 0)
    }

    fn driver(&self) -> io::Result<(String, String)> {
        let mut info = DriverInfo { command: ETHTOOL_GDRVINFO, ..DriverInfo::default() };
        self.ask(SIOCETHTOOL, (&raw mut info).cast())?;
        Ok((text(&info.driver), text(&info.bus)))
    }

    /// `data` is null or points to the ethtool structure that the request is about.
    fn ask(&self, request: libc::c_ulong, data: *mut c_void) -> io::Result<libc::ifreq> {
        let mut name = [0; libc::IFNAMSIZ];
        for (to, from) in name.iter_mut().zip(self.name.bytes()) {
            *to = from.cast_signed();
        }
        let ifr_ifru = libc::__c_anonymous_ifr_ifru { ifru_data: data.cast() };
        let mut message = libc::ifreq { ifr_name: name, ifr_ifru };
        // SAFETY: the message lives through the call; what it points to is, for each request made here, a structure of
        // the size and layout that the kernel expects, borrowed by the caller for longer than the call.
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), request as _, &raw mut message) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(message) }
    }
}

const SIOCETHTOOL: libc::c_ulong = 0x8946;
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GLINK: u32 = 0x0a;
const ETHTOOL_GCHANNELS: u32 = 0x3c;

/// `struct ethtool_value` of `<linux/ethtool.h>`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// `struct ethtool_channels` of `<linux/ethtool.h>`.
#[repr(C)]
#[derive(Default)]
struct Channels {
    command: u32,
    maxima: [u32; 4],
    receive: u32,
    transmit: u32,
    other: u32,
    combined: u32,
}

/// `struct ethtool_drvinfo` of `<linux/ethtool.h>`.
#[repr(C)]
#[derive(Default)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    version: [u8; 32],
    firmware: [u8; 32],
    bus: [u8; 32],
    rom: [u8; 32],
    reserved: [u8; 12],
    counts: [u32; 5],
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_and_nothing_is_not() {
        let lo = Interface::query("lo").unwrap();
        assert_eq!((lo.index, lo.mac, lo.queues), (1, Mac::default(), 1));
        assert!(lo.mtu >= 1500);
        assert!(lo.may_bring_partial_checksums());
        assert!(has_link("lo").unwrap());
        assert!(has_link("no-such-one").is_err());
        for name in ["no-such-one", "", "a-name-longer-than-any-may-be"] {
            assert_eq!(Interface::query(name).unwrap_err().kind(), io::ErrorKind::NotFound, "{name}");
        }
    }

    #[test]
    fn only_known_hardware_is_trusted_with_checksums() {
        let lo = Interface::query("lo").unwrap();
        let cases = [
            ("ixgbe", "0000:03:00.0", false),
            ("ixgbe", "", true),
            ("virtio_net", "0000:00:03.0", true),
            ("", "", true),
        ];
        for (driver, bus, partial) in cases {
            let interface = Interface { driver: driver.into(), bus: bus.into(), ..lo.clone() };
            assert_eq!(interface.may_bring_partial_checksums(), partial, "{driver}");
        }
    }
}
