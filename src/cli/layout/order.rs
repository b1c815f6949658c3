//! What is listed first.

use std::cmp::Ordering;
use std::net::{IpAddr, SocketAddr};

use crate::control::admin::{Family, ServiceName};
use crate::control::view::{ServerView, ServiceView};

/// The order of services, and of the servers of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By mark, family, protocol, address and port.
    #[default]
    Numeric,
    /// The same, but two addresses are compared by their difference as a number with a sign, as ipvsadm does
    /// (`libipvs.c: ipvs_cmp_services`): those that are far apart stand the wrong way round.
    Ipvsadm,
    /// As schedulers walk them (`--nosort`).
    AsIs,
}

/// Services in this order.
pub(super) fn services(order: Order, services: &[ServiceView]) -> Vec<&ServiceView> {
    let mut sorted: Vec<&ServiceView> = services.iter().collect();
    match order {
        Order::Numeric => sorted.sort_by_key(|service| (rank(&service.name), service.name)),
        Order::Ipvsadm => sorted = merge_sort(sorted, &|a, b| signed(&a.name, &b.name)),
        Order::AsIs => {}
    }
    sorted
}

/// Servers in this order.
pub(super) fn servers(order: Order, servers: &[ServerView]) -> Vec<&ServerView> {
    let mut sorted: Vec<&ServerView> = servers.iter().collect();
    match order {
        Order::Numeric => sorted.sort_by_key(|server| server.address),
        Order::Ipvsadm => sorted = merge_sort(sorted, &|a, b| difference(&a.address, &b.address)),
        Order::AsIs => {}
    }
    sorted
}

/// What comes before the address: mark, family, protocol.
fn rank(name: &ServiceName) -> (u32, Family, u8) {
    match name {
        ServiceName::Address { protocol, .. } => (0, name.family(), protocol.number()),
        ServiceName::Mark { fwmark, family } => (*fwmark, *family, 0),
    }
}

/// Compares two services as ipvsadm does.
fn signed(a: &ServiceName, b: &ServiceName) -> Ordering {
    let ((mark, ..), (other, ..)) = (rank(a), rank(b));
    let by_mark = mark.wrapping_sub(other).cast_signed().cmp(&0);
    by_mark.then_with(|| rank(a).cmp(&rank(b))).then_with(|| match (a, b) {
        (ServiceName::Address { address: a, .. }, ServiceName::Address { address: b, .. }) => difference(a, b),
        _ => Ordering::Equal,
    })
}

fn difference(a: &SocketAddr, b: &SocketAddr) -> Ordering {
    let words = if a.is_ipv6() { 4 } else { 1 };
    let (left, right) = (words_of(a.ip()), words_of(b.ip()));
    let differ =
        (0..words).map(|at| left[at].wrapping_sub(right[at]).cast_signed()).find(|&difference| difference != 0);
    differ.map_or_else(|| a.port().cmp(&b.port()), |difference| difference.cmp(&0))
}

/// An address in four words, as in the kernel's union: an IPv4 address fills the first.
fn words_of(address: IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(v4) => [u32::from(v4), 0, 0, 0],
        IpAddr::V6(v6) => {
            let bits = u128::from(v6);
            // Each shift leaves 32 bits.
            [96, 64, 32, 0].map(|shift| (bits >> shift) as u32)
        }
    }
}

/// The C library's `qsort`, which is what orders things by a relation that is no order.
fn merge_sort<'a, T>(list: Vec<&'a T>, compare: &impl Fn(&T, &T) -> Ordering) -> Vec<&'a T> {
    if list.len() < 2 {
        return list;
    }
    let right = list[list.len() / 2..].to_vec();
    let left = list[..list.len() / 2].to_vec();
    let (left, right) = (merge_sort(left, compare), merge_sort(right, compare));
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    let next = || match (left.peek(), right.peek()) {
        (Some(a), Some(b)) if compare(a, b) == Ordering::Greater => right.next(),
        (Some(_), _) => left.next(),
        (None, _) => right.next(),
    };
    std::iter::from_fn(next).collect()
}
