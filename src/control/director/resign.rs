//! Giving up what nobody can go on with: the goodbye of a director that died and cannot be followed, for now or at all.
//!
//! Backups take over within their skew instead of waiting for three adverts that do not come, and find the addresses free.
//! What the director held stays held; only its roles are forgotten.

use super::DirectorError;
use super::roles::Roles;
use super::takeover;
use crate::config::Config;
use crate::control::keeper::{Estate, Gift, Keeper};
use crate::control::kernel::{KernelError, VirtualAddresses, VirtualMacs};
use crate::control::vrrp::{Legacy, Record};
use crate::supervisor::Channel;

/// Says goodbye for all instances that the last director was master of, and takes its addresses, routes and rules away. Ends
/// when that is done.
pub async fn resign(config: Config, supervisor: Channel) -> Result<(), DirectorError> {
    let failed = |source| DirectorError::System { what: "get from the supervisor what it holds", source };
    let mut keeper = Keeper::new(Some(supervisor)).map_err(failed)?;
    let mut estate = Estate::default();
    keeper.prepared().map_err(failed)?;
    while keeper.receive(&mut estate).await.map_err(failed)? != Gift::Begin {}
    let roles = Roles::new(&config, takeover::elections(&mut estate), Vec::new());
    let masters = roles.masters();
    if masters.is_empty() {
        return Ok(());
    }
    let said = roles.say_goodbye(&config).await;
    let (connection, handle, _) = rtnetlink::new_connection().map_err(KernelError::Open)?;
    tokio::spawn(connection);
    roles.remove_paths(&handle).await;
    let socket = &config.settings.socket;
    VirtualAddresses::load(VirtualAddresses::record_beside(socket))?.clear(&handle).await?;
    VirtualMacs::load(socket, config.virtual_macs.clone())?.clear(&handle).await?;
    tracing::warn!("gave up {}: backups take over", masters.join(", "));
    // Nobody goes on with them.
    let record = Record::new(&Legacy::default());
    let record = record.map_err(|source| DirectorError::System { what: "keep a record of elections", source })?;
    takeover::hold_elections(&mut keeper, &record);
    said
}
