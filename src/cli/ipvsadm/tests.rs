use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::World;
use crate::cli::client::{Ask, ClientError};
use crate::cli::names::Names;
use crate::config::Config;
use crate::control::admin::{self, Change, Refusal};
use crate::control::protocol::{self, Body, Command, Request};
use crate::control::view::{
    self, ConnectionPage, ListingView, Protocol, ServiceView, Source, Status, SyncDaemonView, SyncView,
};
use crate::control::{Ids, Ledger, plan};
use crate::service::{Loads, Network, Services};

/// Knows one host and one service.
pub(super) struct Few;

impl Names for Few {
    fn address(&self, host: &str) -> Option<Ipv4Addr> {
        (host == "host.example").then_some(Ipv4Addr::new(192, 0, 2, 99))
    }

    fn host(&self, address: IpAddr) -> Option<String> {
        (address == IpAddr::from([192, 0, 2, 99])).then(|| "host.example".to_owned())
    }

    fn port(&self, service: &str, protocol: Option<Protocol>) -> Option<u16> {
        (service == "http" && protocol.is_some()).then_some(80)
    }

    fn service(&self, port: u16, protocol: Option<Protocol>) -> Option<String> {
        (port == 80 && protocol.is_some()).then(|| "http".to_owned())
    }
}

/// A director that has everything but packets.
#[derive(Default)]
struct Desk {
    config: Config,
    ids: Ids,
    services: Services,
    daemons: Vec<SyncDaemonView>,
}

impl Source for Desk {
    fn services(&mut self) -> Vec<ServiceView> {
        view::services(&self.services, &Loads::new(1, 1), &Ledger::default())
    }

    fn connections(&self, _: u64, _: usize) -> ConnectionPage {
        ConnectionPage::default()
    }

    fn status(&mut self) -> Status {
        let options = &self.config.settings.options;
        let listing = ListingView::from(options);
        let sync = Some(SyncView { daemons: self.daemons.clone(), ..SyncView::default() });
        Status { table_size: 4096, timeouts: options.timeouts.into(), listing, sync, ..Status::default() }
    }

    fn start_daemon(&mut self, daemon: &SyncDaemonView) -> Result<(), Refusal> {
        if self.daemons.iter().any(|running| running.master == daemon.master) {
            return Err(Refusal::DaemonRuns);
        }
        self.daemons.push(daemon.clone());
        self.daemons.sort_by_key(|daemon| !daemon.master);
        Ok(())
    }

    fn stop_daemon(&mut self, master: bool) -> Result<(), Refusal> {
        let before = self.daemons.len();
        self.daemons.retain(|daemon| daemon.master != master);
        if self.daemons.len() < before { Ok(()) } else { Err(Refusal::NoDaemon) }
    }

    fn change(&mut self, changes: &[Change]) -> Vec<Option<Refusal>> {
        changes
            .iter()
            .map(|change| {
                let outcome = admin::apply(&mut self.config, change);
                self.services = plan(&self.config, |_| true, &mut self.ids, &Network::default(), Some(&self.services));
                outcome.err()
            })
            .collect()
    }
}

impl Ask for Desk {
    fn ask(&mut self, command: Command) -> Result<Body, ClientError> {
        let request = serde_json::to_vec(&Request::new(command)).unwrap();
        Ok(protocol::answer(&request, self).body)
    }
}

impl Desk {
    /// Exit code, stdout, stderr.
    fn run_words(&mut self, words: &[String], mut input: &str) -> (u8, String, String) {
        let mut bytes = std::io::Cursor::new(std::mem::take(&mut input).as_bytes());
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let mut world = World {
            program: "ipvsadm",
            director: self,
            names: &Few,
            input: &mut bytes,
            out: &mut out,
            errors: &mut errors,
        };
        let exit = world.run(words);
        (exit, String::from_utf8(out).unwrap(), String::from_utf8(errors).unwrap())
    }

    fn run(&mut self, line: &str) -> (u8, String, String) {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        self.run_words(&words, "")
    }

    /// Whatever is to hold before the lines that are tested.
    fn prepared(lines: &[&str]) -> Self {
        let mut desk = Self::default();
        for line in lines {
            assert_eq!(desk.run(line), (0, String::new(), String::new()), "{line}");
        }
        desk
    }

    fn saved(&mut self) -> String {
        self.run("-S -n").1
    }
}

const USUAL: &[&str] = &["-A -t 192.0.2.10:80 -s rr", "-a -t 192.0.2.10:80 -r 10.1.0.11:8080 -m -w 3 -x 10 -y 8"];

#[test]
fn what_is_refused_leaves_no_trace_and_has_its_words() {
    let server = "-a -t 192.0.2.10:80 -r 10.1.0.12";
    let invalid = "Invalid operation.  Possibly wrong module version, address not unicast, ...";
    let help = "Try `ipvsadm -h' or 'ipvsadm --help' for more information.";
    for (line, exit, message) in [
        ("-A -t 192.0.2.10:80", 255, "Service already exists"),
        ("-A -t 192.0.2.10:80 -s nosuch", 255, "Service already exists"),
        ("-A -t 192.0.2.10:81 -s nosuch", 255, "Scheduler or persistence engine not found"),
        ("-A -t 192.0.2.10:81 --pe nosuch", 255, "Scheduler or persistence engine not found"),
        ("-E -t 192.0.2.10:80 -s nosuch", 255, "Scheduler or persistence engine not found"),
        ("-E -t 192.0.2.10:81 -s nosuch", 255, "No such service"),
        ("-D -u 192.0.2.10:80", 255, "No such service"),
        ("-Z -t 192.0.2.10:81", 255, "No such service"),
        ("-L -n -t 192.0.2.10:81", 1, "No such service"),
        ("-a -t 192.0.2.10:81 -r 10.1.0.11", 255, "Service not defined"),
        ("-e -t 192.0.2.10:81 -r 10.1.0.11", 255, "Service not defined"),
        ("-d -t 192.0.2.10:81 -r 10.1.0.11", 255, "Service not defined"),
        ("-a -t 192.0.2.10:80 -r 10.1.0.11:8080 -m", 255, "Destination already exists"),
        ("-a -t 192.0.2.10:80 -r 10.1.0.11:8080 -m -y 1", 255, "Numerical result out of range"),
        ("-e -t 192.0.2.10:80 -r 10.1.0.11:8080", 255, "No such destination"),
        ("-d -t 192.0.2.10:80 -r 10.1.0.11", 255, "No such destination"),
        ("-d -r 10.1.0.11 -t 192.0.2.10:80", 255, "No such destination"),
        ("-a -t 192.0.2.10:80 -r 224.0.0.1", 255, invalid),
        ("-a -t 192.0.2.10:80 -r 255.255.255.255", 255, invalid),
        ("-a -t 192.0.2.10:80 -r 0.0.0.0", 255, invalid),
        ("-a -t 192.0.2.10:80 -r [fe80::1]:80 -i", 255, invalid),
        ("-a -t 192.0.2.10:80 -r [fd00::1]:80", 2, "Different address family is allowed only for tunneling servers"),
        ("--start-daemon slave", 2, "illegal start-daemon parameter specified"),
        ("--stop-daemon slave", 2, "illegal start_daemon specified"),
        ("--stop-daemon backup --syncid 9", 255, "No daemon is running"),
        ("--stop-daemon backup --syncid 256", 2, "illegal syncid specified"),
        ("--start-daemon master --mcast-group 10.0.0.1", 2, "invalid IPv4 mcast-group `10.0.0.1'"),
        ("--start-daemon", 255, help),
        ("-n", 255, help),
        ("-Q", 255, help),
        ("L", 255, help),
        ("-L -Q", 255, "-Q: unknown option"),
        ("-L -t", 255, "-t: missing argument"),
        ("-L -A", 2, "invalid option `-A'"),
        ("-Lnh", 2, "invalid option `-Lnh'"),
        ("-L x", 2, "unexpected argument x"),
        ("-C -n", 2, "Illegal 'numeric' option with the 'flush' command"),
        ("-L -c --timeout", 2, "The option 'timeout' conflicts with the 'connection' option in the 'list' command"),
        (
            "-L -t 192.0.2.10:80 -c",
            2,
            "The option 'service-address' conflicts with the 'connection' option in the 'list' command",
        ),
        ("-L -c --stats", 2, "options conflicts in the list command"),
        ("-L --daemon --persistent-conn", 2, "options conflicts in the list command"),
        ("-L -n -n", 2, "multiple 'numeric' options specified"),
        ("-S --exact", 2, "Illegal 'exact' option with the 'save' command"),
        ("-D -t 192.0.2.10:80 -s rr", 2, "Illegal 'scheduler' option with the 'delete-service' command"),
        ("-A -t 192.0.2.10:0", 2, "Zero port specified for non-persistent service"),
        ("-A -t 192.0.2.10:81 -o", 2, "One-Packet Scheduling is only for UDP virtual services"),
        ("-A -t 192.0.2.10:81 -p 0", 2, "invalid timeout value `0' specified"),
        ("-A -t 192.0.2.10:81 -p 2678401", 2, "invalid timeout value `2678401' specified"),
        ("-A -t 192.0.2.10:81 -b sh-port", 2, "incompatible scheduler flag `sh-port'"),
        ("-A -t 192.0.2.10:81 -s sh -b sh-port,what", 2, "invalid scheduler flag `what'"),
        ("-A -t [2001:db8::1]:80 -M 0", 2, "illegal ipv6 netmask specified"),
        ("-A -t [2001:db8::1]:80 -M 129", 2, "illegal ipv6 netmask specified"),
        ("-A -t 192.0.2.10:81 -M what", 2, "illegal virtual server persistent mask specified"),
        ("-A -f 0", 2, "invalid fwmark value `0' specified"),
        ("-A -6 -f 1", 2, "-6 used before -f\n"),
        ("-A -t 192.0.2.10:81 -f 1", 2, "multiple 'service-address' options specified"),
        ("-A", 2, "You need to supply the 'service-address' option for the 'add-service' command"),
        ("-a -t 192.0.2.10:80", 2, "You need to supply the 'real-server' option for the 'add-server' command"),
        ("-a -t 192.0.2.10:80 -r 80", 2, "illegal real server address[:port] specified"),
        ("--set 1 2", 2, "--set option requires 3 timeout values"),
        ("--set 1 2 3 4", 2, "unexpected argument 4"),
        ("--set 1 2 3000000", 2, "invalid timeout value `3000000' specified"),
    ] {
        let mut desk = Desk::prepared(USUAL);
        let before = desk.saved();
        assert_eq!(desk.run(line), (exit, String::new(), format!("{message}\n")), "{line}");
        assert_eq!(desk.saved(), before, "{line}");
    }
    for (options, message) in [
        ("-g -m", "multiple 'forwarding-method' options specified"),
        ("-w -1", "illegal weight specified"),
        ("-w 2147483648", "illegal weight specified"),
        ("-x -1", "illegal u_threshold specified"),
        ("-y x", "illegal l_threshold specified"),
        ("--tun-type gre", "Tunnel options conflict with forward method"),
        ("-i --tun-type vxlan", "illegal tunnel type specified"),
        ("-i --tun-type gue", "You need to supply the 'tun-port' option for the 'gue' tunnel type"),
        ("-i --tun-type gue --tun-port 0", "illegal tunnel port specified"),
        ("-i --tun-type gre --tun-port 5", "Illegal 'tun-port' option with the 'gre' tunnel type"),
        ("-i --tun-csum", "Illegal 'tun-csum' option with the 'ipip' tunnel type"),
        ("-i --tun-type gre --tun-remcsum", "Illegal 'tun-remcsum' option with the 'gre' tunnel type"),
        (
            "-i --tun-type gre --tun-csum --tun-nocsum",
            "The option 'tun-csum' conflicts with the 'tun-nocsum' option in the 'gre' tunnel type",
        ),
    ] {
        let outcome = Desk::prepared(USUAL).run(&format!("{server} {options}"));
        assert_eq!(outcome, (2, String::new(), format!("{message}\n")), "{options}");
    }
}

#[test]
fn commands_change_what_they_say_and_reset_what_they_do_not() {
    for (lines, expected) in [
        (
            &["-E -t 192.0.2.10:80"][..],
            "-A -t 192.0.2.10:80 -s wlc\n-a -t 192.0.2.10:80 -r 10.1.0.11:8080 -m -w 3 -x 10 -y 8\n",
        ),
        (
            &[
                "-E -t 192.0.2.10:80 -s sh -b sh-port,sh-fallback,sh-port -p -M 255.255.0.0",
                "-d -t 192.0.2.10:80 -r 10.1.0.11:8080",
            ],
            "-A -t 192.0.2.10:80 -s sh -p 360 -M 255.255.0.0 -b sh-fallback,sh-port\n",
        ),
        (
            &["-e -t 192.0.2.10:80 -r 10.1.0.11:8080 -m"],
            "-A -t 192.0.2.10:80 -s rr\n-a -t 192.0.2.10:80 -r 10.1.0.11:8080 -m -w 1\n",
        ),
        (
            &[
                "-a -t192.0.2.10:80 -r10.1.0.12:99",
                "-a -m -t 192.0.2.10:http -r host.example",
                "-d -t 192.0.2.10:80 -r 10.1.0.11:8080",
            ],
            "-A -t 192.0.2.10:80 -s rr\n-a -t 192.0.2.10:80 -r 10.1.0.12:80 -g -w 1\n-a -t 192.0.2.10:80 -r 192.0.2.99:80 -m -w 1\n",
        ),
        (&["-D -t 192.0.2.10:80", "-A -u [2001:db8::1]:53 -M 64 -p 5"], "-A -u [2001:db8::1]:53 -s wlc -p 5 -M 64\n"),
        (&["-C", "--set 0 5 7"], "--set 900 5 7\n"),
        (
            &[
                "-C",
                "-A -f 3 -s rr -o",
                "-a -f 3 -r 10.1.0.11 -g",
                "-A -f 4294967295 -6 -p 9 -M 64",
                "-E -f 3 -p 9 -M 255.0.255.0",
            ],
            "-A -f 3 -s wlc -p 9 -M 255.0.255.0\n-a -f 3 -r 10.1.0.11:0 -g -w 1\n-A -f 4294967295 -6 -s wlc -p 9 -M 64\n",
        ),
        (
            &[
                "-C",
                "-A -u 192.0.2.10:0 -p -M 0.0.0.0",
                "-a -u 192.0.2.10 -r 10.1.0.11 -m",
                "-A -u 192.0.2.10:53 -o -s rr",
            ],
            "-A -u 192.0.2.10:0 -s wlc -p 360 -M 0.0.0.0\n-a -u 192.0.2.10:0 -r 10.1.0.11:0 -m -w 1\n-A -u 192.0.2.10:53 -s rr -o\n",
        ),
        (
            &[
                "-C",
                "-A --sctp-service 192.0.2.10:9",
                "-a --sctp-service 192.0.2.10:9 -r 10.1.0.11 -i --tun-type gue --tun-port 6080 --tun-remcsum",
                "-a --sctp-service 192.0.2.10:9 -r [fd00::1]:9 -i --tun-type gre",
                "-a --sctp-service 192.0.2.10:9 -r 10.1.0.12 -i --tun-type gre --tun-csum",
                "-e --sctp-service 192.0.2.10:9 -r 10.1.0.12 -i",
            ],
            "-A --sctp-service 192.0.2.10:9 -s wlc\n\
             -a --sctp-service 192.0.2.10:9 -r 10.1.0.11:9 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum\n\
             -a --sctp-service 192.0.2.10:9 -r 10.1.0.12:9 -i -w 1 --tun-type ipip\n\
             -a --sctp-service 192.0.2.10:9 -r [fd00::1]:9 -i -w 1 --tun-type gre --tun-nocsum\n",
        ),
        (&["-C", "-A -t 192.0.2.10:80 -s rr -b flag-3,flag-1"], "-A -t 192.0.2.10:80 -s rr -b flag-1,flag-3\n"),
    ] {
        let mut desk = Desk::prepared(USUAL);
        for line in lines {
            assert_eq!(desk.run(line).0, 0, "{line}");
        }
        assert_eq!(desk.saved(), expected, "{lines:?}");
    }
}

#[test]
fn listings() {
    let mut desk = Desk::prepared(USUAL);
    let head = "IP Virtual Server version 1.2.1 (size=4096)\n";
    let table = "Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n";
    let service = "TCP  192.0.2.10:http rr\n  -> 10.1.0.11:8080               Masq    3      0          0         \n";
    for (line, expected) in [
        ("", format!("{head}{table}{service}")),
        ("-l", format!("{head}{table}{service}")),
        ("-Ln", format!("{head}{table}{}", service.replace("http", "80"))),
        ("--list -t 192.0.2.10:80 --numeric", format!("{table}{}", service.replace("http", "80"))),
        ("-L --timeout", "Timeout (tcp tcpfin udp): 900 120 300\n".to_owned()),
        ("-L --daemon", String::new()),
        (
            "-Lc",
            "IPVS connection entries\npro expire state       source             virtual            destination\n"
                .to_owned(),
        ),
    ] {
        assert_eq!(desk.run(line), (0, expected, String::new()), "{line}");
    }
    let (exit, text, _) = desk.run("-L -n --tun-info --rate --stats --sort");
    assert_eq!(
        (exit, text.contains("OutBytes"), text.contains("CPS")),
        (0, true, false),
        "the first of several counts"
    );
    assert!(desk.run("-h").1.contains("\n  ipvsadm -D SERVICE\n"));
    assert!(desk.run("--version").1.starts_with("ipvsadm v1.31 "));
}

#[test]
fn daemons_are_started_listed_and_stopped() {
    let mut desk = Desk::default();
    let fine = (0, String::new(), String::new());
    let given =
        "--syncid 7 --sync-maxlen 1400 --mcast-interface ens3 --mcast-group ff02::81 --mcast-port 8849 --mcast-ttl 3";
    assert_eq!(desk.run("--start-daemon backup"), fine);
    assert_eq!(desk.run(&format!("--start-daemon master {given}")), fine);
    let backup = "backup sync daemon (mcast=eth0, syncid=0, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)\n";
    let master = "master sync daemon (mcast=ens3, syncid=7, maxlen=1400, group=[ff02::81], port=8849, ttl=3)\n";
    assert_eq!(desk.run("-L --daemon"), (0, format!("{master}{backup}"), String::new()));
    assert_eq!(desk.run("--start-daemon master"), (255, String::new(), "Daemon has already run\n".to_owned()));
    assert_eq!(desk.run("--stop-daemon master"), fine);
    assert_eq!(desk.run("-L --daemon"), (0, backup.to_owned(), String::new()));
    assert_eq!(desk.run("--stop-daemon master"), (255, String::new(), "No daemon is running\n".to_owned()));
}

#[test]
fn restoring_goes_on_after_a_refusal_and_ends_at_nonsense() {
    let restore = |input: &str| {
        let mut desk = Desk::prepared(USUAL);
        let (exit, _, errors) = desk.run_words(&["-R".to_owned()], input);
        (exit, errors, desk.saved().lines().filter(|line| line.starts_with("-A")).count())
    };
    let exists: String = "Service already exists\n".to_owned();
    for (input, expected) in [
        ("", (0, String::new(), 1)),
        ("# nothing\n\n -A -u 192.0.2.1:53\nipvsadm -A -u 192.0.2.2:53", (0, String::new(), 3)),
        ("-A -t 192.0.2.10:80\n-A -t 192.0.2.1:80\n", (0, exists.clone(), 2)),
        ("-A -t 192.0.2.1:80\n-A -t 192.0.2.1:80\n", (255, exists.clone(), 2)),
        (
            "-A -t 192.0.2.1:80\n-A\n-C\n",
            (2, "You need to supply the 'service-address' option for the 'add-service' command\n".into(), 2),
        ),
        ("-R\n", (255, "Try `ipvsadm -h' or 'ipvsadm --help' for more information.\n".into(), 1)),
        // Before a listing, and at the end.
        (
            "-A -t 192.0.2.10:80\n-Ln\n-D -t 192.0.2.10:80\n-D -t 192.0.2.10:80\n",
            (255, format!("{exists}No such service\n"), 0),
        ),
    ] {
        assert_eq!(restore(input), expected, "{input:?}");
    }
    let many: String = (0..1000).map(|port| format!("-A -t 192.0.2.1:{}\n", port % 700 + 1)).collect();
    assert_eq!(restore(&many), (255, exists.repeat(300), 701));
}

#[test]
fn the_restore_program_takes_all_lines_or_none() {
    let restore = |input: &str| {
        let mut desk = Desk::prepared(USUAL);
        let mut errors = Vec::new();
        let mut world = World {
            program: "ipvsadm-restore",
            director: &mut desk,
            names: &Few,
            input: &mut std::io::Cursor::new(input.as_bytes()),
            out: &mut Vec::new(),
            errors: &mut errors,
        };
        let exit = super::restore::restore_program(&mut world);
        (exit, desk.saved(), String::from_utf8(errors).unwrap())
    };
    let usual = Desk::prepared(USUAL).saved();
    let new = "-A -u 192.0.2.1:53 -s rr\n";
    assert_eq!(restore(new), (0, new.to_owned(), String::new()));
    let faulty = format!("{new}-a -u 192.0.2.1:53\n");
    let message = "You need to supply the 'real-server' option for the 'add-server' command\n";
    assert_eq!(restore(&faulty), (2, usual.clone(), message.to_owned()));
    assert_eq!(restore("-L\n").0, 2);
    assert_eq!(restore(&format!("{new}{new}")), (255, new.to_owned(), "Service already exists\n".to_owned()));
}

/// Words that command lines are made of, and some that they are not.
fn word() -> impl Strategy<Value = String> {
    let words: Vec<&str> = "-A -E -D -C -a -e -d -L -l -Z -S -R -n -c -t -u -f -6 -s -p -M -r -g -i -m -w -x -y -o -b -X --set \
        --pe --stats --rate --nosort --thresholds --persistent-conn --tun-info --tun-type --tun-port --tun-csum --syncid \
        --sctp-service --timeout --daemon -At192.0.2.1:80 192.0.2.1:80 192.0.2.10:80 [2001:db8::1]:53 10.1.0.1 10.1.0.2:8 \
        rr sh mh wlc sh-port flag-1,flag-3 1 0 65535 -1 99999999999 255.255.255.0 64 gre gue ipip , = - -- : [ ]: []:1 \
        -p5 -w=3 --weight= --scheduler=rr \u{0} \u{1f980}"
        .split_whitespace()
        .collect();
    prop_oneof![9 => prop::sample::select(words).prop_map(str::to_owned), 1 => any::<String>()]
}

/// A line that makes or changes something, most likely.
fn line() -> impl Strategy<Value = String> {
    let end = |ends: &'static [&'static str]| prop::sample::select(ends);
    let service =
        end(&["-t 192.0.2.10:80", "-u 10.0.0.1:53", "-t [2001:db8::10]:443", "-u 203.0.113.1:9", "-t 10.0.0.1:53"]);
    let scheduler =
        end(&["", "-s rr", "-s sh -b sh-port", "-s mh -b mh-fallback,mh-port", "-s wrr -b flag-3", "-s none"]);
    let affinity = end(&["", "-o", "-p", "-p 77", "-p 5 -M 255.0.255.0", "-p 5 -M 64"]);
    let server = end(&["10.1.0.11:80", "10.1.0.12", "192.168.0.1:8080", "[fd00:1::b]:80", "[fd00:1::c]:8080"]);
    let method = end(&[
        "",
        "-g",
        "-m",
        "-m -x 9",
        "-i -x 9 -y 3",
        "-i --tun-type gre --tun-csum",
        "-i --tun-type gue --tun-port 9",
    ]);
    (0..6, service, scheduler, affinity, server, (method, 0..70_000)).prop_map(
        |(command, service, scheduler, affinity, server, (method, weight))| match command {
            0 | 1 => format!("-A {service} {scheduler} {affinity}"),
            2 => format!("-E {service} {scheduler} {affinity}"),
            5 => format!("--set {weight} 0 7"),
            _ => format!("-a {service} -r {server} {method} -w {weight}"),
        },
    )
}

proptest! {
    #[test]
    fn no_command_line_is_too_odd(words in prop::collection::vec(word(), 0..8), input in "(-[AaSLCZ] ?[-trsp0-9. ]{0,20}\n){0,3}") {
        let mut desk = Desk::prepared(USUAL);
        let (exit, _, errors) = desk.run_words(&words, &input);
        prop_assert!(matches!(exit, 0 | 1 | 2 | 255));
        prop_assert!(exit == 0 || !errors.is_empty());
    }

    #[test]
    fn what_is_saved_and_restored_is_what_was(lines in prop::collection::vec(line(), 0..24)) {
        let mut desk = Desk::default();
        for line in &lines {
            desk.run(line);
        }
        let saved = desk.saved();
        let mut other = Desk::default();
        let outcome = other.run_words(&["--restore".to_owned()], &saved);
        prop_assert_eq!(outcome, (0, String::new(), String::new()));
        prop_assert_eq!(other.saved(), saved);
        prop_assert_eq!(other.run("-Ln --thresholds").1, desk.run("-Ln --thresholds").1);
    }
}
