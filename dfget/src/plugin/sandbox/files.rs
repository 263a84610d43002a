//! Landlock: which files are reached, and that nobody else is signalled or traced.

use std::{fmt::Write, io};

use super::{Reach, Sandbox};

/// The newest Landlock whose rights are asked for. An older kernel does what it can.
#[cfg(target_os = "linux")]
const ABI: landlock::ABI = landlock::ABI::V6;

/// What each version of Landlock was the first to hold back, where that matters to plugins.
const GAPS: [(i32, &str); 4] = [(3, "truncation"), (5, "ioctl on devices"), (6, "signals"), (6, "abstract sockets")];

/// The version whose kernel leaves nothing open.
const WHOLE: i32 = 6;

/// That the kernel does less than what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plugin) struct Shortcoming {
    /// 0 is none.
    version: i32,
}

impl Shortcoming {
    /// `off: this kernel has no Landlock`
    pub(in crate::plugin) fn in_words(self, sandbox: Sandbox) -> String {
        if self.version == 0 {
            return "off: this kernel has no Landlock".into();
        }
        let gaps: Vec<&str> = GAPS.iter().filter(|(since, _)| *since > self.version).map(|(_, what)| *what).collect();
        let mut words = format!("{sandbox}, as far as Landlock {} of this kernel goes", self.version);
        write!(words, ": not confined are {}", gaps.join(", ")).expect("a String takes everything");
        words
    }
}

pub(super) fn shortcoming() -> Option<Shortcoming> {
    let version = version();
    (version < WHOLE).then_some(Shortcoming { version })
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn version() -> i32 {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the kernel reads nothing but the flag, and makes nothing.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>(), 0_usize, VERSION) };
    i32::try_from(version).unwrap_or_default().max(0)
}

#[cfg(not(target_os = "linux"))]
fn version() -> i32 {
    0
}

/// What is its own of each process, so that only the one that is confined can name it.
#[cfg(target_os = "linux")]
const SELF: &str = "/proc/self";

/// Rules that confine nobody yet.
#[cfg(target_os = "linux")]
pub(super) struct Rules {
    created: landlock::RulesetCreated,
    /// Whether [`SELF`] has to be added.
    reading_little: bool,
}

#[cfg(not(target_os = "linux"))]
pub(super) type Rules = ();

/// Those that confine a process to `reach`.
#[cfg(target_os = "linux")]
pub(super) fn ruleset(reach: &Reach) -> io::Result<Rules> {
    use landlock::{Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope, path_beneath_rules};

    let handled = if reach.read.is_some() { AccessFs::from_all(ABI) } else { AccessFs::from_write(ABI) };
    let readable = reach.read.iter().flatten();
    let made = || {
        Ruleset::default()
            .handle_access(handled)?
            .scope(Scope::from_all(ABI))?
            .create()?
            .add_rules(path_beneath_rules(&reach.write, handled))?
            .add_rules(path_beneath_rules(readable, AccessFs::from_read(ABI)))
    };
    Ok(Rules { created: made().map_err(io_error)?, reading_little: reach.read.is_some() })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn ruleset(_: &Reach) -> io::Result<Rules> {
    Ok(())
}

/// Confines this process.
#[cfg(target_os = "linux")]
pub(super) fn confine(rules: &Rules) -> io::Result<()> {
    use landlock::{AccessFs, RulesetCreatedAttr, path_beneath_rules};

    let own = rules.reading_little.then_some(SELF);
    let whole = rules.created.try_clone()?.add_rules(path_beneath_rules(own, AccessFs::from_read(ABI)));
    whole.and_then(landlock::RulesetCreated::restrict_self).map(drop).map_err(io_error)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn confine((): &Rules) -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
fn io_error(error: landlock::RulesetError) -> io::Error {
    io::Error::from_raw_os_error(*landlock::Errno::from(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_kernel_leaves_open_is_named() {
        let words = |version| Shortcoming { version }.in_words(Sandbox::Default);
        assert_eq!(words(0), "off: this kernel has no Landlock");
        assert_eq!(
            words(5),
            "default, as far as Landlock 5 of this kernel goes: not confined are signals, abstract sockets"
        );
        assert!(words(1).contains("truncation, ioctl on devices, signals"), "{}", words(1));
    }
}
