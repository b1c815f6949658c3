//! What follows `TUN` in `lvs_method`: `type ipip|gre|gue`, `port N`, and `nocsum`, `csum` or `remcsum`, in any order.

use super::items::Item;
use super::values::{self, Fault};
use super::*;
use crate::config::problem::Level;
use crate::config::text::Word;
use crate::service::{GueChecksum, Tunnel};

/// The options as they were written, each at most once.
#[derive(Default)]
struct Written<'a> {
    kind: Option<&'a Word>,
    port: Option<&'a Word>,
    checksum: Option<&'a Word>,
}

impl Builder<'_> {
    /// The kind of tunnel; `None` and an error if there is no such kind. `method` is the word `TUN`.
    pub(super) fn tunnel(&mut self, item: &Item<'_>, method: &Word, options: &[Word]) -> Option<Tunnel> {
        let written = self.tunnel_options(item, options)?;
        let Written { kind, port, checksum } = written;
        match kind.map_or("ipip", |word| word.text.as_str()) {
            "ipip" => {
                self.refuse_option(item, port, "only `type gue` has a port")?;
                self.refuse_option(item, checksum, "`type ipip` has no checksum")?;
                Some(Tunnel::Ipip)
            }
            "gre" => {
                self.refuse_option(item, port, "only `type gue` has a port")?;
                let remote = checksum.filter(|word| word.text == "remcsum");
                self.refuse_option(item, remote, "`type gre` has nocsum and csum")?;
                Some(Tunnel::Gre { checksum: checksum.is_some_and(|word| word.text == "csum") })
            }
            "gue" => {
                let Some(port) = port else {
                    let message = format!("`{}`: `type gue` needs a port", item.name);
                    self.reports.error(method.span, message, "add `port N`");
                    return None;
                };
                // The range ends at u16::MAX.
                let port = self.or_fault(item, port, values::number(port, 1, u64::from(u16::MAX)))? as u16;
                let checksum = match checksum.map(|word| word.text.as_str()) {
                    Some("csum") => GueChecksum::On,
                    Some("remcsum") => GueChecksum::Remote,
                    _ => GueChecksum::Off,
                };
                Some(Tunnel::Gue { port, checksum })
            }
            other => self.or_fault(item, kind?, Err(Fault::new(other, "ipip, gre or gue"))),
        }
    }

    fn tunnel_options<'a>(&mut self, item: &Item<'_>, options: &'a [Word]) -> Option<Written<'a>> {
        let mut written = Written::default();
        let mut words = options.iter();
        while let Some(word) = words.next() {
            let (place, value) = match word.text.as_str() {
                "type" => (&mut written.kind, words.next()),
                "port" => (&mut written.port, words.next()),
                "nocsum" | "csum" | "remcsum" => (&mut written.checksum, Some(word)),
                other => {
                    let expected = "type, port, nocsum, csum or remcsum";
                    return self.or_fault(item, word, Err(Fault::new(other, expected)));
                }
            };
            let Some(value) = value else {
                self.reports.error(word.span, format!("`{}` needs a value", word.text), "");
                return None;
            };
            if place.replace(value).is_some() {
                self.reports.error(word.span, format!("`{}` is there already", word.text), "");
                return None;
            }
        }
        Some(written)
    }

    /// An option that this kind of tunnel does not have: an error, as the kernel refuses it.
    fn refuse_option(&mut self, item: &Item<'_>, option: Option<&Word>, why: &str) -> Option<()> {
        let Some(word) = option else { return Some(()) };
        let fault = Fault { message: format!("`{}` does not fit the tunnel", word.text), hint: why.to_owned() };
        self.fault(Level::Error, item.name, word.span, fault);
        None
    }
}
