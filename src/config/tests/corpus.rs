//! Files of real people, and files with one fault each of which keepalived's own opinion is on record.
//!
//! They are not part of this repository: `KEEPALIVED_CONFIGS` names their folder.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;

/// The folder, if it is there.
fn folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/keepalived-configs");
    let folder = std::env::var_os("KEEPALIVED_CONFIGS").map_or_else(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {} is not there (set KEEPALIVED_CONFIGS)", folder.display());
    None
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let is_conf = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "conf");
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).filter(is_conf).collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

#[test]
fn every_file_is_read_the_same_way_twice() {
    let Some(folder) = folder() else { return };
    let all: Vec<_> = files(&folder).into_iter().chain(files(&folder.join("broken"))).collect();
    assert!(all.len() > 250, "only {} files", all.len());
    for path in all {
        let first = problems(&path);
        assert_eq!(first, problems(&path), "{}", path.display());
        let read = |file: &str| String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
        assert_places_are_inside(&first, read);
    }
}

#[test]
fn files_that_ask_for_nothing_else_load() {
    let Some(folder) = folder() else { return };
    let loads = |path: &PathBuf| load(path, &LoadOptions::default()).is_ok();
    let loaded: Vec<_> = files(&folder).iter().filter(|path| loads(path)).map(|path| name(path)).collect();
    assert_eq!(loaded, LOADED);
}

/// All others use what is refused (groups, firewall marks, quorums, limits), left templates, or have wrong values.
const LOADED: &[&str] = &[
    "adilmektoub-install-cluster-k8s-centos-ubuntu",
    "aledbf-kube-keepalived-vip-readme-block1",
    "aledbf-kube-keepalived-vip-rootfs",
    "apache-cloudstack-templates",
    "brixzen-mariadb-cluster-keepalived",
    "charnet1019-keepalived-api-output-managed-config",
    "charnet1019-keepalived-api-samples",
    "debian-sample-smtp-check",
    "debian-sample-virtual-server-group",
    "debian-sample-virtualhost",
    "devel-tools-1865",
    "devel-tools-thig2",
    "efim-a-efim-keepalived-cluster-pg-test-01",
    "fanux-kubeinit-ha-manifast",
    "kubesphere-kubekey-harbor-keepalived-backup",
    "loxilb-io-loxilb-keepalived-config",
    "matayto-pihole-keepalived-readme-block2",
    "nfhook-opensips-cluster-readme-block1",
    "opennebula-one-apps-keepalived-tests-heredoc2",
    "openshift-machine-config-operator-files-keepalived",
    "openstack-kolla-ansible-keepalived",
    "openstack-octavia-jinja-test-jinja-cfg-string12",
    "openstack-octavia-lvs-test-jinja-cfg-string9",
    "own-bom",
    "own-braces",
    "own-chinese-tutorial",
    "own-crlf-no-final-newline",
    "own-doubled-keywords",
    "own-include",
    "own-schedulers",
    "pecio-stretch-nfsv4-keepalived-readme-block1",
    "zillow-linuxgateway-keepalived",
];

/// Whether keepalived complains is whether there is a warning or an error here, but for the files listed.
#[test]
fn complaints_are_those_of_keepalived() {
    let Some(folder) = folder() else { return };
    let table = std::fs::read_to_string(folder.join("BROKEN.md")).unwrap();
    let (mut milder, mut stricter) = (BTreeSet::new(), BTreeSet::new());
    for row in table.lines() {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, name, _, code, ..] = cells[..] else { continue };
        let (Some(name), Ok(code)) = (name.strip_prefix('`').and_then(|n| n.strip_suffix('`')), code.parse::<u8>())
        else {
            continue;
        };
        let problems = problems(&folder.join("broken").join(format!("{name}.conf")));
        match (code != 0, problems.worst() >= Some(Level::Warning)) {
            (true, false) => milder.insert(name),
            (false, true) => stricter.insert(name),
            _ => continue,
        };
    }
    let listed = |groups: &[(&str, &[&'static str])]| -> BTreeSet<&str> {
        groups.iter().flat_map(|(_, names)| names.iter().copied()).collect()
    };
    assert_eq!(milder, listed(MILDER));
    assert_eq!(stricter, listed(STRICTER));
}

/// keepalived complains, we do not.
const MILDER: &[(&str, &[&str])] = &[
    (
        "needs knowledge of the host",
        &[
            "comment-in-quotes",
            "iface-missing",
            "script-builtin",
            "script-defined-after",
            "script-killall0",
            "script-missing",
            "script-noexec",
            "script-unused",
            "script-user-bad",
            "script-user-nobody",
            "script-worldwritable",
            "single-quotes",
            "smtp-name",
            "track-iface-missing",
            "vip-dev-missing",
        ],
    ),
    ("a limit or fault of its own", &["long-line-2000", "var-self", "weight-0"]),
];

/// We complain, keepalived does not.
const STRICTER: &[(&str, &[&str])] = &[
    ("not supported yet", &["multiline-var", "seq-ok"]),
    ("what is asked for cannot work", &["group-undefined", "group-mixed", "persist-gran"]),
    ("the check is not made yet", &["http-regex-bad", "misc-missing", "misc-ok", "two-checkers"]),
    (
        "keepalived drops or replaces something without a word",
        &["priority-extra", "priority-twice", "vrid-twice", "weight-twice", "two-on-a-line", "vip-dup", "vs-dup"],
    ),
    ("keepalived reads nothing of it", &["binary"]),
    ("a value that cannot be kept", &["weight-70000"]),
    ("keepalived says so too, but calls the file clean", &["include-missing", "include-glob-none"]),
];
