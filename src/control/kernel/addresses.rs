//! Virtual addresses on interfaces.
//!
//! What we put there we take off at the end, and nothing else: an address that was there before belongs to someone else
//! and stays. A record of our own is written before an address is added, so that after a `kill -9` the next start knows
//! its leftovers: those still wanted are adopted, the others removed.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use rtnetlink::Handle;
use serde::{Deserialize, Serialize};

use super::KernelError;
use super::decode;
use super::facts::Link;
use super::record::Record;
use crate::config::model::VirtualAddress;

/// An address on an interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Placed {
    device: String,
    address: IpAddr,
    prefix: u8,
}

impl From<&VirtualAddress> for Placed {
    fn from(wanted: &VirtualAddress) -> Self {
        Self { device: wanted.device.clone(), address: wanted.address, prefix: wanted.prefix }
    }
}

/// The virtual addresses that this director put on interfaces; see the module documentation.
#[derive(Debug)]
pub struct VirtualAddresses {
    record: Record,
    ours: BTreeSet<Placed>,
}

/// How to get from what is to what should be.
#[derive(Debug, Default, PartialEq)]
struct Steps {
    remove: Vec<Placed>,
    add: Vec<VirtualAddress>,
    /// What is ours afterwards.
    ours: BTreeSet<Placed>,
}

impl VirtualAddresses {
    /// With the leftovers recorded in `file`, if any.
    pub fn load(file: PathBuf) -> Result<Self, KernelError> {
        let record = Record::new(file);
        Ok(Self { ours: record.read()?, record })
    }

    /// Where the record is kept: next to the control socket, in a directory that a reboot empties as it does the
    /// interfaces.
    pub fn record_beside(socket: &Path) -> PathBuf {
        socket.with_extension("addresses")
    }

    /// Makes the interfaces carry exactly the `wanted` addresses, as far as they are ours to change. One that is refused
    /// does not keep the others from their places; the first refusal is the result.
    pub async fn set(&mut self, handle: &Handle, wanted: &[VirtualAddress]) -> Result<(), KernelError> {
        let links = links(handle).await?;
        let steps = steps(wanted, &self.ours, &present(handle, &links).await?);
        let mut outcome = Ok(());
        for placed in &steps.remove {
            outcome = outcome.and(self.remove(handle, &links, placed).await);
        }
        self.ours = steps.ours;
        outcome = outcome.and(self.record.write(&self.ours));
        for address in &steps.add {
            outcome = outcome.and(add(handle, &links, address).await);
        }
        outcome
    }

    /// Takes off all that is ours: the last thing before exit.
    pub async fn clear(&mut self, handle: &Handle) -> Result<(), KernelError> {
        self.set(handle, &[]).await
    }

    async fn remove(&self, handle: &Handle, links: &[Link], placed: &Placed) -> Result<(), KernelError> {
        let Placed { device, address, prefix } = placed;
        let Some(index) = index(links, device) else { return Ok(()) };
        let message = message(index, *address, *prefix);
        let gone = handle.address().del(message).execute().await;
        gone.map_err(|source| KernelError::Remove { device: device.clone(), address: *address, source })
    }
}

/// Decides; does nothing. `present` is what the interfaces carry now.
fn steps(wanted: &[VirtualAddress], ours: &BTreeSet<Placed>, present: &BTreeSet<Placed>) -> Steps {
    let mut steps = Steps::default();
    let keep: BTreeSet<Placed> = wanted.iter().map(Placed::from).collect();
    steps.remove.extend(ours.intersection(present).filter(|placed| !keep.contains(placed)).cloned());
    let staying: Vec<&Placed> = present.iter().filter(|have| !steps.remove.contains(have)).collect();
    for address in wanted {
        let placed = Placed::from(address);
        // Whatever its prefix length, an address that is there answers.
        let there = staying.iter().any(|have| have.device == placed.device && have.address == placed.address);
        let adopted = ours.contains(&placed) && present.contains(&placed);
        if there && !adopted {
            continue;
        }
        if steps.ours.insert(placed) && !adopted {
            steps.add.push(address.clone());
        }
    }
    steps
}

async fn add(handle: &Handle, links: &[Link], wanted: &VirtualAddress) -> Result<(), KernelError> {
    let VirtualAddress { address, device, .. } = wanted;
    let missing = || KernelError::NoDevice { device: device.clone(), address: *address };
    let index = index(links, device).ok_or_else(missing)?;
    let mut request = handle.address().add(index, *address, wanted.prefix);
    *request.message_mut() = message(index, *address, wanted.prefix);
    let message = request.message_mut();
    message.header.scope = wanted.scope.into();
    match address {
        IpAddr::V4(_) => message.attributes.extend(wanted.label.clone().map(AddressAttribute::Label)),
        // Duplicate address detection would keep the address unusable for a second or more.
        IpAddr::V6(_) => message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad)),
    }
    let added = request.replace().execute().await;
    added.map_err(|source| KernelError::Add { device: device.clone(), address: *address, source })
}

/// What names an address to the kernel. Without a broadcast address, as keepalived adds them.
fn message(index: u32, address: IpAddr, prefix: u8) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.index = index;
    message.header.prefix_len = prefix;
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    message
}

fn index(links: &[Link], device: &str) -> Option<u32> {
    links.iter().find(|link| link.name == device).map(|link| link.index)
}

pub(super) async fn links(handle: &Handle) -> Result<Vec<Link>, KernelError> {
    let links = handle.link().get().execute().try_filter_map(|link| std::future::ready(Ok(decode::link(&link))));
    links.try_collect().await.map_err(|source| KernelError::Dump { table: "interfaces", source })
}

async fn present(handle: &Handle, links: &[Link]) -> Result<BTreeSet<Placed>, KernelError> {
    let addresses: Vec<_> = handle
        .address()
        .get()
        .execute()
        .try_filter_map(|address| std::future::ready(Ok(decode::address(&address))))
        .try_collect()
        .await
        .map_err(|source| KernelError::Dump { table: "addresses", source })?;
    let placed = addresses.into_iter().filter_map(|own| {
        let device = links.iter().find(|link| link.index == own.link)?.name.clone();
        Some(Placed { device, address: own.address.into(), prefix: own.prefix })
    });
    Ok(placed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(address: &str, prefix: u8) -> VirtualAddress {
        let address = address.parse().unwrap();
        VirtualAddress { address, prefix, device: "eth0".into(), label: None, scope: 0 }
    }

    fn placed(list: &[(&str, u8)]) -> BTreeSet<Placed> {
        list.iter().map(|&(address, prefix)| Placed::from(&wanted(address, prefix))).collect()
    }

    /// (wanted, ours before, present) and (removed, added, ours after).
    type Places<'a> = &'a [(&'a str, u8)];
    type Case<'a> = (&'a str, [Places<'a>; 3], [Places<'a>; 3]);

    #[test]
    fn only_what_is_ours_is_changed() {
        let (a, b, a24) = (("10.0.0.1", 32), ("2001:db8::1", 128), ("10.0.0.1", 24));
        let cases: [Case; 8] = [
            ("added", [&[a, b], &[], &[]], [&[], &[a, b], &[a, b]]),
            ("there already, not ours: left alone", [&[a], &[], &[a]], [&[], &[], &[]]),
            ("there already with another prefix", [&[a], &[], &[a24]], [&[], &[], &[]]),
            ("a leftover of ours is adopted", [&[a], &[a], &[a]], [&[], &[], &[a]]),
            ("a leftover not wanted any more is removed", [&[], &[a], &[a, b]], [&[a], &[], &[]]),
            ("a recorded one that is gone is added again", [&[a], &[a], &[]], [&[], &[a], &[a]]),
            ("a leftover with another prefix is replaced", [&[a], &[a24], &[a24]], [&[a24], &[a], &[a]]),
            ("named twice", [&[a, a], &[], &[]], [&[], &[a], &[a]]),
        ];
        for (title, [want, ours, present], [removed, added, after]) in cases {
            let want: Vec<VirtualAddress> = want.iter().map(|&(address, prefix)| wanted(address, prefix)).collect();
            let steps = steps(&want, &placed(ours), &placed(present));
            assert_eq!(steps.remove.iter().cloned().collect::<BTreeSet<_>>(), placed(removed), "{title}");
            assert_eq!(steps.add.iter().map(Placed::from).collect::<BTreeSet<_>>(), placed(added), "{title}");
            assert_eq!(steps.add.len(), added.len(), "{title}");
            assert_eq!(steps.ours, placed(after), "{title}");
        }
    }
}
