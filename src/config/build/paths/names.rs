//! Names that a system has for numbers: `/etc/iproute2/rt_tables` and the like.

use std::path::Path;

/// Where `ip` looks for its names, first what an administrator has written.
const PLACES: [&str; 2] = ["/etc/iproute2", "/usr/share/iproute2"];

/// What a name is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Names {
    /// Of routing tables.
    Tables,
    /// Of those who make routes.
    Protocols,
    /// Of classes of traffic.
    Realms,
    /// Of types of service.
    Services,
    /// Of groups of interfaces.
    Groups,
}

impl Names {
    /// The name of the file below each place.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Tables => "rt_tables",
            Self::Protocols => "rt_protos",
            Self::Realms => "rt_realms",
            Self::Services => "rt_dsfield",
            Self::Groups => "group",
        }
    }

    /// The number of a name. Names that every system has need no file.
    pub(super) fn number(self, name: &str) -> Option<u32> {
        let listed = || PLACES.iter().find_map(|place| listed(&Path::new(place).join(self.file()), name));
        self.known(name).or_else(listed)
    }

    fn known(self, name: &str) -> Option<u32> {
        Some(match (self, name) {
            (Self::Tables, "default") => 253,
            (Self::Tables, "main") => 254,
            (Self::Tables, "local") => 255,
            (Self::Protocols, "kernel") => 2,
            (Self::Protocols, "boot") => 3,
            (Self::Protocols, "static") => 4,
            (Self::Protocols, "keepalived") => 18,
            _ => return None,
        })
    }
}

/// In the file itself, or in one of `FILE.d/*.conf`.
fn listed(file: &Path, name: &str) -> Option<u32> {
    let read = |path: &Path| find(&std::fs::read_to_string(path).ok()?, name);
    let more = || {
        let folder = std::fs::read_dir(file.with_extension("d")).ok()?;
        let mut files: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
        files.sort();
        files
            .iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
            .find_map(|path| read(path))
    };
    read(file).or_else(more)
}

/// Lines are `NUMBER NAME`, with comments from `#` on.
fn find(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let number = super::whole(words.next()?)?;
        (words.next()? == name).then(|| u32::try_from(number).ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_system() {
        let text = "# reserved\n255\tlocal\n\n 0x64 small # one\n7 smaller\n7\n";
        for (name, number) in
            [("small", Some(100)), ("smaller", Some(7)), ("one", None), ("smal", None), ("local", Some(255))]
        {
            assert_eq!(find(text, name), number, "{name}");
        }
        assert_eq!(Names::Tables.number("main"), Some(254));
        assert_eq!(Names::Tables.number("no such table"), None);
    }

    #[test]
    fn folders_add_names() {
        let place = tempfile::TempDir::with_prefix("ringmaster-names-").unwrap();
        let (file, folder) = (place.path().join("rt_tables"), place.path().join("rt_tables.d"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("own.conf"), "300 own\n").unwrap();
        std::fs::write(folder.join("own.old"), "301 older\n").unwrap();
        assert_eq!((listed(&file, "own"), listed(&file, "older")), (Some(300), None));
    }
}
