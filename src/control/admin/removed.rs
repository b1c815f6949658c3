//! What changes have removed since the last plan.

use std::collections::BTreeSet;

use super::Change;
use super::model::key_of;
use crate::wire::{Endpoint, ServiceKey};

/// Names of services and servers that were removed, and that no plan has missed yet.
///
/// Whoever comes back comes back as new, with counters at 0; so there must be a plan between going and coming. A thousand
/// removals need none between them.
#[derive(Debug, Default)]
pub struct Removed {
    everything: bool,
    /// A service by its key alone, a server by that and its address.
    names: BTreeSet<(ServiceKey, Option<Endpoint>)>,
}

impl Removed {
    /// Takes in a change that was carried out.
    pub fn note(&mut self, change: &Change) {
        self.everything |= matches!(change, Change::Clear);
        if matches!(change, Change::DeleteService(_) | Change::DeleteServer { .. }) {
            self.names.extend(subject(change));
        }
    }

    /// Whether this change adds what was removed.
    pub fn comes_back(&self, change: &Change) -> bool {
        matches!(change, Change::AddService(_) | Change::AddServer { .. })
            && (self.everything || subject(change).is_some_and(|name| self.names.contains(&name)))
    }
}

/// Whom a change to one service or server is about.
fn subject(change: &Change) -> Option<(ServiceKey, Option<Endpoint>)> {
    let (service, server) = match change {
        Change::AddService(spec) | Change::EditService(spec) => (&spec.name, None),
        Change::DeleteService(name) => (name, None),
        Change::AddServer { service, server } | Change::EditServer { service, server } => {
            (service, Some(server.address))
        }
        Change::DeleteServer { service, address } => (service, Some(*address)),
        Change::Clear | Change::Zero(_) | Change::SetTimeouts { .. } => return None,
    };
    Some((key_of(service).ok()?, server.map(Endpoint::from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(text: &str) -> Change {
        serde_json::from_str(text).unwrap()
    }

    const SERVICE: &str = r#""protocol":"tcp","address":"10.0.0.1:80""#;

    fn server(verb: &str, address: &str) -> Change {
        let rest = match verb {
            "delete-server" => format!(r#""address":"{address}""#),
            _ => format!(r#""server":{{"address":"{address}","weight":1,"method":"nat"}}"#),
        };
        change(&format!(r#"{{"{verb}":{{"service":{{{SERVICE}}},{rest}}}}}"#))
    }

    #[test]
    fn only_what_was_removed_comes_back() {
        let mut removed = Removed::default();
        let back = server("add-server", "10.0.0.2:80");
        assert!(!removed.comes_back(&back));
        removed.note(&server("delete-server", "10.0.0.2:80"));
        assert!(removed.comes_back(&back));
        assert!(!removed.comes_back(&server("add-server", "10.0.0.3:80")));
        assert!(!removed.comes_back(&server("edit-server", "10.0.0.2:80")));

        let again = change(&format!(r#"{{"add-service":{{{SERVICE},"scheduler":"rr"}}}}"#));
        assert!(!removed.comes_back(&again));
        removed.note(&change(&format!(r#"{{"delete-service":{{{SERVICE}}}}}"#)));
        assert!(removed.comes_back(&again));
    }

    #[test]
    fn after_a_clearing_everything_that_comes_may_have_been_there() {
        let mut removed = Removed::default();
        removed.note(&change(r#""clear""#));
        assert!(removed.comes_back(&server("add-server", "10.0.0.2:80")));
        assert!(!removed.comes_back(&server("delete-server", "10.0.0.2:80")));
    }
}
