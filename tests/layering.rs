//! The shape of the library, held by a test: imports run one way, and what is dangerous stays where it belongs.
//!
//! It reads the source text, without comments and tests. That is crude and enough for formatted code.

use std::fs;
use std::path::{Path, PathBuf};

/// Machines, tables and values: they hold no thread, socket or clock, and know of no packet's way.
const PARTS: &[&str] =
    &["time", "wire", "conn", "sched", "check", "vrrp", "bfd", "program", "track", "notify", "service"];
/// The way of a packet, and those who walk it.
const PATH: &[&str] = &["config", "io", "forward", "sync", "worker", "supervisor", "sys"];

/// What each module may name of the rest of the crate, besides itself. The longest matching row counts; an entry allows
/// all that is below it.
const MAY_IMPORT: &[(&str, &[&[&str]])] = &[
    ("time", &[]),
    ("wire", &[&["time"]]),
    ("sys", &[&["time", "wire"]]),
    ("supervisor", &[&["time", "sys"]]),
    ("conn", &[&["time", "wire"]]),
    ("sched", &[&["time", "wire"]]),
    ("check", &[&["time", "wire"]]),
    ("io", &[&["time", "wire"]]),
    ("io::xdp", &[&["time", "wire", "io", "sys"]]),
    ("vrrp", &[&["time", "wire"]]),
    ("bfd", &[&["time", "wire"]]),
    ("program", &[]),
    ("track", &[&["time", "program"]]),
    ("notify", &[&["time", "program", "vrrp"]]),
    ("service", &[&["time", "wire", "conn", "sched", "io::PortId"]]),
    ("config", &[PARTS, &["io::options"]]),
    ("forward", &[&["time", "wire", "conn", "sched", "service", "io"]]),
    ("sync", &[&["time", "wire", "conn", "service", "forward"]]),
    ("worker", &[&["time", "wire", "conn", "sched", "service", "io", "forward", "sys"]]),
    ("control", &[PARTS, PATH]),
    ("cli", &[PARTS, PATH, &["control"]]),
];

/// Text that may occur only in certain modules, and why.
const CONFINED: &[(&str, &[&str], &str)] = &[
    ("Instant::now", &["sys::clock"], "time is an argument; only the loops read a clock, through sys::clock"),
    ("SystemTime::now", &["sys::clock"], "time is an argument; only the loops read a clock, through sys::clock"),
    (
        "clock_gettime",
        &["sys::clock", "sys::seccomp"],
        "time is an argument; only the loops read a clock, through sys::clock; a filter names the call",
    ),
    ("xsk_rs", &["io::xdp::xsk"], "one of two ways to drive the rings, hidden behind `Rings`"),
    ("aya::", &["io::xdp::steer"], "the steering program has one owner"),
    ("unsafe ", &["io::xdp", "sys", "conn::table"], "unsafe code lives in the AF_XDP port, sys and the shared table"),
    (
        "unsafe_code",
        &["io::xdp", "sys", "conn::table"],
        "unsafe code lives in the AF_XDP port, sys and the shared table",
    ),
];

/// One file's production code: comments are blank and tests are cut off, so that line numbers stay right.
struct Source {
    /// As in a message: `src/io/mod.rs`.
    name: String,
    /// As in a path: `io::mem`.
    module: String,
    code: String,
}

#[test]
fn imports_run_one_way() {
    let faults: Vec<_> = sources().iter().flat_map(forbidden_imports).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn what_is_confined_stays_inside() {
    let faults: Vec<_> = sources().iter().flat_map(escapes).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn forbidden_imports(source: &Source) -> Vec<String> {
    let Source { name, module, code } = source;
    let row = MAY_IMPORT.iter().filter(|(row, _)| is_below(module, row)).max_by_key(|(row, _)| row.len());
    let Some((row, allowed)) = row else {
        return vec![format!("{name}: module `{module}` has no row in MAY_IMPORT")];
    };
    let forbidden =
        |path: &str| !is_below(path, row) && !allowed.iter().copied().flatten().any(|entry| is_below(path, entry));
    imports(code)
        .into_iter()
        .filter(|(_, path)| forbidden(path))
        .map(|(line, path)| format!("{name}:{line}: `crate::{path}`: `{row}` may import only {allowed:?}"))
        .collect()
}

fn escapes(source: &Source) -> Vec<String> {
    let Source { name, module, code } = source;
    let mut faults = Vec::new();
    for (text, homes, reason) in CONFINED {
        if homes.iter().any(|home| is_below(module, home)) {
            continue;
        }
        let lines = code.lines().zip(1..).filter(|(line, _)| line.contains(text));
        faults.extend(lines.map(|(_, at)| format!("{name}:{at}: `{text}` may stand only in {homes:?}: {reason}")));
    }
    faults
}

/// Whether a path is `above` or begins with it.
fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// All `crate::` paths with their lines; `crate::a::{b, c}` is two.
fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let line = code[..at].matches('\n').count() + 1;
        let mut paths = Vec::new();
        expand(&code[at + "crate::".len()..], "", &mut paths);
        found.extend(paths.into_iter().map(|path| (line, path)));
    }
    found
}

/// Reads one path, or group of paths, below `prefix`, and gives what follows it.
fn expand<'a>(text: &'a str, prefix: &str, paths: &mut Vec<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = expand(rest, prefix, paths).trim_start();
            match rest.strip_prefix(',') {
                Some(more) if !more.trim_start().starts_with('}') => rest = more,
                _ => return rest.trim_start_matches([',', ' ', '\n']).strip_prefix('}').unwrap_or(""),
            }
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}::{name}") };
    match rest.strip_prefix("::") {
        Some(deeper) => expand(deeper, &path, paths),
        None => {
            paths.push(path);
            rest.trim_start_matches(|c| c != ',' && c != '}' && c != ';' && c != '\n') // `as name`
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 20, "the library is in {}", root.display());
    files.sort();
    files.iter().filter_map(|file| read(&root, file)).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("it is a directory") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// `None` for tests, and for the crate's roots, which only name the modules.
fn read(root: &Path, file: &Path) -> Option<Source> {
    let relative = file.strip_prefix(root).expect("it was found there").with_extension("");
    let mut parts: Vec<_> = relative.iter().map(|part| part.to_str().expect("names are plain")).collect();
    if parts.contains(&"tests") || parts == ["lib"] || parts == ["main"] {
        return None;
    }
    if parts.last() == Some(&"mod") {
        parts.pop();
    }
    let text = fs::read_to_string(file).expect("it can be read");
    Some(Source { name: format!("src/{}.rs", relative.display()), module: parts.join("::"), code: production(&text) })
}

/// The text without comments, up to the tests, which come last.
fn production(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end].lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

mod the_test_itself {
    use super::*;

    fn source(module: &str, text: &str) -> Source {
        Source { name: "src/x.rs".to_owned(), module: module.to_owned(), code: production(text) }
    }

    #[test]
    fn finds_every_form_of_import() {
        let code = "use crate::a::B;\nuse crate::{\n    c::{D, e::F as G},\n    h,\n};\nfn f(_: crate::i::J) {}\n";
        let found: Vec<_> = imports(code).into_iter().map(|(line, path)| format!("{line} {path}")).collect();
        assert_eq!(found, ["1 a::B", "2 c::D", "2 c::e::F", "2 h", "6 i::J"]);
    }

    #[test]
    fn tells_allowed_from_forbidden() {
        let table = [
            ("wire::addr", "use crate::time::Tick;", true),
            ("wire::addr", "use crate::wire::mac::Mac;", true),
            ("wire::addr", "use crate::conn::Key;", false),
            ("service::network", "use crate::io::PortId;", true),
            ("service::network", "use crate::io::{BATCH, PortId};", false),
            ("io::mem", "use crate::sys::clock;", false),
            ("io::xdp::open", "use crate::sys::clock;", true),
            ("forward", "// crate::cli in a comment", true),
            ("forward", "#[cfg(test)]\nmod tests {\n    use crate::cli;\n}", true),
            ("unheard_of", "", false),
        ];
        for (module, text, allowed) in table {
            assert_eq!(forbidden_imports(&source(module, text)).is_empty(), allowed, "{module}: {text}");
        }
    }

    #[test]
    fn tells_inside_from_outside() {
        let table = [
            ("sys::clock", "let now = Instant::now();", true),
            ("worker", "let now = Instant::now();", false),
            ("io::xdp::xsk", "use xsk_rs::Umem;", true),
            ("io::xdp::open", "use xsk_rs::Umem;", false),
            ("io::xdp::xsk_other", "use xsk_rs::Umem;", false),
            ("forward", "unsafe { go() }", false),
        ];
        for (module, text, inside) in table {
            assert_eq!(escapes(&source(module, text)).is_empty(), inside, "{module}: {text}");
        }
    }
}
