//! `TCP_CHECK` and `HTTP_GET`.

use std::net::IpAddr;
use std::time::Duration;

use super::items::Item;
use super::server::Outer;
use super::values::{self, Fault};
use super::*;
use crate::check::{HttpGet, Probe, Spec, StatusCodes, Url};
use crate::config::text::Word;
use crate::wire::{Addr, Endpoint};

/// When and how often to check; may be said at the service, the server and the check.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timing {
    interval: Option<Duration>,
    timeout: Option<Duration>,
    retries: Option<u32>,
    retry_delay: Option<Duration>,
    warmup: Option<Duration>,
    starts_down: Option<bool>,
}

impl Timing {
    /// What the items of one block say.
    pub(super) fn of(items: &[Item<'_>]) -> Self {
        let mut timing = Self::default();
        for item in items {
            match item.name {
                "delay_loop" => timing.interval = item.seconds(),
                "connect_timeout" => timing.timeout = item.seconds(),
                "retry" | "nb_get_retry" => timing.retries = item.number(),
                "delay_before_retry" => timing.retry_delay = item.seconds(),
                "warmup" => timing.warmup = item.seconds(),
                "alpha" => timing.starts_down = Some(item.is_on()),
                _ => {}
            }
        }
        timing
    }

    /// This, and where it says nothing what the enclosing block says.
    pub(super) fn or(self, outer: Self) -> Self {
        Self {
            interval: self.interval.or(outer.interval),
            timeout: self.timeout.or(outer.timeout),
            retries: self.retries.or(outer.retries),
            retry_delay: self.retry_delay.or(outer.retry_delay),
            warmup: self.warmup.or(outer.warmup),
            starts_down: self.starts_down.or(outer.starts_down),
        }
    }

    /// With keepalived's defaults (its manual page, "checkers").
    fn spec(self, probe: Probe, target: Endpoint, bind: Option<IpAddr>) -> Spec {
        let retry_delay = match probe {
            Probe::Tcp => Duration::from_secs(1),
            Probe::Http(_) => Duration::from_secs(3),
        };
        let interval = self.interval.unwrap_or(Duration::from_secs(60));
        Spec {
            probe,
            target,
            bind,
            timeout: self.timeout.unwrap_or(Duration::from_secs(5)),
            interval,
            retries: self.retries.unwrap_or(1),
            retry_delay: self.retry_delay.unwrap_or(retry_delay),
            warmup: self.warmup.unwrap_or(interval),
            starts_down: self.starts_down.unwrap_or(false),
        }
    }
}

impl Builder<'_> {
    /// The checks of a real server; `real` is where they go unless they say otherwise.
    pub(super) fn checks(&mut self, items: &[Item<'_>], real: Endpoint, outer: &Outer<'_>) -> Vec<Spec> {
        let check = |item| self.check(item, real, outer);
        items.iter().filter_map(check).collect()
    }

    fn check(&mut self, item: &Item<'_>, real: Endpoint, outer: &Outer<'_>) -> Option<Spec> {
        let (probe, items) = match item.name {
            "TCP_CHECK" => (Probe::Tcp, self.items(Block::TcpCheck, item.body())),
            "HTTP_GET" => {
                let items = self.items(Block::HttpGet, item.body());
                (Probe::Http(self.http_get(item, &items, outer)), items)
            }
            _ => return None,
        };
        let mut target = real;
        let mut bind = None;
        for item in &items {
            match item.name {
                "connect_ip" => target.addr = item.address().map_or(target.addr, Addr::from),
                "connect_port" => target.port = item.number().unwrap_or(target.port),
                "bindto" => bind = item.address(),
                _ => {}
            }
        }
        if let Some(item) = items.iter().find(|item| item.name == "bindto")
            && bind.is_some_and(|bind| Addr::from(bind).family() != target.addr.family())
        {
            let message = format!("`bindto` is of another family than {}, which is checked", target.addr);
            self.reports.error(item.statement.span(), message, "");
        }
        if target.port == 0 {
            let message = format!("`{}` of {} has no port", item.name, target.addr);
            self.reports.error(item.span(), message, "write `connect_port`, or give the real_server a port");
        }
        Some(Timing::of(&items).or(outer.timing).spec(probe, target, bind))
    }

    fn http_get(&mut self, block: &Item<'_>, items: &[Item<'_>], outer: &Outer<'_>) -> HttpGet {
        let own_host = items.iter().filter(|item| item.name == "virtualhost").find_map(Item::text);
        let mut urls = Vec::new();
        for item in items.iter().filter(|item| item.name == "url") {
            urls.push(self.url(item));
        }
        if urls.is_empty() {
            self.reports.error(block.span(), "`HTTP_GET` has no `url`", "expected `url { path / }`");
        }
        HttpGet { urls, virtual_host: own_host.or(outer.virtual_host).map(str::to_owned) }
    }

    fn url(&mut self, block: &Item<'_>) -> Url {
        let items = self.items(Block::Url, block.body());
        let text = |name: &str| items.iter().find(|item| item.name == name).and_then(Item::text);
        match items.iter().find(|item| item.name == "path") {
            None => self.reports.error(block.span(), "`url` has no `path`", "expected `path /`"),
            Some(item) => {
                let is_path =
                    |path: &str| path.starts_with('/') && !path.contains(|c: char| c.is_ascii_control() || c == ' ');
                if text("path").is_some_and(|path| !is_path(path)) {
                    let hint = "expected a path from `/` on, without blanks";
                    self.reports.error(item.words()[0].span, "`path` cannot be asked for", hint);
                }
            }
        }
        let mut codes = Vec::new();
        for item in items.iter().filter(|item| item.name == "status_code") {
            let ranges = item.words().iter().filter_map(|word| self.or_fault(item, word, status_codes(word)));
            codes.extend(ranges);
        }
        Url {
            path: text("path").unwrap_or_default().to_owned(),
            status: if codes.is_empty() { StatusCodes::default() } else { StatusCodes(codes) },
            virtual_host: text("virtualhost").map(str::to_owned),
        }
    }
}

/// `200` or `200-299`; keepalived takes 100 to 599.
fn status_codes(word: &Word) -> Result<(u16, u16), Fault> {
    let fault = || Fault::new(&word.text, "a code or a range of codes, 100 to 599");
    let code = |text: &str| {
        let part = Word { text: text.to_owned(), span: word.span };
        // At most 599.
        values::number(&part, 100, 599).map(|code| code as u16).map_err(|_| fault())
    };
    let (from, to) = word.text.split_once('-').unwrap_or((&word.text, &word.text));
    let range = (code(from)?, code(to)?);
    if range.0 <= range.1 { Ok(range) } else { Err(fault()) }
}
