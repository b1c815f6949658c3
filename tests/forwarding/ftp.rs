//! FTP through NAT, between programs that know nothing of it: vsftpd and curl.

use std::net::SocketAddr;

use crate::support::config::Service;
use crate::support::ftp::Ftp;
use crate::support::hosts::Family::{V4, V6};
use crate::support::lab::Lab;
use crate::support::netns;

#[test]
fn files_arrive_by_passive_and_by_active_connections() {
    if !netns::available() {
        return;
    }
    let lab = Lab::nat();
    let _servers: Vec<_> =
        lab.servers.iter().map(|server| Ftp::start(&server.host, lab.directory(), &server.name)).collect();
    let offered = lab.directory().join("ftp/offered");
    std::fs::write(&offered, (0..1u32 << 20).map(|n| (n ^ n >> 8 ^ n >> 16) as u8).collect::<Vec<_>>()).unwrap();
    let service = |family| Service { port: 21, real_port: 21, ..lab.service(family) };
    let _director = lab.start(&[service(V4), service(V6)]);
    // curl would else not believe the address in a reply, which is what is to be tried.
    let passive = "--no-ftp-skip-pasv-ip";
    for (family, how) in [
        (V4, format!("{passive} --disable-epsv")),
        (V4, passive.to_owned()),
        (V4, "--ftp-port - --disable-eprt".to_owned()),
        (V4, "--ftp-port -".to_owned()),
        (V6, passive.to_owned()),
        (V6, "--ftp-port -".to_owned()),
    ] {
        let copy = lab.directory().join("copy");
        let url = format!("ftp://{}/offered", SocketAddr::new(lab.vip(family), 21));
        // Three servers: each is asked.
        for _ in 0..3 {
            let _ = std::fs::remove_file(&copy);
            lab.client.exec(&format!("curl -sS --globoff --max-time 30 {how} -o {} {url}", copy.display()));
            lab.client.exec(&format!("cmp {} {}", offered.display(), copy.display()));
        }
    }
}
