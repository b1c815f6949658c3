//! Mails about roles, to a mail server that answers slowly or not at all.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;

use crate::lab::{Lab, Program};
use crate::support::{eventually, shared};

const CONFIG: &str = "global_defs {
    router_id LVS_1
    notification_email {
        one@example.com \"Two <two@example.com>\"
    }
    notification_email_from lvs@example.com
    smtp_server 192.168.146.13 2525
    smtp_alert
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    version 3
    advert_int 0.1
    virtual_ipaddress {
        192.168.146.100/24
    }
}
vrrp_sync_group G {
    group {
        VI_1
    }
}
";

/// Takes mails, `slowly`, and gives what clients said; ends with the test.
fn sink(listener: TcpListener, slowly: Duration) -> Arc<Mutex<Vec<String>>> {
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(stream.try_clone().expect("sockets can be shared")).lines();
            let answer = |text: &str| {
                std::thread::sleep(slowly);
                let _ = (&stream).write_all(text.as_bytes());
            };
            answer("220-welcome\r\n220 here\r\n");
            let mut text = false;
            while let Some(Ok(line)) = lines.next() {
                match line.as_str() {
                    "." => (text, _) = (false, answer("250 taken\r\n")),
                    "DATA" => (text, _) = (true, answer("354 go on\r\n")),
                    "QUIT" => answer("221 bye\r\n"),
                    _ if !text => answer("250 fine\r\n"),
                    _ => {}
                }
                heard.lock().expect("no holder panics").push(line);
            }
        }
    });
    said
}

#[test]
fn each_role_is_told_by_a_mail_and_nobody_waits_for_the_server() {
    let Some(mut lab) = Lab::new() else { return };
    let listener = lab.hosts[2].enter(|| TcpListener::bind("0.0.0.0:2525")).expect("the port is free");
    let said = sink(listener, Duration::from_millis(50));
    lab.start(0, Program::Ringmaster, CONFIG);
    let subjects = || {
        let said = said.lock().expect("no holder panics");
        let lines = said.iter().filter_map(|line| line.strip_prefix("Subject: "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    eventually("it is master, and says so", || subjects().len() == 4);
    lab.end(0, Signal::TERM);
    let expected = [
        "[LVS_1] VRRP Instance VI_1 - Entering BACKUP state",
        "[LVS_1] VRRP Group G - Entering BACKUP state",
        "[LVS_1] VRRP Instance VI_1 - Entering MASTER state",
        "[LVS_1] VRRP Group G - Entering MASTER state",
        "[LVS_1] VRRP Instance VI_1 - Stopping",
        "[LVS_1] VRRP Group G - Stopping",
    ];
    assert_eq!(subjects(), expected, "in order, and the last ones before the end");
    let said = said.lock().expect("no holder panics");
    for line in [
        "MAIL FROM:<lvs@example.com>",
        "RCPT TO:<one@example.com>",
        "RCPT TO:<two@example.com>",
        "=> VRRP Instance is now owning VRRP VIPs <=",
    ] {
        assert!(said.iter().any(|other| other == line), "{line}: {said:?}");
    }
}

#[test]
fn a_server_that_does_not_answer_delays_nothing() {
    let Some(mut lab) = Lab::new() else { return };
    // It takes connections, and says nothing.
    let _silent = lab.hosts[2].enter(|| TcpListener::bind("0.0.0.0:2525")).expect("the port is free");
    lab.start(0, Program::Ringmaster, CONFIG);
    eventually("it is master", || lab.holds(0, "192.168.146.100"));
    let adverts = || {
        let adverts = lab.seen().into_iter().filter(|seen| seen.host == 0 && seen.priority() == Some(100));
        adverts.map(|seen| seen.at).collect::<Vec<_>>()
    };
    eventually("it advertises", || adverts().len() >= 20);
    let longest = adverts().windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(longest < Some(shared(Duration::from_secs(1))), "{longest:?} between two adverts");
    lab.end(0, Signal::TERM);
}
