//! From events of the elections to programs and lines.
//!
//! Observed of keepalived 2.2.7: an instance comes before its group; the program of the role comes before `notify`, which
//! gets four more arguments, and then the line is written; a group's priority is 0; when all end, the groups come last.
//! keepalived starts these programs side by side, so that they may overtake each other; here the order is a promise.

use crate::program::Program;
use crate::vrrp::{Cause, Event, Happening, Role};

use super::mail::Mail;
use super::spec::Hooks;

/// Something to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Run this program.
    Run {
        /// The program.
        program: Program,
        /// Arguments after its own.
        added: Vec<String>,
    },
    /// Write this line to every pipe; without the newline.
    Line(String),
    /// Send this mail.
    Mail(Mail),
}

/// Who is told what; see the module documentation.
#[derive(Debug)]
pub struct Herald {
    instances: Vec<Subject>,
    groups: Vec<(Subject, Vec<usize>)>,
}

#[derive(Debug)]
struct Subject {
    kind: &'static str,
    name: String,
    hooks: Hooks,
    role: Option<Role>,
    /// The effective one; 0 for groups.
    priority: u8,
}

impl Herald {
    /// Without anybody.
    pub fn new() -> Self {
        Self { instances: Vec::new(), groups: Vec::new() }
    }

    /// Takes over the roles that another herald has told of, so that only what changes is told. `was` gives the number that
    /// an instance had there; groups go by their names.
    pub fn goes_on(&mut self, before: &Herald, was: impl Fn(usize) -> Option<usize>) {
        for (number, instance) in self.instances.iter_mut().enumerate() {
            if let Some(other) = was(number).and_then(|number| before.instances.get(number)) {
                (instance.role, instance.priority) = (other.role, other.priority);
            }
        }
        for (group, _) in &mut self.groups {
            let same = before.groups.iter().find(|(other, _)| other.name == group.name);
            group.role = same.and_then(|(other, _)| other.role);
        }
    }

    /// Adds the next instance, with its priority.
    pub fn instance(&mut self, name: &str, hooks: &Hooks, priority: u8) {
        self.instances.push(Subject::new("INSTANCE", name, hooks, priority));
    }

    /// Adds a group of instances, by their places.
    pub fn group(&mut self, name: &str, hooks: &Hooks, members: &[usize]) {
        self.groups.push((Subject::new("GROUP", name, hooks, 0), members.to_vec()));
    }

    /// Takes an event in and says what follows.
    pub fn hear(&mut self, event: &Event) -> Vec<Notice> {
        let instance = &mut self.instances[event.instance];
        match event.what {
            Happening::Role { to, priority, cause, .. } => {
                instance.priority = priority;
                let mut notices = if cause == Cause::Removed { instance.is_deleted() } else { instance.enters(to) };
                notices.extend(self.groups_after(event.instance, to));
                notices
            }
            Happening::Priority(priority) => {
                instance.priority = priority;
                instance.tells_priority()
            }
            Happening::Lower(..) => instance.hears_lower(),
            Happening::Deaf { .. }
            | Happening::SplitBrain(_)
            | Happening::Healed(_)
            | Happening::Mismatch(_)
            | Happening::Stalled(_) => Vec::new(),
        }
    }

    /// The roles as they are, in lines: of groups first, as keepalived tells them after a reload.
    pub fn standing(&self) -> Vec<String> {
        let everybody = self.groups.iter().map(|(group, _)| group).chain(&self.instances);
        everybody.filter_map(|subject| subject.role.map(|role| subject.words(role.name()))).collect()
    }

    /// A group has a role when all its members have it.
    fn groups_after(&mut self, instance: usize, to: Role) -> Vec<Notice> {
        let Self { instances, groups } = self;
        let stopping = to == Role::Stopped;
        let everybody = instances.iter().all(|instance| instance.role == Some(to));
        let mut notices = Vec::new();
        for (group, members) in groups {
            let agreed = members.iter().all(|&member| instances[member].role == Some(to));
            let due = if stopping { everybody } else { members.contains(&instance) && agreed };
            if due && group.role != Some(to) {
                notices.extend(group.enters(to));
            }
        }
        notices
    }
}

impl Default for Herald {
    fn default() -> Self {
        Self::new()
    }
}

impl Subject {
    fn new(kind: &'static str, name: &str, hooks: &Hooks, priority: u8) -> Self {
        Self { kind, name: name.to_owned(), hooks: hooks.clone(), role: None, priority }
    }

    fn enters(&mut self, role: Role) -> Vec<Notice> {
        self.role = Some(role);
        let own = match role {
            Role::Master => &self.hooks.master,
            Role::Backup => &self.hooks.backup,
            Role::Fault => &self.hooks.fault,
            Role::Stopped => &self.hooks.stop,
        };
        self.tell(own, role.name(), role)
    }

    /// As keepalived tells it: not by `notify_fault`, though `notify` hears of a FAULT.
    fn is_deleted(&mut self) -> Vec<Notice> {
        self.role = Some(Role::Stopped);
        let word = if self.hooks.tells_deleted { "DELETED" } else { Role::Fault.name() };
        self.tell(&self.hooks.deleted, word, Role::Stopped)
    }

    /// Its own program for this, then whoever is told of everything.
    fn tell(&self, own: &Option<Program>, word: &str, role: Role) -> Vec<Notice> {
        let words = [self.kind, &self.name, word, &self.priority.to_string()].map(str::to_owned);
        let own = own.iter().map(|program| Notice::Run { program: program.clone(), added: Vec::new() });
        let any = self.hooks.any.iter().map(|program| Notice::Run { program: program.clone(), added: words.to_vec() });
        own.chain(any).chain([self.line(word)]).chain(self.mail(role).map(Notice::Mail)).collect()
    }

    /// In the words of keepalived.
    fn mail(&self, role: Role) -> Option<Mail> {
        let group = self.kind == "GROUP";
        let what = if group { "Group" } else { "Instance" };
        let (title, body) = match role {
            Role::Master if group => {
                ("Entering MASTER state", "=> All VRRP group instances are now in MASTER state <=")
            }
            Role::Backup if group => {
                ("Entering BACKUP state", "=> All VRRP group instances are now in BACKUP state <=")
            }
            Role::Fault if group => ("Entering FAULT state", "=> All VRRP group instances are now in FAULT state <="),
            Role::Stopped if group => ("Stopping", "=> All VRRP group instances are now stopping <="),
            Role::Master => ("Entering MASTER state", "=> VRRP Instance is now owning VRRP VIPs <="),
            Role::Backup => ("Entering BACKUP state", "=> VRRP Instance is no longer owning VRRP VIPs <="),
            Role::Fault => ("Entering FAULT state", "=> VRRP Instance is no longer owning VRRP VIPs <="),
            Role::Stopped => ("Stopping", "=> VRRP Instance stopping <="),
        };
        let subject = format!("VRRP {what} {} - {title}", self.name);
        self.hooks.mail.then_some(Mail { subject, body, role })
    }

    fn tells_priority(&self) -> Vec<Notice> {
        let word = match self.role {
            Some(Role::Master) => "MASTER_PRIORITY",
            Some(Role::Backup) => "BACKUP_PRIORITY",
            Some(Role::Fault | Role::Stopped) | None => return Vec::new(),
        };
        if self.hooks.priorities { vec![self.line(word)] } else { Vec::new() }
    }

    fn hears_lower(&self) -> Vec<Notice> {
        let run = self.hooks.lower.iter().map(|program| Notice::Run { program: program.clone(), added: Vec::new() });
        run.chain([self.line("MASTER_RX_LOWER_PRI")]).collect()
    }

    fn line(&self, word: &str) -> Notice {
        Notice::Line(self.words(word))
    }

    fn words(&self, word: &str) -> String {
        format!("{} \"{}\" {word} {}", self.kind, self.name, self.priority)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::vrrp::Cause;
    use crate::wire::Addr;

    fn hooks(prefix: &str) -> Hooks {
        let program = |word: &str| Program::parse(&format!("{prefix}{word}"));
        Hooks {
            master: program("master a"),
            backup: program("backup"),
            fault: program("fault"),
            stop: program("stop"),
            deleted: program("deleted"),
            tells_deleted: false,
            lower: program("lower"),
            any: program("any extra"),
            mail: false,
            priorities: true,
        }
    }

    #[test]
    fn mails_say_what_those_of_keepalived_say() {
        let mut herald = Herald::new();
        let hooks = Hooks { mail: true, ..Hooks::default() };
        herald.instance("VI_1", &hooks, 100);
        herald.group("G", &hooks, &[0]);
        for (to, instance, group) in [
            (
                Role::Backup,
                "Entering BACKUP state => VRRP Instance is no longer owning VRRP VIPs <=",
                "Entering BACKUP state => All VRRP group instances are now in BACKUP state <=",
            ),
            (
                Role::Master,
                "Entering MASTER state => VRRP Instance is now owning VRRP VIPs <=",
                "Entering MASTER state => All VRRP group instances are now in MASTER state <=",
            ),
            (
                Role::Fault,
                "Entering FAULT state => VRRP Instance is no longer owning VRRP VIPs <=",
                "Entering FAULT state => All VRRP group instances are now in FAULT state <=",
            ),
            (
                Role::Stopped,
                "Stopping => VRRP Instance stopping <=",
                "Stopping => All VRRP group instances are now stopping <=",
            ),
        ] {
            let mut mails = hear(&mut herald, 0, role(to, 100));
            mails.retain(|notice| notice.starts_with('@'));
            assert_eq!(mails, [format!("@ VRRP Instance VI_1 - {instance}"), format!("@ VRRP Group G - {group}")]);
        }
    }

    fn herald() -> Herald {
        let mut herald = Herald::new();
        herald.instance("VI_1", &hooks(""), 100);
        herald.instance("VI_2", &Hooks::default(), 90);
        herald.instance("alone", &Hooks::default(), 80);
        herald.group("G1", &hooks("g_"), &[0, 1]);
        herald
    }

    /// What follows from an event, one word for each.
    fn hear(herald: &mut Herald, instance: usize, what: Happening) -> Vec<String> {
        let text = |notice| match notice {
            Notice::Run { program, added } => [program.words, added].concat().join(" "),
            Notice::Line(line) => format!("| {line}"),
            Notice::Mail(mail) => format!("@ {} {}", mail.subject, mail.body),
        };
        let event = Event { at: Duration::ZERO, instance, what };
        herald.hear(&event).into_iter().map(text).collect()
    }

    fn role(to: Role, priority: u8) -> Happening {
        Happening::Role { from: Role::Fault, to, cause: Cause::Usable, priority }
    }

    #[test]
    fn words_and_order_are_those_of_keepalived() {
        let mut herald = herald();
        let lower = Happening::Lower(Addr::v4(1), 50);
        let one = ["backup", "any extra INSTANCE VI_1 BACKUP 100", "| INSTANCE \"VI_1\" BACKUP 100"];
        assert_eq!(hear(&mut herald, 0, role(Role::Backup, 100)), one);
        let rest =
            ["| INSTANCE \"VI_2\" BACKUP 90", "g_backup", "g_any extra GROUP G1 BACKUP 0", "| GROUP \"G1\" BACKUP 0"];
        assert_eq!(hear(&mut herald, 1, role(Role::Backup, 90)), rest, "a group follows its last member");
        assert_eq!(hear(&mut herald, 0, Happening::Priority(70)), ["| INSTANCE \"VI_1\" BACKUP_PRIORITY 70"]);
        assert_eq!(hear(&mut herald, 1, Happening::Priority(60)), [""; 0], "only whose file asks for it");
        hear(&mut herald, 0, role(Role::Master, 70));
        assert_eq!(hear(&mut herald, 0, Happening::Priority(75)), ["| INSTANCE \"VI_1\" MASTER_PRIORITY 75"]);
        assert_eq!(hear(&mut herald, 0, lower), ["lower", "| INSTANCE \"VI_1\" MASTER_RX_LOWER_PRI 75"]);
        assert_eq!(hear(&mut herald, 0, Happening::SplitBrain(Addr::v4(1))), [""; 0]);
        assert_eq!(hear(&mut herald, 2, role(Role::Fault, 80)), ["| INSTANCE \"alone\" FAULT 80"]);
        assert_eq!(hear(&mut herald, 2, Happening::Priority(81)), [""; 0], "nobody asks for the priority in fault");
    }

    #[test]
    fn what_is_deleted_is_told_of_as_asked_for() {
        let gone = Happening::Role { from: Role::Backup, to: Role::Stopped, cause: Cause::Removed, priority: 100 };
        for (tells_deleted, deleted, expected) in [
            (false, "", &["any extra INSTANCE VI_1 FAULT 100", "| INSTANCE \"VI_1\" FAULT 100"][..]),
            (true, "", &["any extra INSTANCE VI_1 DELETED 100", "| INSTANCE \"VI_1\" DELETED 100"]),
            (true, "gone", &["gone", "any extra INSTANCE VI_1 DELETED 100", "| INSTANCE \"VI_1\" DELETED 100"]),
        ] {
            let mut herald = Herald::new();
            let hooks = Hooks { tells_deleted, deleted: Program::parse(deleted), ..hooks("") };
            herald.instance("VI_1", &hooks, 100);
            assert_eq!(hear(&mut herald, 0, gone.clone()), expected);
        }
    }

    #[test]
    fn roles_that_are_known_can_be_told_again() {
        let mut herald = herald();
        assert_eq!(herald.standing(), [""; 0]);
        for instance in [0, 1] {
            hear(&mut herald, instance, role(Role::Backup, 70));
        }
        let lines = ["GROUP \"G1\" BACKUP 0", "INSTANCE \"VI_1\" BACKUP 70", "INSTANCE \"VI_2\" BACKUP 70"];
        assert_eq!(herald.standing(), lines);
    }

    #[test]
    fn groups_stop_last() {
        let mut herald = herald();
        assert_eq!(hear(&mut herald, 0, role(Role::Stopped, 100)).len(), 3);
        assert_eq!(hear(&mut herald, 1, role(Role::Stopped, 90)), ["| INSTANCE \"VI_2\" STOP 90"]);
        let last = ["| INSTANCE \"alone\" STOP 80", "g_stop", "g_any extra GROUP G1 STOP 0", "| GROUP \"G1\" STOP 0"];
        assert_eq!(hear(&mut herald, 2, role(Role::Stopped, 80)), last);
    }
}
