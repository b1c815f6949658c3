//! `authentication` and `auth_hmac`: what adverts are known by.

use std::os::unix::fs::MetadataExt;

use super::items::Item;
use super::values;
use super::*;
use crate::config::problem::Level;
use crate::config::text::Word;
use crate::vrrp::Spec;
use crate::vrrp::proof::Proof;
use crate::vrrp::proof::trailer::{KEY_LENGTHS, Key, Mode, Trailer};
use crate::vrrp::spec::Version;

impl Builder<'_> {
    pub(super) fn proof(&mut self, items: &[Item<'_>], spec: &mut Spec, strict: bool) {
        let find = |name: &str| items.iter().find(|item| item.name == name);
        let authentication = find("authentication");
        if let Some(block) = find("auth_hmac") {
            if let Some(other) = authentication {
                self.reports.warning(other.span(), "`authentication` beside `auth_hmac`; ignored", "");
            }
            spec.proof = self.trailer(block, spec.interval, strict).map_or(Proof::None, Proof::Trailer);
        } else if let Some(block) = authentication {
            self.password(block, spec, strict);
        }
    }

    fn password(&mut self, block: &Item<'_>, spec: &mut Spec, strict: bool) {
        let inner = self.items(Block::Authentication, block.body());
        let find = |name: &str| inner.iter().find(|item| item.name == name);
        if spec.version == Version::V3 {
            return self.reports.warning(block.span(), "version 3 has no authentication; ignored", "see `auth_hmac`");
        }
        if strict {
            return self.reports.warning(block.span(), "strict mode has no authentication; ignored", "");
        }
        let Some(pass) = find("auth_pass") else {
            return self.reports.warning(block.span(), "`authentication` without `auth_pass`; ignored", "");
        };
        let text = pass.text().unwrap_or_default().as_bytes();
        if text.len() > 8 {
            self.reports.warning(pass.words()[0].span, "only the first 8 characters of `auth_pass` count", "");
        }
        let password = std::array::from_fn(|at| text.get(at).copied().unwrap_or(0));
        let header = find("auth_type").and_then(Item::text) == Some("AH");
        spec.proof = if header { Proof::Header(password) } else { Proof::Password(password) };
    }

    /// Without its keys an instance would go unprotected: what is wrong with them is an error.
    fn trailer(&mut self, block: &Item<'_>, interval: Duration, strict: bool) -> Option<Trailer> {
        let items = self.items(Block::AuthHmac, block.body());
        let find = |name: &str| items.iter().find(|item| item.name == name);
        let mut keys: Vec<(u8, Key)> = Vec::new();
        for item in items.iter().filter(|item| item.name == "key") {
            let Some((number, key)) = self.key(item) else { continue };
            if keys.iter().any(|(other, _)| *other == number) {
                self.reports.error(item.words()[0].span, format!("there is a key {number} already"), "");
            }
            keys.push((number, key));
        }
        let active = find("active_key").and_then(Item::number).unwrap_or_default();
        if !keys.iter().any(|(number, _)| *number == active) {
            let span = find("active_key").map_or(block.span(), |item| item.statement.span());
            self.reports.error(span, "`auth_hmac` has no key to send with", "`active_key` is the number of a `key`");
            return None;
        }
        let mode = match find("mode").and_then(Item::text) {
            Some("permissive") => Mode::Permissive,
            Some("receive-only") => Mode::ReceiveOnly,
            _ => Mode::Enforce,
        };
        if let Some(item) = find("mode").filter(|_| strict && mode != Mode::Enforce) {
            self.reports.warning(item.span(), "strict mode means `mode enforce`", "");
        }
        let derived = (3 * interval.as_secs() as u32).clamp(5, 300);
        let window = find("time_window").and_then(Item::number).unwrap_or(derived);
        let timed = find("anti_replay").and_then(Item::text) != Some("monotonic");
        let mode = if strict { Mode::Enforce } else { mode };
        Some(Trailer { keys, active, mode, window: timed.then_some(window) })
    }

    /// `key NUMBER TEXT`, `key NUMBER hex:DIGITS` or `key NUMBER file:PATH`.
    fn key(&mut self, item: &Item<'_>) -> Option<(u8, Key)> {
        let [number, value, ..] = item.words() else {
            self.reports.error(item.span(), "`key` needs a number and a value", "");
            return None;
        };
        let number = match values::number(number, 1, 255) {
            // At most 255.
            Ok(number) => number as u8,
            Err(fault) => {
                self.fault(Level::Error, "key", number.span, fault);
                return None;
            }
        };
        let key = match value.text.strip_prefix("file:") {
            Some(path) => self.key_file(path, value)?,
            None => value.text.clone(),
        };
        let bytes = match key.strip_prefix("hex:") {
            Some(digits) => from_hex(digits),
            None => Some(key.into_bytes()),
        };
        match bytes.filter(|bytes| KEY_LENGTHS.contains(&bytes.len())) {
            Some(bytes) => Some((number, Key(bytes))),
            None => {
                let (from, to) = (KEY_LENGTHS.start(), KEY_LENGTHS.end());
                let message =
                    format!("a key has {from} to {to} bytes: as many characters, or twice as many hexadecimal digits");
                self.reports.error(value.span, message, "for example what `openssl rand -hex 32` prints, after `hex:`");
                None
            }
        }
    }

    /// What stands in a file that holds a key.
    fn key_file(&mut self, path: &str, word: &Word) -> Option<String> {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                const OTHERS: u32 = 0o077;
                if std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & OTHERS != 0) {
                    self.reports.warning(word.span, format!("others can read the key in {path}"), "chmod 600");
                }
                Some(text.trim_end_matches(['\n', '\r']).to_owned())
            }
            Err(error) => {
                self.reports.error(word.span, format!("cannot read the key in {path}: {error}"), "");
                None
            }
        }
    }
}

/// Bytes from pairs of digits.
fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok())
        .collect()
}
