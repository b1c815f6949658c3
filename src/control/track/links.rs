//! Follows interfaces: told by netlink, or asked where `linkbeat_interfaces` says so; and a change must last where
//! `interface_up_down_delays` says so. An interface that is not there is down.

use std::time::Duration;

use super::{Number, Reports, report, until};
use crate::control::vrrp::Interfaces;
use crate::sys::clock;
use crate::sys::interface::has_link;
use crate::sys::readable::Readable;
use crate::track::spec::Delays;
use crate::track::{Debounce, Reading, Spec};

/// How often an interface is asked (keepalived's `POLLING_DELAY`).
const ASK: Duration = Duration::from_secs(1);

/// An interface that something depends on.
struct Link {
    number: Number,
    name: String,
    polled: bool,
    delays: Delays,
    lasting: Option<Debounce>,
    seen: Reading,
}

/// Watches all these for ever: numbers and names of interfaces.
pub(super) async fn watch(names: Vec<(Number, String)>, spec: Spec, reports: Reports) {
    let link = |(number, name): (Number, String)| Link {
        number,
        polled: spec.polled.contains(&name),
        delays: spec.delays.get(&name).copied().unwrap_or_default(),
        name,
        lasting: None,
        seen: Reading::Unknown,
    };
    let mut links: Vec<Link> = names.into_iter().map(link).collect();
    if let Err(error) = follow(&mut links, &reports).await {
        tracing::error!("interfaces are not followed any more: {error}");
    }
}

async fn follow(links: &mut [Link], reports: &Reports) -> std::io::Result<()> {
    let mut interfaces = Interfaces::connect()?;
    let socket = Readable::new(interfaces.socket().try_clone_to_owned()?)?;
    let asks = links.iter().any(|link| link.polled);
    loop {
        let now = clock::now();
        for link in &mut *links {
            let told = interfaces.facts().link_named(&link.name).is_some_and(|fact| fact.up && fact.running);
            let up = told && (!link.polled || has_link(&link.name).unwrap_or(told));
            link.see(up, now);
            let (what, reading) = (format!("interface {}", link.name), link.reading());
            report(reports, link.number, &what, &mut link.seen, reading);
        }
        let deadline = links.iter().filter_map(|link| link.lasting.and_then(|lasting| lasting.deadline())).min();
        let next = deadline.into_iter().chain(asks.then_some(now + ASK)).min();
        tokio::select! {
            told = socket.drained(|_| interfaces.follow()) => { told??; }
            () = until(next) => {}
        }
    }
}

impl Link {
    /// What it is at first needs not last.
    fn see(&mut self, up: bool, now: Duration) {
        let lasting = self.lasting.get_or_insert(Debounce::new(up));
        let delay = if up { self.delays.up } else { self.delays.down };
        lasting.see(up, delay, now);
    }

    fn reading(&self) -> Reading {
        match self.lasting {
            Some(lasting) if lasting.is_up() => Reading::Up,
            Some(_) => Reading::Down,
            None => Reading::Unknown,
        }
    }
}
