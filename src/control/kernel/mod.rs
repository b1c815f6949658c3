//! The kernel's network state, followed over netlink.
//!
//! | part | what it does | touches the kernel |
//! | --- | --- | --- |
//! | [`facts`] | links, addresses, routes, neighbours, and what notifications do to them | no |
//! | [`mirror`] | facts to the [`Network`](crate::service::Network) that workers read | no |
//! | `decode` | netlink messages to events | no |
//! | [`resolver`] | when to ask for a neighbour | no |
//! | [`Kernel`] | dumps, follows and asks | yes |
//! | [`VirtualAddresses`] | puts virtual addresses on interfaces and takes them off again | yes |
//! | [`VirtualMacs`] | makes interfaces with virtual MAC addresses for them | yes |
//! | [`Tuning`] | settings of interfaces that these need | yes |
//! | [`Paths`] | the same for routes and rules | yes |
//! | [`ReturnLink`] | makes the pair of interfaces by which workers give packets to the kernel | yes |

mod addresses;
pub(super) mod decode;
pub mod facts;
pub mod mirror;
mod paths;
pub mod record;
pub mod resolver;
mod return_link;
mod sysctl;
mod tuning;
mod virtual_macs;
mod watch;

pub use addresses::VirtualAddresses;
pub use paths::Paths;
pub use resolver::wanted;
pub use return_link::ReturnLink;
pub use tuning::Tuning;
pub use virtual_macs::VirtualMacs;
pub use watch::Kernel;

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::wire::Mac;

/// Why the kernel's network state could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// No netlink socket.
    #[error("cannot open a netlink socket")]
    Open(#[source] io::Error),
    /// A table could not be read.
    #[error("cannot read the kernel's {table}")]
    Dump {
        /// Which one.
        table: &'static str,
        /// Why.
        source: rtnetlink::Error,
    },
    /// The interface of a virtual address does not exist.
    #[error("there is no interface {device} to put {address} on; check `interface` and `dev` in the configuration")]
    NoDevice {
        /// The interface.
        device: String,
        /// The address.
        address: IpAddr,
    },
    /// A virtual address was refused.
    #[error("cannot put {address} on {device}; adding addresses needs CAP_NET_ADMIN")]
    Add {
        /// The interface.
        device: String,
        /// The address.
        address: IpAddr,
        /// Why.
        source: rtnetlink::Error,
    },
    /// A virtual address could not be taken off.
    #[error("cannot take {address} off {device}")]
    Remove {
        /// The interface.
        device: String,
        /// The address.
        address: IpAddr,
        /// Why.
        source: rtnetlink::Error,
    },
    /// A virtual route or rule was refused.
    #[error("cannot add {what}")]
    Path {
        /// The route or rule.
        what: String,
        /// Why.
        source: rtnetlink::Error,
    },
    /// The pair of interfaces by which packets go back to the kernel was refused.
    #[error("cannot make the interfaces {kernel} and {workers}")]
    ReturnLink {
        /// The kernel's end.
        kernel: String,
        /// The workers' end.
        workers: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An interface with a virtual MAC address was refused.
    #[error("cannot make the interface {name} with MAC address {mac} on top of {parent}")]
    VirtualMac {
        /// Its name.
        name: String,
        /// Its MAC address.
        mac: Mac,
        /// The interface below it.
        parent: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A setting of an interface was refused; the error names it.
    #[error(transparent)]
    Setting(io::Error),
    /// Somebody else's interface has the name of one with a virtual MAC address.
    #[error(
        "there is an interface {name} already, and it is no macvlan on top of {parent}; give `use_vmac` another name"
    )]
    Taken {
        /// The name.
        name: String,
        /// The interface below ours.
        parent: String,
    },
    /// The record of what was made could not be read or written.
    #[error("cannot keep the record of virtual addresses or interfaces in {}", file.display())]
    Record {
        /// Where it is kept.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}
