//! The pair of interfaces by which workers give the kernel what is its own: they send into one end, and it arrives at the
//! other as on any interface.
//!
//! Made at the start and removed at the end; a director that follows another goes on with it as it is. Its names follow from the control socket's path, of which there is one a
//! director: so the next start finds what a killed one has left.
//!
//! The kernel's end is to let through whatever it would have taken where the packet came from:
//!
//! - `rp_filter` 2, whatever the other interfaces have: packets of all networks come by it. (The larger of this and of
//!   `all` counts, and 2 is the largest.) The test asks for a route back by any interface, but only where there is an
//!   address: hence the one of RFC 7600, which is of no use to anybody else.
//! - `forwarding` of IPv4 if any port has it. That of IPv6 is decided for all interfaces together.
//! - No IPv6 addresses, advertisements or ARP of its own: nothing is ever sent by it.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use netlink_packet_route::address::AddressScope;
use netlink_packet_route::link::{InfoData, InfoVeth, LinkAttribute};
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth};

use super::{KernelError, sysctl};
use crate::sys::interface::Interface;

/// The IPv4 dummy address (RFC 7600 4.8).
const DUMMY: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);

/// The smallest MTU that IPv6 works with (RFC 8200 5).
const LEAST_MTU: u32 = 1280;

/// The pair; see the module documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnLink {
    kernel: String,
    workers: String,
}

impl ReturnLink {
    /// The pair of the director with this control socket, made or not.
    pub fn of(socket: &Path) -> Self {
        let number = fnv1a(socket.as_os_str().as_encoded_bytes());
        Self { kernel: format!("rmk-{number:08x}"), workers: format!("rmw-{number:08x}") }
    }

    /// Whether an interface of this name is one end of a director's pair.
    pub fn is_named(name: &str) -> bool {
        name.starts_with("rmk-") || name.starts_with("rmw-")
    }

    /// Makes the pair, with a queue for each worker, so that what came in by `ports` fits through. Returns the workers' end
    /// and the kernel's.
    pub async fn make(
        &self,
        handle: &Handle,
        workers: u32,
        ports: &[Interface],
    ) -> Result<[Interface; 2], KernelError> {
        let made = self.try_make(handle, workers, ports).await;
        made.map_err(|source| {
            let Self { kernel, workers } = self.clone();
            KernelError::ReturnLink { kernel, workers, source }
        })
    }

    async fn try_make(&self, handle: &Handle, workers: u32, ports: &[Interface]) -> Result<[Interface; 2], Refused> {
        handle.link().add(self.pair(workers, ports).build()).execute().await?;
        self.set_sysctls(ports)?;
        let ends = self.ends()?;
        let mut address = handle.address().add(ends[1].index, DUMMY.into(), 32);
        address.message_mut().header.scope = AddressScope::Host;
        address.execute().await?;
        for end in &ends {
            handle.link().change(LinkUnspec::new_with_index(end.index).arp(false).up().build()).execute().await?;
        }
        Ok(ends)
    }

    /// The workers' end and the kernel's, if they are there.
    pub fn ends(&self) -> io::Result<[Interface; 2]> {
        Ok([Interface::query(&self.workers)?, Interface::query(&self.kernel)?])
    }

    /// What the kernel is to make.
    fn pair(&self, workers: u32, ports: &[Interface]) -> LinkMessageBuilder<LinkVeth> {
        let mtu = ports.iter().map(|port| port.mtu).fold(LEAST_MTU, u32::max);
        let queues = [LinkAttribute::NumTxQueues(workers), LinkAttribute::NumRxQueues(workers)];
        let mut peer = LinkMessageBuilder::<LinkUnspec>::default().name(self.kernel.clone()).mtu(mtu).build();
        peer.attributes.extend(queues.clone());
        let [transmit, receive] = queues;
        LinkMessageBuilder::<LinkVeth>::new(&self.workers, &self.kernel)
            .mtu(mtu)
            .append_extra_attribute(transmit)
            .append_extra_attribute(receive)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
    }

    /// See the module documentation.
    fn set_sysctls(&self, ports: &[Interface]) -> io::Result<()> {
        let forwards = ports.iter().any(|port| sysctl::is_on("ipv4", &port.name, "forwarding"));
        sysctl::set("ipv4", &self.kernel, "rp_filter", "2")?;
        if forwards {
            sysctl::set("ipv4", &self.kernel, "forwarding", "1")?;
        }
        sysctl::set("ipv6", &self.workers, "disable_ipv6", "1")?;
        // Whatever new interfaces are like by default.
        sysctl::set("ipv6", &self.kernel, "disable_ipv6", "0")?;
        // Addresses by nobody (`IN6_ADDR_GEN_MODE_NONE` of <linux/if_link.h>).
        sysctl::set("ipv6", &self.kernel, "addr_gen_mode", "1")?;
        sysctl::set("ipv6", &self.kernel, "accept_ra", "0")
    }

    /// Removes the pair, if it is there. Of one that cannot be removed the next start will speak.
    pub async fn remove(&self) {
        let Ok(end) = Interface::query(&self.workers) else { return };
        if let Ok((connection, handle, _)) = rtnetlink::new_connection() {
            tokio::spawn(connection);
            let _ = handle.link().del(end.index).execute().await;
        }
    }
}

/// What stands in the way of the pair.
type Refused = Box<dyn std::error::Error + Send + Sync>;

/// The 32-bit FNV-1a hash: the same in every process and version, as names must be.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_the_socket_and_fit() {
        let [one, again, other] =
            ["/run/a.sock", "/run/a.sock", "/run/b.sock"].map(|path| ReturnLink::of(path.as_ref()));
        assert_eq!(one, again);
        assert_ne!(one, other);
        assert!([&one.kernel, &one.workers].iter().all(|name| name.len() < libc::IFNAMSIZ));
        // From the hash's own list of tests.
        assert_eq!([fnv1a(b""), fnv1a(b"foobar")], [0x811c_9dc5, 0xbf9c_f968]);
    }
}
