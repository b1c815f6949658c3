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
//! | [`Paths`] | the same for routes and rules | yes |
//! | [`ReturnLink`] | makes the pair of interfaces by which workers give packets to the kernel | yes |

mod addresses;
pub(super) mod decode;
pub mod facts;
pub mod mirror;
mod paths;
pub mod resolver;
mod return_link;
mod watch;

pub use addresses::VirtualAddresses;
pub use paths::Paths;
pub use resolver::wanted;
pub use return_link::ReturnLink;
pub use watch::Kernel;

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

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
    /// The record of added addresses could not be read or written.
    #[error("cannot keep the record of virtual addresses in {}", file.display())]
    Record {
        /// Where it is kept.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}
