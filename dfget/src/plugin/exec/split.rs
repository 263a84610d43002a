//! One process becomes two.

use std::{convert::Infallible, io};

use nix::sys::signal::{SigHandler, Signal};
use rustix::process::Pid;

/// Signals that dfget catches or ignores. A plugin is to have none of that.
const OWN: [Signal; 2] = [Signal::SIGPIPE, Signal::SIGXFSZ];

/// Those that it catches unless whoever started it has it ignore them, which holds for a plugin too.
const CAUGHT: [Signal; 3] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];

/// Room for what the child calls.
#[cfg(target_os = "linux")]
const STACK: usize = 256 * 1024;

/// Runs `child` in a new process, which it ends or has another program take over.
///
/// As `vfork` does it: the child has the memory of this process, all of it, while the thread that called waits until it
/// is done with it. To copy the page tables of a program, and each page that either of the two writes to, would take
/// longer than all else that a start costs. So what the child changes in memory is changed, and what it closes is
/// closed for itself alone: it may not drop what holds a descriptor.
#[cfg(target_os = "linux")]
pub(super) fn split(mut child: impl FnMut() -> Infallible) -> io::Result<Pid> {
    use nix::{
        sched::{CloneFlags, clone},
        sys::signal::SigSet,
    };

    let mut stack = vec![0; STACK];
    let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
    let callback = Box::new(|| match child() {});
    // No handler of this process's may run in the child.
    let mask = SigSet::all().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK)?;
    #[allow(unsafe_code)]
    // SAFETY: the stack is the child's alone and outlives it, since this thread goes on only when the child has ended or
    // is another program; what the child borrows is borrowed as long.
    let made = unsafe { clone(callback, &mut stack, flags, Some(Signal::SIGCHLD as i32)) };
    mask.thread_set_mask()?;
    Ok(Pid::from_raw(made?.as_raw()).expect("a child has a number"))
}

/// Runs `child` in a new process, which it ends or has another program take over.
#[cfg(not(target_os = "linux"))]
pub(super) fn split(mut child: impl FnMut() -> Infallible) -> io::Result<Pid> {
    use nix::unistd::{ForkResult, fork};

    #[allow(unsafe_code)]
    // SAFETY: `child` makes system calls. What it allocates meanwhile is small, and after a fork the allocators of the C
    // libraries are whole in the child.
    match unsafe { fork() }? {
        ForkResult::Child => match child() {},
        ForkResult::Parent { child } => Ok(Pid::from_raw(child.as_raw()).expect("a child has a number")),
    }
}

/// In the child: every signal does again what it does to a program that cares for none.
#[allow(unsafe_code)]
pub(super) fn restore_signals() -> io::Result<()> {
    for signal in OWN {
        // SAFETY: the default action runs no code of ours; nor does to ignore, below.
        unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }?;
    }
    for signal in CAUGHT {
        // SAFETY: as above.
        if matches!(unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }?, SigHandler::SigIgn) {
            // SAFETY: as above.
            unsafe { nix::sys::signal::signal(signal, SigHandler::SigIgn) }?;
        }
    }
    Ok(nix::sys::signal::SigSet::empty().thread_set_mask()?)
}
