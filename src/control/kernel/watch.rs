//! The connection to the kernel: dump, follow, ask.
//!
//! A thin shell around [`Mirror`], [`Resolver`] and the decoder. Requests and notifications have a socket each, so that a
//! burst of notifications cannot push the answer to a request out of the receive buffer.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream::LocalBoxStream};
use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{NeighbourFlags, NeighbourState};
use netlink_packet_route::route::RouteMessage;
use rtnetlink::sys::AsyncSocket;
use rtnetlink::{Handle, MulticastGroup};
use tokio::time::Sleep;

use super::KernelError;
use super::decode;
use super::facts::{Effect, Event, Facts};
use super::mirror::Mirror;
use super::resolver::{Request, Resolver};
use crate::service::{Network, NextHop};
use crate::wire::Addr;

/// Changes within this time of the first are published together: an interface that goes down is some dozen of them.
const SETTLE: Duration = Duration::from_millis(5);

/// Receive buffer for notifications, in bytes: some ten thousand of them.
const BUFFER: usize = 4 << 20;

const GROUPS: [MulticastGroup; 6] = [
    MulticastGroup::Link,
    MulticastGroup::Neigh,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv6Route,
];

/// Follows the kernel's links, addresses, routes and neighbours. Needs a tokio runtime around it.
pub struct Kernel {
    requests: Handle,
    notifications: LocalBoxStream<'static, Notification>,
    ports: Vec<String>,
    mirror: Mirror,
    resolver: Resolver,
    /// What has happened since the last publication.
    behind: Effect,
    settle: Option<Pin<Box<Sleep>>>,
}

enum Notification {
    Event(Event),
    /// The receive buffer was full: some were lost.
    Overrun,
}

impl Kernel {
    /// Connects and reads everything; the network as it is now comes with it. `choose` names the interfaces to attach
    /// to, in the order of their ids.
    pub async fn connect(choose: impl FnOnce(&Mirror) -> Vec<String>) -> Result<(Self, Network), KernelError> {
        // Subscribed before the dump, so that no change falls between the two.
        let notifications = subscribe()?;
        let (connection, requests, _) = rtnetlink::new_connection().map_err(KernelError::Open)?;
        tokio::spawn(connection);
        let mut mirror = Mirror::default();
        mirror.replace(dump(&requests).await?);
        let ports = choose(&mirror);
        let network = mirror.network(&ports);
        let resolver = Resolver::default();
        let kernel = Self { requests, notifications, ports, mirror, resolver, behind: Effect::None, settle: None };
        Ok((kernel, network))
    }

    /// Waits for the next change and returns the network after it. May be dropped while waiting; nothing is lost.
    pub async fn changed(&mut self) -> Result<Network, KernelError> {
        loop {
            if self.behind != Effect::None && self.settle.is_none() {
                self.settle = Some(Box::pin(tokio::time::sleep(SETTLE)));
            }
            tokio::select! {
                notification = self.notifications.next() => self.take(notification)?,
                () = elapsed(&mut self.settle) => {
                    self.settle = None;
                    if self.behind == Effect::Resync {
                        self.mirror.replace(dump(&self.requests).await?);
                    }
                    self.behind = Effect::None;
                    return Ok(self.mirror.network(&self.ports));
                }
            }
        }
    }

    fn take(&mut self, notification: Option<Notification>) -> Result<(), KernelError> {
        let effect = match notification {
            Some(Notification::Event(event)) => self.mirror.apply(event),
            Some(Notification::Overrun) => Effect::Resync,
            None => {
                self.notifications = subscribe()?;
                Effect::Resync
            }
        };
        self.behind = self.behind.max(effect);
        Ok(())
    }

    /// The interfaces attached to, in the order of their ids.
    pub fn ports(&self) -> &[String] {
        &self.ports
    }

    /// All addresses of the director.
    pub fn local_addresses(&self) -> impl Iterator<Item = Addr> + '_ {
        self.mirror.local_addresses()
    }

    /// Makes the kernel find a neighbour that a worker has met, unless it was asked only just now. `now` is the time
    /// since an arbitrary start.
    pub async fn resolve(&mut self, next: NextHop, now: Duration) {
        let Some(link) =
            self.ports.get(usize::from(next.port.0)).and_then(|name| self.mirror.asks_by(name, next.address))
        else {
            return;
        };
        let reach = self.mirror.reach(link, next.address);
        if let Some(request) = self.resolver.ask(next, reach, now)
            && let Err(error) = ask(&self.requests, link, next.address, request).await
        {
            tracing::debug!(address = %next.address, %error, "the kernel would not look for a neighbour");
        }
    }

    /// Keeps the `wanted` neighbours and all gateways resolved and confirmed. To be called every few seconds, and when a
    /// neighbour becomes wanted.
    pub async fn keep_resolved(&mut self, wanted: &BTreeSet<NextHop>, now: Duration) {
        for next in wanted.union(&self.mirror.gateways()) {
            self.resolve(*next, now).await;
        }
    }

    /// For other requests to the kernel.
    pub fn handle(&self) -> &Handle {
        &self.requests
    }
}

async fn elapsed(settle: &mut Option<Pin<Box<Sleep>>>) {
    match settle {
        Some(settle) => settle.await,
        None => std::future::pending().await,
    }
}

fn subscribe() -> Result<LocalBoxStream<'static, Notification>, KernelError> {
    let (mut connection, _, messages) = rtnetlink::new_multicast_connection(&GROUPS).map_err(KernelError::Open)?;
    if let Err(error) = connection.socket_mut().socket_mut().set_rx_buf_sz(BUFFER) {
        tracing::debug!(%error, "the netlink receive buffer keeps its default size");
    }
    tokio::spawn(connection);
    let notification = |(message, _): (netlink_packet_core::NetlinkMessage<_>, _)| match message.payload {
        NetlinkPayload::Overrun(_) => Some(Notification::Overrun),
        _ => decode::notification(message).map(Notification::Event),
    };
    Ok(messages.filter_map(move |message| std::future::ready(notification(message))).boxed_local())
}

/// Everything the kernel knows.
async fn dump(handle: &Handle) -> Result<Facts, KernelError> {
    let failed = |table| move |source| KernelError::Dump { table, source };
    let mut facts = Facts::default();
    let mut links = Box::pin(handle.link().get().execute());
    while let Some(link) = links.try_next().await.map_err(failed("interfaces"))? {
        decode::link(&link).into_iter().for_each(|link| _ = facts.apply(Event::Link(link)));
    }
    let mut addresses = Box::pin(handle.address().get().execute());
    while let Some(address) = addresses.try_next().await.map_err(failed("addresses"))? {
        decode::address(&address).into_iter().for_each(|address| _ = facts.apply(Event::Address(address)));
    }
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut message = RouteMessage::default();
        message.header.address_family = family;
        let mut routes = Box::pin(handle.route().get(message).execute());
        while let Some(route) = routes.try_next().await.map_err(failed("routes"))? {
            let route = decode::route(&route).map(|route| Event::Route { route, replaces: false });
            route.into_iter().for_each(|route| _ = facts.apply(route));
        }
        let mut neighbours = Box::pin(handle.neighbours().get().set_address_family(family).execute());
        while let Some(neighbour) = neighbours.try_next().await.map_err(failed("neighbours"))? {
            let event = decode::neighbour(&neighbour, decode::reach(&neighbour));
            event.into_iter().for_each(|event| _ = facts.apply(event));
        }
    }
    Ok(facts)
}

async fn ask(handle: &Handle, link: u32, address: Addr, request: Request) -> Result<(), rtnetlink::Error> {
    let neighbour = handle.neighbours().add(link, IpAddr::from(address)).replace();
    match request {
        Request::Resolve => neighbour.state(NeighbourState::None).flags(NeighbourFlags::Use),
        Request::Confirm => neighbour.state(NeighbourState::Probe),
    }
    .execute()
    .await
}
