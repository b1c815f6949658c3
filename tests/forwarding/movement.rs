//! Next hops are the kernel's: what changes there is followed.

use crate::support::eventually;
use crate::support::hosts::Family::V4;
use crate::support::http;
use crate::support::lab::Lab;
use crate::support::netns;
use crate::{alike, shares};

#[test]
fn a_server_with_a_new_mac_address_is_found_again() {
    if !netns::available() {
        return;
    }
    let lab = Lab::dr();
    let _director = lab.start(&[lab.service(V4)]);
    assert_eq!(shares(&lab.ask(V4, 80, 0, 6)), alike(2));
    let server = &lab.servers[0];
    server.host.exec("sysctl -qw net.ipv4.conf.eth0.arp_notify=1"); // it announces itself, as a replaced machine does
    server.host.exec("ip link set eth0 address 02:00:00:00:00:77");
    all_answer_again(&lab);
}

#[test]
fn a_moved_route_is_followed() {
    if !netns::available() {
        return;
    }
    let lab = Lab::tun();
    let _director = lab.start(&[lab.service(V4)]);
    assert_eq!(shares(&lab.ask(V4, 80, 0, 6)), alike(2));
    lab.director.exec("ip route add blackhole 172.16.20.0/24");
    eventually("the loss of the route is noticed", || ask_once(&lab).is_err());
    lab.director.exec("ip route del blackhole 172.16.20.0/24");
    all_answer_again(&lab);
}

fn all_answer_again(lab: &Lab) {
    eventually("six requests in a row are answered", || (0..6).all(|_| ask_once(lab).is_ok()));
    assert_eq!(shares(&lab.ask(V4, 80, 0, 6)), alike(2));
}

fn ask_once(lab: &Lab) -> std::io::Result<http::Answer> {
    lab.client.enter(|| http::ask(lab.clients(V4)[0], (lab.vip(V4), 80).into()))
}
