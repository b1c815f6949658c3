//! Mails: `smtp_server`, `notification_email` and what belongs to them.

use super::items::Item;
use super::values;
use super::*;
use crate::config::problem::Level;
use crate::notify::mail::Post;

/// SMTP's.
const PORT: u16 = 25;
/// keepalived's default of `smtp_connect_timeout`.
const PATIENCE: Duration = Duration::from_secs(30);

impl Builder<'_> {
    /// Where mails go, if there is a server, and somebody to write to.
    pub(super) fn post(&mut self, items: &[Item<'_>]) -> Option<Post> {
        let find = |name: &str| items.iter().find(|item| item.name == name);
        let text = |name: &str| find(name).and_then(Item::text).map(str::to_owned);
        let lines = items.iter().filter(|item| item.name == "notification_email").flat_map(Item::body);
        let to: Vec<String> = lines.flat_map(|line| &line.words).map(|word| word.text.clone()).collect();
        let item = find("smtp_server")?;
        let (server, rest) = item.words().split_first()?;
        let port = rest.first().and_then(|word| match values::number(word, 1, 65535) {
            // At most 65535.
            Ok(port) => Some(port as u16),
            Err(fault) => {
                self.fault(Level::Warning, item.name, word.span, fault);
                None
            }
        });
        let post = Post {
            server: server.text.clone(),
            port: port.unwrap_or(PORT),
            patience: find("smtp_connect_timeout").and_then(Item::seconds).unwrap_or(PATIENCE),
            helo: text("smtp_helo_name"),
            from: text("notification_email_from"),
            to,
            no_faults: find("no_email_faults").is_some(),
        };
        (!post.to.is_empty()).then_some(post)
    }
}
