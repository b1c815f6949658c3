//! SIP: calls stay with their proxies, whoever speaks first.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::support::config::Service;
use crate::support::director::Director;
use crate::support::hosts::Family::{self, V4, V6};
use crate::support::lab::Lab;
use crate::support::{eventually, netns};

const SIP: u16 = 5060;
const LINES: &str = "ops\n    persistence_timeout 60\n    persistence_engine sip";

/// A phone, or a proxy as a phone sees it, and the three proxies behind the virtual address.
struct Telephony {
    phone: UdpSocket,
    proxies: Vec<UdpSocket>,
    vip: SocketAddr,
}

impl Telephony {
    fn of(lab: &Lab, family: Family) -> Self {
        let bind = |address: SocketAddr| {
            let socket = UdpSocket::bind(address).expect("the port is free");
            socket.set_read_timeout(Some(Duration::from_millis(300))).expect("it is not zero");
            socket
        };
        let proxies = lab.servers.iter();
        Self {
            phone: lab.client.enter(|| bind((lab.clients(family)[0], SIP).into())),
            proxies: proxies.map(|proxy| proxy.host.enter(|| bind((proxy.address(family), SIP).into()))).collect(),
            vip: (lab.vip(family), SIP).into(),
        }
    }

    /// Which proxy gets a datagram of a call; it answers, and the answer comes from the virtual address.
    fn asks(&self, call: &str) -> usize {
        let invite = message("INVITE", call);
        self.phone.send_to(&invite, self.vip).expect("there is a route");
        let mut proxy = 0;
        eventually(&format!("a proxy hears of {call}"), || {
            let hears = |socket: &UdpSocket| heard(socket).is_some_and(|(text, _)| text == invite);
            self.proxies.iter().position(hears).is_some_and(|number| {
                proxy = number;
                true
            })
        });
        assert_eq!(self.is_told(proxy, call), self.vip, "{call}");
        proxy
    }

    /// As whom the phone knows the proxy that sends it a datagram of a call.
    fn is_told(&self, proxy: usize, call: &str) -> SocketAddr {
        let told = message("NOTIFY", call);
        let to = self.phone.local_addr().expect("it is bound");
        self.proxies[proxy].send_to(&told, to).expect("there is a route");
        let mut from = to;
        eventually(&format!("the phone is told of {call}"), || {
            heard(&self.phone).is_some_and(|(text, sender)| {
                assert_eq!(text, told);
                from = sender;
                true
            })
        });
        from
    }
}

fn message(method: &str, call: &str) -> Vec<u8> {
    format!("{method} sip:bob@example.org SIP/2.0\r\nMax-Forwards: 70\r\nCall-ID: {call}\r\n\r\n").into_bytes()
}

/// The next datagram, and where it seems to come from.
fn heard(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut buffer = vec![0; 2048];
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    buffer.truncate(length);
    Some((buffer, from))
}

fn services(lab: &Lab) -> [Service; 2] {
    [V4, V6].map(|family| Service { port: SIP, real_port: SIP, protocol: "UDP", lines: LINES, ..lab.service(family) })
}

/// The Call-IDs that are listed, with the servers of their templates.
fn listed(director: &Director) -> Vec<(String, String)> {
    let listing = director.ask("connections --json");
    let connections = listing.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("it is JSON"));
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let calls = connections.filter(|connection| connection["call_id"].is_string());
    let mut calls: Vec<_> = calls.map(|call| (text(&call["call_id"]), text(&call["destination"]))).collect();
    calls.sort();
    calls
}

/// All calls of one proxy come from one port, so that only the Call-ID tells them apart.
#[test]
fn calls_stay_with_their_proxies_whoever_speaks_first() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let director = lab.start(&services(&lab));
    for family in [V4, V6] {
        let telephony = Telephony::of(&lab, family);
        let proxies = ["a", "b", "c", "b", "a", "c"].map(|call| telephony.asks(&format!("{call}@phone")));
        let [a, b, c, ..] = proxies;
        assert_eq!(proxies, [a, b, c, b, a, c], "{family:?}");
        assert!(a != b && b != c && a != c, "{family:?}: {proxies:?} is no rotation");

        // A proxy calls: the answer and all that follows come to it, wherever the scheduler would lead.
        for proxy in [0, 1, 2] {
            let call = format!("{proxy}@proxy");
            assert_eq!(telephony.is_told(proxy, &call), telephony.vip, "{family:?}");
            assert_eq!([telephony.asks(&call), telephony.asks(&call)], [proxy; 2], "{family:?}, {call}");
        }

        let calls = listed(&director);
        let of = |call: &str, proxy: usize| {
            (call.to_owned(), SocketAddr::new(lab.servers[proxy].address(family), SIP).to_string())
        };
        for (call, proxy) in [("a@phone", a), ("b@phone", b), ("c@phone", c), ("1@proxy", 1)] {
            assert!(calls.contains(&of(call, proxy)), "{family:?}: {call} at {proxy}: {calls:?}");
        }

        telephony.phone.send_to(b"OPTIONS sip:bob SIP/2.0\r\n\r\n", telephony.vip).expect("there is a route");
        let dropped = match family {
            V4 => 1,
            V6 => 2,
        };
        eventually("what has no Call-ID is dropped and counted", || {
            let status = director.ask("status --all");
            status.lines().any(|line| line.split_whitespace().eq(["ended-no-call-id", &dropped.to_string()]))
        });
        assert!(telephony.proxies.iter().all(|proxy| heard(proxy).is_none()), "{family:?}: nobody got it");
    }
}
