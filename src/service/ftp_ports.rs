//! The ports on which services speak FTP.

/// Ports of FTP's control connections: as many as the kernel's module takes (`ip_vs_ftp`'s parameter `ports`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FtpPorts([u16; FtpPorts::MOST]);

impl FtpPorts {
    /// How many there may be (`ip_vs.h: IP_VS_APP_MAX_PORTS`).
    pub const MOST: usize = 8;

    /// None: no helper.
    pub const NONE: FtpPorts = FtpPorts([0; FtpPorts::MOST]);

    /// Port 21.
    pub const STANDARD: FtpPorts = FtpPorts([21, 0, 0, 0, 0, 0, 0, 0]);

    /// These ports; what is more than [`FtpPorts::MOST`] is left out.
    pub fn new(ports: impl IntoIterator<Item = u16>) -> Self {
        let mut all = [0; Self::MOST];
        all.iter_mut().zip(ports).for_each(|(place, port)| *place = port);
        Self(all)
    }

    /// Whether a service on this port has the helper.
    pub fn contains(&self, port: u16) -> bool {
        port != 0 && self.0.contains(&port)
    }
}
