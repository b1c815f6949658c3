//! `ringmaster vrrp`: the instances of VRRP and their roles.

use std::io::{self, Write};
use std::process::ExitCode;

use super::client::{self, PartArgs};
use super::grid::grid;
use super::status::duration;
use crate::control::view::RoleView;

/// Show the roles of VRRP instances: who is master, since when, what was sent and heard
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    part: PartArgs,
}

/// Prints them.
pub fn run(args: &Args) -> ExitCode {
    client::show_part(&args.part, |status| status.roles, table)
}

fn table(out: &mut impl Write, roles: &[RoleView]) -> io::Result<()> {
    let head = ["Instance", "State", "Priority", "For", "Master", "Sent", "Heard", "Refused", "Interface", "VRID"];
    grid(out, head, roles.iter().map(row))?;
    for role in roles.iter().filter(|role| role.split_brain) {
        writeln!(out, "{}: SPLIT BRAIN, another master does not give way", role.name)?;
    }
    Ok(())
}

fn row(role: &RoleView) -> [String; 10] {
    let count = |name: &str| role.counters.get(name).copied().unwrap_or_default();
    let refused: u64 =
        role.counters.iter().filter(|(name, _)| name.starts_with("rejected-")).map(|(_, count)| count).sum();
    let priority = match role.priority {
        same if same == role.base_priority => same.to_string(),
        moved => format!("{moved} ({})", role.base_priority),
    };
    [
        role.name.clone(),
        role.state.clone(),
        priority,
        duration(role.seconds),
        role.master.map_or_else(|| "-".to_owned(), |master| master.to_string()),
        count("adverts-sent").to_string(),
        count("adverts-received").to_string(),
        refused.to_string(),
        role.interface.clone(),
        role.router.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_a_table() {
        let counters = [("adverts-sent", 12), ("adverts-received", 3), ("rejected-ttl", 2), ("rejected-checksum", 5)];
        let role = RoleView {
            name: "VI_1".into(),
            interface: "eth0".into(),
            router: 51,
            version: 2,
            state: "MASTER".into(),
            seconds: 250,
            priority: 80,
            base_priority: 100,
            master: Some([192, 0, 2, 11].into()),
            split_brain: true,
            counters: counters.map(|(name, count)| (name.to_owned(), count)).into(),
        };
        let other = RoleView {
            name: "LONGER".into(),
            state: "FAULT".into(),
            base_priority: 80,
            master: None,
            split_brain: false,
            ..role.clone()
        };
        let mut text = Vec::new();
        table(&mut text, &[role, other]).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "\
Instance  State   Priority  For       Master      Sent  Heard  Refused  Interface  VRID
VI_1      MASTER  80 (100)  00:04:10  192.0.2.11  12    3      7        eth0       51
LONGER    FAULT   80        00:04:10  -           12    3      7        eth0       51
VI_1: SPLIT BRAIN, another master does not give way
"
        );
    }
}
