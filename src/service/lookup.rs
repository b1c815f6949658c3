//! Which service a packet belongs to (`ip_vs_ctl.c: ip_vs_service_find`).

use super::{Marked, Service, Services, marks};
use crate::wire::{Endpoint, Protocol, ServiceKey};

/// FTP's control port: its service may take the data connections too.
pub(super) const FTP: u16 = 21;
/// FTP's data port.
const FTP_DATA: u16 = 20;
/// From here on any program may listen.
const FIRST_UNPRIVILEGED: u16 = 1024;

/// A packet that asks for a service.
pub type Asked = Marked;

impl Services {
    /// The service of a packet that belongs to no known connection: by its mark, then by address and port, then by the
    /// ports that FTP may use, then by address alone.
    pub fn service_of(&self, packet: &Asked) -> Option<&Service> {
        self.by_mark(packet).or_else(|| self.by_address(packet.protocol, packet.destination))
    }

    fn by_mark(&self, packet: &Asked) -> Option<&Service> {
        if !self.kinds.marks {
            return None;
        }
        let mark = marks::mark_of(&self.marks, packet);
        let key = ServiceKey::of_mark(mark, packet.destination.addr.family());
        if mark == 0 { None } else { self.named(&key) }
    }

    /// The service of a destination, whatever the packet's mark.
    pub fn by_address(&self, protocol: u8, destination: Endpoint) -> Option<&Service> {
        let on = |port| self.named(&ServiceKey { protocol, virtual_: Endpoint { port, ..destination } });
        let ftp =
            || if self.kinds.ftp && protocol == Protocol::TCP && is_ftp_s(destination.port) { on(FTP) } else { None };
        let all = || if self.kinds.all_ports { on(0) } else { None };
        on(destination.port).or_else(ftp).or_else(all)
    }

    fn named(&self, key: &ServiceKey) -> Option<&Service> {
        self.list.get(self.find(key)?)
    }
}

/// Whether FTP may use this port of a server for data.
fn is_ftp_s(port: u16) -> bool {
    port == FTP_DATA || port >= FIRST_UNPRIVILEGED
}
