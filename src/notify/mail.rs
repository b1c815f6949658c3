//! Mails about roles: what they say, and how it is told to a mail server (RFC 5321, RFC 5322).

use std::time::Duration;

use crate::vrrp::Role;

/// The mail server, and who writes to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// `smtp_server`: an address or a name.
    pub server: String,
    /// And its port.
    pub port: u16,
    /// `smtp_connect_timeout`: how long each answer may take.
    pub patience: Duration,
    /// `smtp_helo_name`; the host's name if the file gives none.
    pub helo: Option<String>,
    /// `notification_email_from`: perhaps with a name before the address in angle brackets.
    pub from: Option<String>,
    /// `notification_email`: the same, of each receiver.
    pub to: Vec<String>,
    /// `no_email_faults`: none about faults.
    pub no_faults: bool,
}

/// A mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its subject, without the director's name.
    pub subject: String,
    /// Its text.
    pub body: &'static str,
    /// The role that it is about.
    pub role: Role,
}

/// A line of the dialogue with a mail server, and the answer that is expected to it, as RFC 5321 4.2.1 numbers them.
pub type Step = (String, u16);

/// The answer by which a server says that it is there.
pub const GREETING: u16 = 220;

impl Post {
    /// All that is to be said after the server's greeting. `host` is this host's name, `wall` the time since 1970.
    pub fn dialogue(&self, mail: &Mail, router_id: &str, host: &str, wall: Duration) -> Vec<Step> {
        let from = self.from.clone().unwrap_or_else(|| format!("keepalived@{host}"));
        let helo = self.helo.as_deref().unwrap_or(host);
        let mut steps =
            vec![(format!("HELO {}\r\n", one_line(helo)), 250), (format!("MAIL FROM:<{}>\r\n", address(&from)), 250)];
        steps.extend(self.to.iter().map(|to| (format!("RCPT TO:<{}>\r\n", address(to)), 250)));
        steps.push(("DATA\r\n".to_owned(), 354));
        let to = self.to.iter().map(|to| one_line(to)).collect::<Vec<_>>().join(",\r\n ");
        let text = format!(
            "Date: {}\r\nFrom: {}\r\nSubject: [{}] {}\r\nX-Mailer: Ringmaster\r\nTo: {to}\r\n\r\n{}\r\n.\r\n",
            date(wall),
            one_line(&from),
            one_line(router_id),
            one_line(&mail.subject),
            mail.body
        );
        steps.push((text, 250));
        steps.push(("QUIT\r\n".to_owned(), 221));
        steps
    }
}

/// The address of `Name <address>`.
fn address(text: &str) -> String {
    let inner = text.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(text, |(inner, _)| inner);
    one_line(inner.trim())
}

/// A name must not begin another line of the dialogue.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// As RFC 5322 3.3 writes a time.
fn date(wall: Duration) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, seconds) = (wall.as_secs() / 86_400, wall.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let (weekday, month) = (DAYS[(days % 7) as usize], MONTHS[month as usize]);
    format!("{weekday}, {day:02} {month} {year} {hours:02}:{minutes:02}:{:02} +0000", seconds % 60)
}

/// Year, month from 0, and day of the month, of a number of days since 1970 began.
fn civil(days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(leap(year)) {
        left -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= lengths[month] {
        left -= lengths[month];
        month += 1;
    }
    (year, month as u64, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dialogue_is_that_of_rfc_5321_and_the_text_keepalived_s() {
        let post = Post {
            server: "192.0.2.25".into(),
            port: 25,
            patience: Duration::from_secs(30),
            helo: None,
            from: Some("The director <lvs@example.com>".into()),
            to: vec!["one@example.com".into(), "Two <two@example.com>\r\nRCPT TO:<x>".into()],
            no_faults: false,
        };
        let mail = Mail {
            subject: "VRRP Instance VI_1 - Entering MASTER state".into(),
            body: "=> VRRP Instance is now owning VRRP VIPs <=",
            role: Role::Master,
        };
        let said = post.dialogue(&mail, "LVS_1", "host", Duration::from_secs(1_795_276_800));
        let text = "Date: Sat, 21 Nov 2026 16:00:00 +0000\r\nFrom: The director <lvs@example.com>\r\n\
                    Subject: [LVS_1] VRRP Instance VI_1 - Entering MASTER state\r\nX-Mailer: Ringmaster\r\n\
                    To: one@example.com,\r\n Two <two@example.com>  RCPT TO:<x>\r\n\r\n\
                    => VRRP Instance is now owning VRRP VIPs <=\r\n.\r\n";
        let expected = [
            ("HELO host\r\n", 250),
            ("MAIL FROM:<lvs@example.com>\r\n", 250),
            ("RCPT TO:<one@example.com>\r\n", 250),
            ("RCPT TO:<two@example.com>\r\n", 250),
            ("DATA\r\n", 354),
            (text, 250),
            ("QUIT\r\n", 221),
        ];
        assert_eq!(said, expected.map(|(text, answer)| (text.to_owned(), answer)));
    }

    #[test]
    fn dates_know_leap_years() {
        for (seconds, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 +0000"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 +0000"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 +0000"),
        ] {
            assert_eq!(date(Duration::from_secs(seconds)), expected);
        }
    }
}
