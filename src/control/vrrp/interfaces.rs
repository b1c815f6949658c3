//! Links and addresses as the elections need them, followed over a netlink socket of their own, without waiting.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::control::kernel::decode;
use crate::control::kernel::facts::{Address, Facts};
use crate::vrrp::Spec;
use crate::wire::{Addr, Family};

/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV6_IFADDR` of <linux/rtnetlink.h>.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;

/// More than the kernel puts into one message of a dump.
const BUFFER: usize = 1 << 16;

/// The director's links and addresses.
#[derive(Debug)]
pub(in crate::control) struct Interfaces {
    socket: Socket,
    facts: Facts,
}

impl Interfaces {
    /// Subscribes, and reads what there is.
    pub(in crate::control) fn connect() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, GROUPS))?;
        let mut interfaces = Self { socket, facts: Facts::default() };
        interfaces.dump()?;
        Ok(interfaces)
    }

    /// What is known.
    pub(in crate::control) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// To be polled for reading.
    pub(in crate::control) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Takes in what the kernel has told. Gives whether there was anything.
    pub(in crate::control) fn follow(&mut self) -> io::Result<bool> {
        let mut any = false;
        loop {
            match self.read(libc::MSG_DONTWAIT) {
                Ok(_) => any = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(any),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Notifications were lost: ask for everything.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.dump()?;
                    any = true;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The address that adverts of an instance are sent from; `None` while it cannot take part. `virtual_` addresses
    /// are never sent from.
    pub(super) fn source(&self, spec: &Spec, is_virtual: impl Fn(Addr) -> bool) -> Option<Addr> {
        if spec.lonely {
            return None;
        }
        let link = self.facts.link_named(&spec.interface)?;
        if spec.needs_link && !(link.up && link.running) {
            return None;
        }
        if let Some(source) = spec.source {
            return Some(source).filter(|source| !spec.needs_source || self.facts.has(*source));
        }
        /// `RT_SCOPE_LINK`.
        const LINK_LOCAL: u8 = 253;
        let fits = |own: &&Address| {
            own.usable
                && own.address.family() == spec.family
                && !is_virtual(own.address)
                // RFC 5798 5.1.2.1.
                && (spec.family == Family::V4 || own.scope == LINK_LOCAL)
        };
        let candidates = self.facts.addresses_of(link.index).filter(fits);
        candidates.min_by_key(|own| (own.scope, own.secondary, own.address)).map(|own| own.address)
    }

    fn dump(&mut self) -> io::Result<()> {
        self.facts = Facts::default();
        self.ask(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        self.ask(RouteNetlinkMessage::GetAddress(AddressMessage::default()))
    }

    /// Asks for a table and takes it in, together with notifications that come in between.
    fn ask(&mut self, request: RouteNetlinkMessage) -> io::Result<()> {
        let mut message = NetlinkMessage::from(request);
        message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        while !self.read(0)? {}
        Ok(())
    }

    /// Takes in one datagram. Gives whether it ended a dump.
    fn read(&mut self, flags: libc::c_int) -> io::Result<bool> {
        let mut buffer = Vec::with_capacity(BUFFER);
        self.socket.recv(&mut buffer, flags)?;
        let (mut rest, mut done) = (&buffer[..], false);
        while let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest) {
            // Messages are aligned to four bytes (`NLMSG_ALIGN`).
            let length = (message.header.length as usize).next_multiple_of(4).max(16);
            done |= matches!(message.payload, NetlinkPayload::Done(_) | NetlinkPayload::Error(_));
            if let Some(event) = decode::notification(message) {
                self.facts.apply(event);
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(done)
    }
}
