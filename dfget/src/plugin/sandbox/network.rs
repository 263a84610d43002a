//! seccomp: no sockets but Unix domain ones. Landlock knows of TCP alone.

use std::io;

/// What takes the network from a process.
#[cfg(target_os = "linux")]
pub(super) type Filter = seccompiler::BpfProgram;

#[cfg(not(target_os = "linux"))]
pub(super) type Filter = std::convert::Infallible;

#[cfg(target_os = "linux")]
pub(super) fn filter() -> io::Result<Filter> {
    program().map_err(io::Error::other)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn filter() -> io::Result<Filter> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Takes it from this one. What it has open stays open.
#[cfg(target_os = "linux")]
pub(super) fn deny(filter: &Filter) -> io::Result<()> {
    seccompiler::apply_filter(filter).map_err(|error| match error {
        seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error) => error,
        error => io::Error::other(error),
    })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn deny(filter: &Filter) -> io::Result<()> {
    match *filter {}
}

#[cfg(target_os = "linux")]
fn program() -> Result<seccompiler::BpfProgram, seccompiler::BackendError> {
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
        TargetArch,
    };

    let unix = u64::from(libc::AF_UNIX.unsigned_abs());
    let elsewhere = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, unix)?;
    let elsewhere = vec![SeccompRule::new(vec![elsewhere])?];
    // io_uring makes sockets, too, and no filter sees what it is told.
    let rules = numbers(libc::SYS_socket).map(|number| (number, elsewhere.clone()));
    let rules = rules.chain(numbers(libc::SYS_io_uring_setup).map(|number| (number, Vec::new())));
    let refused = SeccompAction::Errno(libc::EACCES.unsigned_abs());
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(rules.collect(), SeccompAction::Allow, refused, architecture)?;
    BpfProgram::try_from(filter)
}

/// The number of a system call, and that of its twin in the x32 ABI, which is the same architecture to a filter.
#[cfg(target_os = "linux")]
fn numbers(call: libc::c_long) -> impl Iterator<Item = i64> {
    const X32: i64 = 0x4000_0000;
    [call, call | X32].into_iter().take(if cfg!(target_arch = "x86_64") { 2 } else { 1 })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_filter_for_this_machine() {
        assert!(!program().unwrap().is_empty());
    }
}
