//! An FTP server: one vsftpd, with its own configuration; the system's is not touched.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};

use super::eventually;
use super::netns::Namespace;

/// A vsftpd that offers the files of a directory to everybody; dropped, it ends.
pub struct Ftp(Child);

impl Ftp {
    /// Starts it on port 21 of `host`, with its configuration in `directory`/`name`.conf and the files in
    /// `directory`/ftp.
    pub fn start(host: &Namespace, directory: &Path, name: &str) -> Self {
        let (files, config) = (directory.join("ftp"), directory.join(format!("{name}.conf")));
        fs::create_dir_all(&files).expect("the lab's directory is writable");
        for readable in [directory, &files] {
            fs::set_permissions(readable, fs::Permissions::from_mode(0o755)).expect("it is ours");
        }
        let text = format!(
            "listen_ipv6=YES\nlisten=NO\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\nxferlog_enable=NO\n\
             connect_from_port_20=YES\nseccomp_sandbox=NO\nsecure_chroot_dir={0}\nanon_root={0}\n",
            files.display()
        );
        fs::write(&config, text).expect("as above");
        let mut command = host.command(&format!("vsftpd {}", config.display()));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("vsftpd is installed");
        eventually("vsftpd listens", || host.enter(|| TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).is_ok()));
        Self(child)
    }
}

impl Drop for Ftp {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
