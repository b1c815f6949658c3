//! The files that an `include` names: `*`, `?`, `[...]` within one part of a path, and `{a,b}` anywhere.

use std::path::{Path, PathBuf};

use super::limits;

/// The files that match, sorted, relative patterns taken from `folder`. Bounded by [`limits::FILES`].
pub(crate) fn expand(pattern: &str, folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for pattern in alternatives(pattern) {
        let start = if pattern.starts_with('/') { PathBuf::from("/") } else { folder.to_path_buf() };
        let mut matches = vec![start];
        for part in pattern.split('/').filter(|part| !part.is_empty()) {
            matches = matches.into_iter().flat_map(|path| step(&path, part)).take(limits::FILES).collect();
        }
        matches.retain(|path| path.exists());
        found.extend(matches);
        found.truncate(limits::FILES);
    }
    found
}

/// What one part of a pattern matches in one folder.
fn step(folder: &Path, part: &str) -> Vec<PathBuf> {
    if !part.contains(['*', '?', '[']) {
        return vec![folder.join(part)];
    }
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = std::fs::read_dir(listed).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| (!name.starts_with('.') || part.starts_with('.')) && matches(part, name))
        .collect();
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

/// `a{b,c}d` as `abd` and `acd`; nested braces too.
fn alternatives(pattern: &str) -> Vec<String> {
    let mut pending = vec![pattern.to_owned()];
    let mut done = Vec::new();
    while let Some(pattern) = pending.pop() {
        let innermost = pattern.find('}').and_then(|close| Some((pattern[..close].rfind('{')?, close)));
        match innermost {
            Some((open, close)) if pending.len() < limits::FILES => {
                let (head, tail) = (&pattern[..open], &pattern[close + 1..]);
                let choices = pattern[open + 1..close].split(',').rev();
                pending.extend(choices.map(|choice| format!("{head}{choice}{tail}")));
            }
            _ => done.push(pattern),
        }
        if done.len() >= limits::FILES {
            break;
        }
    }
    done
}

/// Whether `name` matches; a star is tried greedily from the last one seen, so the time is at most their product.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            Some(_) => {
                if let Some(next) = one(&pattern, p, name[n]) {
                    (p, n) = (next, n + 1);
                    continue;
                }
            }
            None => {}
        }
        let Some((at, taken)) = star else { return false };
        star = Some((at, taken + 1));
        (p, n) = (at + 1, taken + 1);
    }
    pattern[p..].iter().all(|&char| char == '*')
}

/// If the item at `p` takes `char`: where the next item is.
fn one(pattern: &[char], p: usize, char: char) -> Option<usize> {
    match pattern[p] {
        '?' => Some(p + 1),
        '[' => {
            // A `]` right after the opening bracket is a member.
            let end = p + 2 + pattern.get(p + 2..)?.iter().position(|&c| c == ']')?;
            let inner = &pattern[p + 1..end];
            let (negated, inner) = match inner {
                ['!' | '^', rest @ ..] => (true, rest),
                all => (false, all),
            };
            (member(inner, char) != negated).then_some(end + 1)
        }
        literal => (literal == char).then_some(p + 1),
    }
}

fn member(set: &[char], char: char) -> bool {
    match set {
        [from, '-', to, rest @ ..] => (*from..=*to).contains(&char) || member(rest, char),
        [first, rest @ ..] => *first == char || member(rest, char),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_a_shell_s() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?.conf", "a.conf", true),
            ("?.conf", ".conf", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[a", "[a", false),
            ("**", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn braces_give_every_alternative_in_order() {
        assert_eq!(alternatives("{a,b}/{c,d}"), ["a/c", "a/d", "b/c", "b/d"]);
        assert_eq!(alternatives("x{a,{b,c}}"), ["xa", "xb", "xa", "xc"]);
        assert_eq!(alternatives("x}y{"), ["x}y{"]);
    }

    #[test]
    fn files_come_sorted_and_hidden_ones_only_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.conf", "a.conf", ".hidden.conf", "c.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let names = |pattern: &str| -> Vec<String> {
            let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
            expand(pattern, folder.path()).into_iter().map(name).collect()
        };
        assert_eq!(names("*.conf"), ["a.conf", "b.conf"]);
        assert_eq!(names(".h*"), [".hidden.conf"]);
        assert_eq!(names("{c.txt,b.conf,absent}"), ["c.txt", "b.conf"]);
    }
}
