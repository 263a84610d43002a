//! Which files a plugin reaches.

use std::{
    env,
    ffi::OsStr,
    fs::File,
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::Rules;

/// Programs, libraries and what they are configured by. What is not there is left out.
const SYSTEM: [&str; 16] = [
    "/bin",
    "/etc",
    "/gnu/store",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/opt",
    "/sbin",
    "/usr",
    "/run/systemd/resolve",
    "/var/lib/ca-certificates",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
    "/proc/sys",
];

/// What the runtimes of languages ask about the machine. What they ask about themselves is each process's own to allow;
/// of other processes, nothing.
const FACTS: [&str; 7] = [
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/uptime",
    "/proc/version",
];

/// Devices that hold nothing.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Variables that a plugin inherits and that name what it has to read.
const CERTIFICATES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Files, and directories with all that is beneath them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::plugin) struct Reach {
    /// `None` is everything.
    pub(super) read: Option<Vec<PathBuf>>,
    pub(super) write: Vec<PathBuf>,
}

impl Reach {
    pub(super) fn reading_all(rules: &Rules, directory: &Path) -> Self {
        let own = DEVICES.iter().map(PathBuf::from).chain([directory.to_owned()]);
        Self { read: None, write: own.chain(rules.writable.iter().cloned()).collect() }
    }

    pub(super) fn reading_little(rules: &Rules, plugin: &Path, directory: &Path) -> Self {
        let system = SYSTEM.iter().chain(&FACTS).map(PathBuf::from);
        let certificates = CERTIFICATES.iter().filter_map(env::var_os).map(PathBuf::from);
        let read = system.chain(certificates).chain(program(plugin)).chain(rules.readable.iter().cloned());
        Self { read: Some(read.collect()), ..Self::reading_all(rules, directory) }
    }
}

/// The directory of the plugin, also if it is installed by a link, and its interpreter.
fn program(plugin: &Path) -> impl Iterator<Item = PathBuf> {
    let real = plugin.canonicalize().ok();
    let directories = [Some(plugin), real.as_deref()].into_iter().flatten().filter_map(Path::parent);
    directories.map(Path::to_owned).collect::<Vec<_>>().into_iter().chain(interpreters(plugin))
}

/// What its `#!` line names; behind `env`, what that finds.
fn interpreters(plugin: &Path) -> Vec<PathBuf> {
    let mut head = Vec::new();
    let read = File::open(plugin).and_then(|file| file.take(256).read_to_end(&mut head));
    let Some(line) = read.ok().and_then(|_| head.strip_prefix(b"#!")) else { return Vec::new() };
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let words = line.split(|byte| b" \t".contains(byte)).filter(|word| !word.is_empty()).map(OsStr::from_bytes);
    let search = env::var_os("PATH").unwrap_or_default();
    let found =
        |word: &OsStr| env::split_paths(&search).map(|directory| directory.join(word)).find(|path| path.exists());
    words.filter_map(found).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_of_a_script_is_found_also_behind_env() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("script");
        for (line, expected) in [("#!/bin/sh -e\n", "/bin/sh"), ("#! /usr/bin/env -S sh\nx", "/usr/bin/env")] {
            std::fs::write(&script, line).unwrap();
            let found = interpreters(&script);
            assert_eq!(found.first(), Some(&PathBuf::from(expected)), "{line}");
        }
        assert!(interpreters(&script).iter().any(|path| path.ends_with("sh")));
        std::fs::write(&script, "\x7fELF").unwrap();
        assert_eq!(interpreters(&script), Vec::<PathBuf>::new());
    }

    #[test]
    fn what_is_allowed_is_added_to_its_own() {
        let rules = Rules { readable: vec!["/data".into()], writable: vec!["/cache".into()], ..Rules::default() };
        let (plugin, own) = (Path::new("/plugins/p"), Path::new("/tmp/own"));
        let all = Reach::reading_all(&rules, own);
        assert_eq!(all.read, None);
        assert!(all.write.ends_with(&["/tmp/own".into(), "/cache".into()]), "{all:?}");
        let read = Reach::reading_little(&rules, plugin, own).read.unwrap();
        assert!(read.contains(&"/plugins".into()) && read.contains(&"/data".into()), "{read:?}");
        assert!(!read.contains(&"/".into()) && !read.contains(&"/home".into()) && !read.contains(&"/tmp".into()));
    }
}
