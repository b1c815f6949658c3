//! Persistence, and the end of connections and templates.

use std::net::IpAddr;

use super::services::Server;
use super::{Connection, ConnectionKey, Reference, SECOND, Template, TemplateKey, is_over};
use crate::frames::{End, Sent};

impl Reference {
    /// The server that the client is held to, or a new one to which it is held from now on.
    pub(super) fn persistent(&mut self, at: usize, sent: &Sent) -> (Option<Server>, Option<TemplateKey>) {
        let (key, (seconds, mask)) = (self.services[at].key, self.services[at].persistence.expect("asked before"));
        let masked = bits(sent.from.0) & mask;
        let known = self.templates.iter().find(|(its, template)| (its.0, its.1) == (key, masked) && !template.spent);
        if let Some((&known, template)) = known {
            let server = self.server(template.server).cloned();
            let over = is_over(self.now, template.last, template.timeout) && !self.has_children(known);
            let quiet = |server: &Server| self.settings.expire_quiescent_template && server.weight == 0;
            let good = server.filter(|server| !quiet(server) && server.method == template.method && !over);
            let template = self.templates.get_mut(&known).expect("just found");
            match good {
                Some(server) => {
                    template.last = self.now;
                    return (Some(server), Some(known));
                }
                None => template.spent = true,
            }
        }
        let Some(server) = self.schedule(at, sent) else { return (None, None) };
        self.templates_made += 1;
        let new = (key, masked, self.templates_made);
        let template = Template {
            server: (key, server.real),
            client: address(masked, key.is_v6()),
            method: server.method,
            assured: false,
            spent: false,
            last: self.now,
            timeout: u64::from(seconds) * SECOND,
        };
        self.templates.insert(new, template);
        (Some(server), Some(new))
    }

    fn has_children(&self, template: TemplateKey) -> bool {
        self.connections.values().any(|known| known.control == Some(template))
    }

    /// Ends what has no time left or no server. Where a template and the last connections behind it end in one sweep,
    /// it is not said which is looked at first: `survives` tells what was seen.
    pub fn sweep(&mut self, survives: impl Fn((End, End, End)) -> bool) {
        let orphan = |this: &Self, name| this.settings.expire_nodest_conn && this.server(name).is_none();
        let ending = |this: &Self, known: &Connection| {
            is_over(this.now, known.last, known.timeout) || orphan(this, known.server)
        };
        let ended: Vec<ConnectionKey> =
            self.connections.iter().filter(|(_, known)| ending(self, known)).map(|(key, _)| *key).collect();
        let had_children: Vec<TemplateKey> =
            self.templates.keys().filter(|&&key| self.has_children(key)).copied().collect();
        ended.iter().for_each(|key| self.end(key));
        let keys: Vec<TemplateKey> = self.templates.keys().copied().collect();
        for key in keys {
            let template = self.templates[&key].clone();
            let over = is_over(self.now, template.last, template.timeout);
            let either = had_children.contains(&key) && over && !template.spent && !orphan(self, template.server);
            let goes_on = self.has_children(key) || (either && survives(self.template_ends(&key)));
            if over && goes_on && !template.spent {
                let template = self.templates.get_mut(&key).expect("just seen");
                template.last = self.now;
                if !self.settings.template_keeps_timeout {
                    template.timeout = 60 * SECOND;
                }
            } else if (over || orphan(self, template.server)) && !goes_on {
                self.templates.remove(&key);
            }
        }
    }

    /// The next moment when something may end, after now.
    pub fn next_end(&self) -> Option<u64> {
        let connections = self.connections.values().map(Connection::ends);
        connections.chain(self.templates.values().map(Template::ends)).filter(|&end| end >= self.now).min()
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn address(bits: u128, v6: bool) -> IpAddr {
    if v6 { IpAddr::V6(bits.into()) } else { IpAddr::V4((bits as u32).into()) }
}
