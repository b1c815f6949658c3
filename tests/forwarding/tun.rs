//! TUN: packets reach servers on another network inside IP; servers answer the client themselves.

use crate::sizes::upload_one_mebibyte;
use crate::support::config::Service;
use crate::support::hosts::Family::{V4, V6};
use crate::support::lab::Lab;
use crate::support::netns;
use crate::{alike, requests_are_shared_in_turn, shares};

#[test]
fn requests_are_shared_over_servers_behind_a_router() {
    if !netns::available() {
        return;
    }
    requests_are_shared_in_turn(&Lab::tun());
}

#[test]
fn the_outer_header_may_be_of_the_other_family() {
    if !netns::available() {
        return;
    }
    let lab = Lab::tun();
    let crossed = |inner, outer| Service { servers: lab.service(outer).servers, ..lab.service(inner) };
    let _director = lab.start(&[crossed(V4, V6), crossed(V6, V4)]);
    for family in [V4, V6] {
        assert_eq!(shares(&lab.ask(family, 80, 0, 9)), alike(3), "{family:?}");
    }
}

#[test]
fn gre_and_gue_reach_their_servers_too() {
    if !netns::available() {
        return;
    }
    let lab = Lab::tun();
    let method = |family, method| Service { method, ..lab.service(family) };
    let crossed = |inner, outer, method| Service { servers: lab.service(outer).servers, method, ..lab.service(inner) };
    for services in [
        [method(V4, "TUN type gre"), method(V6, "TUN type gre csum")],
        [crossed(V4, V6, "TUN type gre csum"), crossed(V6, V4, "TUN type gre")],
        [method(V4, "TUN type gue port 6080"), method(V6, "TUN type gue port 6080 csum")],
        [crossed(V4, V6, "TUN type gue port 6080 remcsum"), crossed(V6, V4, "TUN type gue port 6080 csum")],
    ] {
        let _director = lab.start(&services);
        for family in [V4, V6] {
            assert_eq!(shares(&lab.ask(family, 80, 0, 9)), alike(3), "{family:?}: {services:?}");
        }
    }
}

/// A client sends segments that fill its MTU; with the outer header they no longer fit, and it must be told.
#[test]
fn an_upload_learns_of_the_smaller_path() {
    if !netns::available() {
        return;
    }
    let lab = Lab::tun();
    let upload = Service { port: 9000, real_port: 9000, ..lab.service(V4) };
    let _director = lab.start(&[Service { servers: upload.servers[..1].to_vec(), ..upload }]);
    upload_one_mebibyte(&lab, &lab.servers[0].host, 9000);
}

/// The same where the way is narrow behind the next router: it tells the director, and the director the client.
#[test]
fn an_upload_learns_of_a_narrow_link_within_the_tunnel() {
    if !netns::available() {
        return;
    }
    let lab = Lab::tun();
    lab.router().exec("ip link set eth1 mtu 1300");
    let upload = Service { port: 9000, real_port: 9000, ..lab.service(V4) };
    let _director = lab.start(&[Service { servers: upload.servers[..1].to_vec(), ..upload }]);
    upload_one_mebibyte(&lab, &lab.servers[0].host, 9000);
    let learned = lab.client.exec(&format!("ip route get {}", lab.vip(V4)));
    assert!(learned.contains("mtu 1280"), "20 bytes less than the link's: {learned}");
}
