//! Interfaces with virtual MAC addresses, for virtual addresses.
//!
//! Each is a macvlan in private mode on top of the interface that packets come and go by, as keepalived makes them: whoever
//! is master has the same MAC address, so that a takeover leaves the neighbours' caches valid. All that the kernel does for an
//! address (ARP, neighbour discovery, ping) it then does by that MAC address. It is up only while this director is
//! master of an address on it: a backup must not take packets for the virtual MAC address (RFC 5798 8.3.1).

use std::collections::BTreeSet;
use std::path::Path;

use netlink_packet_route::link::MacVlanMode;
use rtnetlink::{Handle, LinkMacVlan, LinkUnspec};

use super::addresses::links;
use super::facts::Link;
use super::record::Record;
use super::{KernelError, sysctl};
use crate::config::model::{VirtualAddress, VirtualMac};

/// The interfaces of a director; see the module documentation.
#[derive(Debug)]
pub struct VirtualMacs {
    record: Record,
    /// The names of those that were made.
    made: BTreeSet<String>,
    wanted: Vec<VirtualMac>,
}

impl VirtualMacs {
    /// None made, but for what the record beside the control socket says.
    pub fn load(socket: &Path, wanted: Vec<VirtualMac>) -> Result<Self, KernelError> {
        let record = Record::new(socket.with_extension("interfaces"));
        Ok(Self { made: record.read()?, record, wanted })
    }

    /// Others are wanted from now on: to be [made](Self::make).
    pub fn want(&mut self, wanted: Vec<VirtualMac>) {
        self.wanted = wanted;
    }

    /// Makes those that are not there yet, as far as there is an interface below them, and removes what a director before this
    /// one has left and nobody wants.
    pub async fn make(&mut self, handle: &Handle) -> Result<(), KernelError> {
        if self.wanted.is_empty() && self.made.is_empty() {
            return Ok(());
        }
        let there = links(handle).await?;
        let surplus: Vec<String> = self.made.iter().filter(|name| !self.wants(name)).cloned().collect();
        for name in surplus {
            remove(handle, &there, &name).await;
            self.made.remove(&name);
        }
        let mut outcome = Ok(());
        for wanted in self.wanted.clone() {
            if let Some(below) = there.iter().find(|link| link.name == wanted.parent) {
                let made = self.ensure(handle, &there, &wanted, below).await;
                outcome = outcome.and(made);
            }
        }
        outcome.and(self.record.write(&self.made))
    }

    /// Has up those that addresses are about to be put on.
    pub async fn raise(&mut self, handle: &Handle, addresses: &[VirtualAddress]) -> Result<(), KernelError> {
        if self.wanted.is_empty() {
            return Ok(());
        }
        // One may have gone with the interface below it, which then came back.
        let outcome = self.make(handle).await;
        outcome.and(self.switch(handle, |name| is_used(name, addresses), true).await)
    }

    /// Has down those that no address is on any longer.
    pub async fn lower(&self, handle: &Handle, addresses: &[VirtualAddress]) -> Result<(), KernelError> {
        self.switch(handle, |name| !is_used(name, addresses), false).await
    }

    /// Removes all: the last thing before exit.
    pub async fn clear(&mut self, handle: &Handle) -> Result<(), KernelError> {
        self.wanted.clear();
        self.make(handle).await
    }

    fn wants(&self, name: &str) -> bool {
        self.wanted.iter().any(|wanted| wanted.name == name)
    }

    /// Makes one, unless it is there.
    async fn ensure(
        &mut self,
        handle: &Handle,
        there: &[Link],
        wanted: &VirtualMac,
        below: &Link,
    ) -> Result<(), KernelError> {
        let VirtualMac { name, parent, mac, .. } = wanted;
        let same = there.iter().find(|link| link.name == *name);
        if let Some(same) = same {
            if same.below.map(|below| below.link) != Some(below.index) {
                return Err(KernelError::Taken { name: name.clone(), parent: parent.clone() });
            }
            if self.made.contains(name) && same.mac == *mac && same.is_private() {
                return Ok(());
            }
            // Of a director before this one that could not tell of it, or of keepalived.
            remove(handle, there, name).await;
        }
        self.made.insert(name.clone());
        self.record.write(&self.made)?;
        let made = make(handle, wanted, below).await;
        made.map_err(|source| KernelError::VirtualMac { name: name.clone(), mac: *mac, parent: parent.clone(), source })
    }

    /// Sets up, or down, those that `which` chooses and that are not so already.
    async fn switch(&self, handle: &Handle, which: impl Fn(&str) -> bool, up: bool) -> Result<(), KernelError> {
        if self.wanted.is_empty() {
            return Ok(());
        }
        let there = links(handle).await?;
        let mut outcome = Ok(());
        for wanted in self.wanted.iter().filter(|wanted| which(&wanted.name)) {
            let Some(link) = there.iter().find(|link| link.name == wanted.name && link.up != up) else { continue };
            let change = LinkUnspec::new_with_index(link.index);
            let change = if up { change.up() } else { change.down() };
            let changed = handle.link().change(change.build()).execute().await;
            outcome = outcome.and(changed.map_err(|source| KernelError::VirtualMac {
                name: wanted.name.clone(),
                mac: wanted.mac,
                parent: wanted.parent.clone(),
                source: source.into(),
            }));
        }
        outcome
    }
}

fn is_used(name: &str, addresses: &[VirtualAddress]) -> bool {
    addresses.iter().any(|address| address.device == name)
}

/// What stands in the way of an interface.
type Refused = Box<dyn std::error::Error + Send + Sync>;

/// Makes it, down.
async fn make(handle: &Handle, wanted: &VirtualMac, below: &Link) -> Result<(), Refused> {
    let VirtualMac { name, mac, ipv6, .. } = wanted;
    let link = LinkMacVlan::new(name, below.index, MacVlanMode::Private).address(mac.0.to_vec()).build();
    handle.link().add(link).execute().await?;
    sysctl::set("ipv4", name, "arp_ignore", "1")?;
    // Packets of clients come by this interface, and answers leave by the one below. (The larger of this and of `all`
    // counts, and 2 is the largest.)
    sysctl::set("ipv4", name, "rp_filter", "2")?;
    sysctl::set("ipv4", name, "promote_secondaries", "1")?;
    sysctl::set("ipv6", name, "disable_ipv6", if *ipv6 { "0" } else { "1" })?;
    // No address but the virtual ones (`IN6_ADDR_GEN_MODE_NONE` of <linux/if_link.h>).
    sysctl::set("ipv6", name, "addr_gen_mode", "1")?;
    Ok(sysctl::set("ipv6", name, "accept_ra", "0")?)
}

/// One that is gone already is as good.
async fn remove(handle: &Handle, there: &[Link], name: &str) {
    if let Some(link) = there.iter().find(|link| link.name == name && link.below.is_some()) {
        let _ = handle.link().del(link.index).execute().await;
    }
}
