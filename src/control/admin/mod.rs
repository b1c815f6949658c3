//! Changes at run time: what `ipvsadm` asks for, carried out by the control thread.
//!
//! A change edits the list of virtual servers that was read from the configuration, and the next plan does the rest: so
//! there is one list and one way from it to the workers, whoever wrote a line of it. A change holds whole or not at all.
//! Which are refused, and with which words, is the kernel's contract (`ip_vs_ctl.c: ip_vs_genl_set_cmd`) and ipvsadm's
//! (`libipvs.c: ipvs_strerror`).

mod apply;
mod change;
mod difference;
mod model;
mod refusal;
mod removed;

pub use apply::{apply, service_id};
pub use change::{
    Change, Family, Netmask, PersistenceSpec, ServerSpec, ServiceName, ServiceSpec, TunnelChecksum, TunnelKind,
    TunnelSpec,
};
pub use difference::difference;
pub use model::name_of;
pub use refusal::Refusal;
pub use removed::Removed;
