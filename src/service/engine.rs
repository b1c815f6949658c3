//! Persistence engines: what tells clients apart beside their address (`persistence_engine`; ipvsadm `--pe`).

/// A persistence engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// By the Call-ID of SIP over UDP (`ip_vs_pe_sip.c`).
    Sip,
}

impl Engine {
    /// All there are.
    pub const ALL: [Engine; 1] = [Engine::Sip];

    /// Its name in configurations, listings and sync messages.
    pub const fn name(self) -> &'static str {
        match self {
            Engine::Sip => "sip",
        }
    }

    /// The engine of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.name() == name)
    }
}
