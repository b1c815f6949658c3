//! From the rules that the program has to those that it should have, under traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;

use aya::Pod;
use aya::maps::{Array, HashMap, MapError};

use super::contents::{AddressKey, Contents};
use super::rules::{Hints, MarksValue, Rules};
use super::{SetupError, Steering, not_updated};

impl Steering {
    /// Makes these the rules. What stays is never absent meanwhile, and a server is never served before the addresses
    /// are known that are not to be taken from it.
    pub fn update(&mut self, rules: &Rules) -> Result<(), SetupError> {
        // The maps are read only where they are not known: after another process, or a failure half way.
        let present = match self.contents.take() {
            Some(contents) => contents,
            None => self.read_contents().map_err(|error| SetupError::general("read the steering rules", error))?,
        };
        let wanted = Contents::of(rules);
        let hints = Hints::new(rules);
        self.hint(self.hints.with(hints))?;
        self.add_all(&present, &wanted).map_err(not_updated)?;
        self.map::<HashMap<_, u32, MarksValue>>("marks").insert(0, rules.marks_value(), 0).map_err(not_updated)?;
        self.map::<Array<_, u32>>("kinds").set(0, rules.kinds(), 0).map_err(not_updated)?;
        self.remove_all(&present, &wanted).map_err(not_updated)?;
        self.hint(hints)?;
        self.contents = Some(wanted);
        Ok(())
    }

    /// What the maps hold, key by key.
    pub(super) fn read_contents(&mut self) -> Result<Contents, MapError> {
        Ok(Contents {
            vips: self.read("vips")?,
            services: self.read("services")?,
            servers: self.read("servers")?,
            server_addresses: self.read("server_addresses")?,
            tunnels: self.read("tunnels")?,
            local_addresses: self.read("local_addresses")?,
            own_addresses: self.read("own_addresses")?,
            closed_addresses: self.read("closed_addresses")?,
            local_ends: self.map::<HashMap<_, AddressKey, [u16; 2]>>("local_ends").iter().collect::<Result<_, _>>()?,
        })
    }

    fn add_all(&mut self, present: &Contents, wanted: &Contents) -> Result<(), MapError> {
        self.add("own_addresses", &present.own_addresses, &wanted.own_addresses)?;
        self.add("local_addresses", &present.local_addresses, &wanted.local_addresses)?;
        self.add_local_ends(&present.local_ends, &wanted.local_ends)?;
        self.add("server_addresses", &present.server_addresses, &wanted.server_addresses)?;
        self.add("tunnels", &present.tunnels, &wanted.tunnels)?;
        self.add("servers", &present.servers, &wanted.servers)?;
        self.add("vips", &present.vips, &wanted.vips)?;
        self.add("services", &present.services, &wanted.services)?;
        self.add("closed_addresses", &present.closed_addresses, &wanted.closed_addresses)
    }

    fn remove_all(&mut self, present: &Contents, wanted: &Contents) -> Result<(), MapError> {
        self.remove("closed_addresses", &present.closed_addresses, &wanted.closed_addresses)?;
        self.remove("services", &present.services, &wanted.services)?;
        self.remove("vips", &present.vips, &wanted.vips)?;
        self.remove("servers", &present.servers, &wanted.servers)?;
        self.remove("tunnels", &present.tunnels, &wanted.tunnels)?;
        self.remove("server_addresses", &present.server_addresses, &wanted.server_addresses)?;
        let mut local_ends = self.map::<HashMap<_, AddressKey, [u16; 2]>>("local_ends");
        let gone = present.local_ends.keys().filter(|address| !wanted.local_ends.contains_key(*address));
        gone.into_iter().try_for_each(|address| local_ends.remove(address))?;
        self.remove("local_addresses", &present.local_addresses, &wanted.local_addresses)?;
        self.remove("own_addresses", &present.own_addresses, &wanted.own_addresses)
    }

    fn add_local_ends(
        &mut self,
        present: &BTreeMap<AddressKey, [u16; 2]>,
        wanted: &BTreeMap<AddressKey, [u16; 2]>,
    ) -> Result<(), MapError> {
        let mut map = self.map::<HashMap<_, AddressKey, [u16; 2]>>("local_ends");
        let mut new = wanted.iter().filter(|(address, ports)| present.get(*address) != Some(*ports));
        new.try_for_each(|(address, ports)| map.insert(address, ports, 0))
    }

    fn hint(&mut self, hints: Hints) -> Result<(), SetupError> {
        if self.hints != hints {
            self.map::<Array<_, Hints>>("hints").set(0, hints, 0).map_err(not_updated)?;
            self.hints = hints;
        }
        Ok(())
    }

    fn read<K: Pod + Ord + Hash>(&mut self, map: &str) -> Result<BTreeSet<K>, MapError> {
        self.map::<HashMap<_, K, u8>>(map).keys().collect()
    }

    fn add<K: Pod + Ord>(&mut self, map: &str, present: &BTreeSet<K>, wanted: &BTreeSet<K>) -> Result<(), MapError> {
        let mut map = self.map::<HashMap<_, K, u8>>(map);
        wanted.difference(present).try_for_each(|key| map.insert(key, 1, 0))
    }

    fn remove<K: Pod + Ord>(&mut self, map: &str, present: &BTreeSet<K>, wanted: &BTreeSet<K>) -> Result<(), MapError> {
        let mut map = self.map::<HashMap<_, K, u8>>(map);
        present.difference(wanted).try_for_each(|key| map.remove(key))
    }
}
