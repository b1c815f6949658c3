//! The instances of a configuration, ready to begin: all that may be refused is done, and nothing has happened yet.

use std::time::Duration;

use super::ElectionError;
use super::interfaces::Interfaces;
use super::wire::Wire;
use crate::config::Config;
use crate::config::model::{VirtualAddress, VrrpInstance};
use crate::sys::clock;
use crate::vrrp::announce::Site;
use crate::vrrp::{Entry, Influence, Spec, Standing};

/// See the module documentation.
#[derive(Debug)]
pub struct Plan {
    pub(super) entries: Vec<Entry>,
    /// The numbers of instances that move together.
    pub(super) groups: Vec<Vec<usize>>,
    /// What each instance announces when it is master.
    pub(super) sites: Vec<Vec<Site>>,
    /// Sockets that instances of before did not need.
    pub(super) wire: Wire,
    /// When the first instances may take part.
    pub(super) not_before: Duration,
}

impl Plan {
    /// Opens what the instances of a configuration need beyond those of `before`. Those that are in neither go on with what
    /// `standing` knows of them.
    pub fn new(
        config: &Config,
        before: &[&Spec],
        standing: impl Fn(&Spec) -> Option<Standing>,
    ) -> Result<Self, ElectionError> {
        let system = |what| move |source| ElectionError::System { what, source };
        let interfaces = Interfaces::connect().map_err(system("follow interfaces"))?;
        if !config.global.dynamic_interfaces {
            check_devices(config, &interfaces)?;
        }
        let specs = || config.instances.iter().map(|instance| &instance.election);
        let served = |spec: &&Spec| {
            before.iter().any(|other| (&other.interface, other.family) == (&spec.interface, spec.family))
        };
        let mut wire = Wire::open().map_err(system("open sockets"))?;
        wire.follow(specs().filter(|spec| !served(spec)), interfaces.facts()).map_err(system("open sockets"))?;
        let entry = |spec: &Spec| Entry { standing: standing(spec), ..Entry::new(spec.clone()) };
        let delay = Some(config.global.startup_delay).filter(|delay| *delay > Duration::ZERO);
        let delay = delay.map(|delay| clock::now() + delay);
        Ok(Self {
            entries: specs().map(entry).collect(),
            groups: config.groups.iter().map(|group| group.members.clone()).collect(),
            sites: config.instances.iter().map(|instance| sites(config, instance)).collect(),
            wire,
            not_before: delay.unwrap_or_default().max(config.global.boot_delay),
        })
    }

    /// With what trackers say to each instance.
    pub fn influenced(mut self, influences: Vec<Vec<Influence>>) -> Self {
        for (entry, influences) in self.entries.iter_mut().zip(influences) {
            entry.influences = influences;
        }
        self
    }
}

fn sites(config: &Config, instance: &VrrpInstance) -> Vec<Site> {
    instance.addresses.iter().map(|address| site(config, instance, address)).collect()
}

fn site(config: &Config, instance: &VrrpInstance, address: &VirtualAddress) -> Site {
    let (how, port) = (instance.election.announcing, config.port_of(&address.device));
    let group = config.garp_groups.iter().find(|group| group.interfaces.iter().any(|interface| interface == port));
    let gaps = group.map_or([how.arp_gap, how.na_gap], |group| [group.arp_gap, group.na_gap]);
    Site {
        address: address.address.into(),
        device: address.device.clone(),
        pace: group.map_or(port, |group| &group.interfaces[0]).to_owned(),
        gap: gaps[usize::from(address.address.is_ipv6())],
        extra: address.device != instance.device && (how.extra_all || port != address.device),
    }
}

fn check_devices(config: &Config, interfaces: &Interfaces) -> Result<(), ElectionError> {
    for instance in &config.instances {
        let own = std::iter::once(instance.election.interface.as_str());
        let missing = own
            .chain(instance.addresses.iter().map(|address| config.port_of(&address.device)))
            .find(|device| interfaces.facts().link_named(device).is_none());
        if let Some(device) = missing {
            let (device, instance) = (device.to_owned(), instance.election.name.clone());
            return Err(ElectionError::NoDevice { device, instance });
        }
    }
    Ok(())
}
