//! A plugin's process and its process group: started, watched, signalled, reaped. The only place that spawns.

use std::{
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    process::ExitStatus,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process_group, waitid, waitpid};
use tokio::{
    net::unix::pipe,
    sync::{oneshot, watch},
    time::timeout,
};

use super::{
    cgroup::Cgroup,
    descendants,
    exec::{Child, Ends, Orders},
    program::Program,
    socket_dir::SocketDir,
};
use crate::error::Ending;

/// What to start.
pub(super) struct Launch<'a> {
    pub(super) program: &'a Program,
    /// All of it: nothing is inherited.
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) orders: Orders,
    /// Its own, which is named in its environment and goes once the last one who descends from it is gone.
    pub(super) directory: Arc<SocketDir>,
    /// Its control group, if it has one.
    pub(super) group: Option<Cgroup>,
}

/// A plugin's process. Dropping it kills the group, and whoever else descends from it, if it was started here.
pub(super) struct Process {
    /// `None` of one that somebody else has started: then nothing here ends it.
    own: Option<Own>,
    ended: watch::Receiver<Option<Ending>>,
}

/// What a process that was started here is ended by.
struct Own {
    group: Arc<Group>,
    /// Held open as long as this host lives; the plugin ends when it closes.
    life_line: Mutex<Option<OwnedFd>>,
}

/// The ends of a plugin's stdout and stderr.
pub(super) struct Pipes {
    pub(super) stdout: pipe::Receiver,
    pub(super) stderr: pipe::Receiver,
}

impl Process {
    /// Starts the plugin on a blocking thread of the runtime's, which waits for it; so does the end of the runtime.
    ///
    /// One thread does both, and is busy with it all the time, because Linux ties the parent-death signal to the *thread*
    /// that forked: one that ended early, such as an idle one of a pool, would take the plugin with it.
    pub(super) async fn spawn(launch: Launch<'_>) -> io::Result<(Self, Pipes)> {
        let keeper = Keeper::new(launch)?;
        let (started, start) = oneshot::channel();
        let (ending, ended) = watch::channel(None);
        tokio::task::spawn_blocking(move || keeper.keep(started, &ending));
        let (group, Ends { stdin, stdout, stderr }) = start.await.map_err(io::Error::other)??;
        let own = Own { group, life_line: Mutex::new(Some(stdin)) };
        let process = Self { own: Some(own), ended };
        let pipes =
            Pipes { stdout: pipe::Receiver::from_owned_fd(stdout)?, stderr: pipe::Receiver::from_owned_fd(stderr)? };
        Ok((process, pipes))
    }

    /// One that runs already, and whose end is told by `ended`. It is watched, and never ended.
    pub(super) fn of_somebody_else(ended: watch::Receiver<Option<Ending>>) -> Self {
        Self { own: None, ended }
    }

    /// Whether it was started here, and so is to end here.
    pub(super) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// How it ended, once it has. Cancel safe.
    pub(super) async fn ended(&self) -> Ending {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(ending) => ending.expect("waited for"),
            // The keeper cannot end before it has said so.
            Err(_) => Ending::Signal(0),
        }
    }

    /// How it ended, if it has.
    pub(super) fn ending(&self) -> Option<Ending> {
        *self.ended.borrow()
    }

    /// As [`ended`](Self::ended), for at most `limit`.
    pub(super) async fn ended_within(&self, limit: Duration) -> Option<Ending> {
        timeout(limit, self.ended()).await.ok()
    }

    /// Asks the whole group to end: by the life line and by SIGTERM.
    pub(super) fn terminate(&self) {
        if let Some(own) = &self.own {
            drop(own.life_line.lock().unwrap_or_else(PoisonError::into_inner).take());
            own.group.signal(Signal::TERM);
        }
    }

    /// Ends the whole group.
    pub(super) fn kill(&self) {
        if let Some(own) = &self.own {
            own.group.signal(Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process group whose leader is the plugin.
struct Group {
    leader: Pid,
    /// Once the leader is reaped its number may be another process's.
    reaped: Mutex<bool>,
}

impl Group {
    fn signal(&self, signal: Signal) {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if !*reaped {
            // Fails only if nobody is left to signal.
            let _ = kill_process_group(self.leader, signal);
        }
    }

    /// Waits for the leader's end, and leaves it as a zombie, which keeps the group's number from being used again until
    /// [`reap`](Self::reap).
    fn wait(&self) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(self.leader), options) {}
    }

    /// Reaps the leader, which has ended, and kills what it leaves behind, while its number is still its own.
    fn reap(&self) -> Option<ExitStatus> {
        let mut reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = kill_process_group(self.leader, Signal::KILL);
        *reaped = true;
        let (_, status) = waitpid(Some(self.leader), WaitOptions::empty()).ok()??;
        Some(ExitStatus::from_raw(status.as_raw()))
    }
}

type Started = (Arc<Group>, Ends);

/// Starts the plugin, waits for its end, clears away.
struct Keeper {
    child: Child,
    directory: Arc<SocketDir>,
    /// Bytes of memory that it may have.
    memory: Option<u64>,
    /// Which sees to that.
    group: Option<Cgroup>,
}

impl Keeper {
    fn new(launch: Launch<'_>) -> io::Result<Self> {
        let child = Child::prepare(launch.program, launch.environment, &launch.orders)?;
        let memory = launch.orders.limits.memory;
        Ok(Self { child, directory: launch.directory, memory, group: launch.group })
    }

    /// All of its life.
    fn keep(self, started: oneshot::Sender<io::Result<Started>>, ending: &watch::Sender<Option<Ending>>) {
        let Self { child, directory, memory, group: control } = self;
        let (leader, ends) = match child.spawn() {
            Ok(spawned) => spawned,
            Err(error) => return drop(started.send(Err(error))),
        };
        let group = Arc::new(Group { leader, reaped: Mutex::new(false) });
        if started.send(Ok((Arc::clone(&group), ends))).is_err() {
            // Whoever wanted the plugin is gone, and nobody else will stop it.
            group.signal(Signal::KILL);
        }
        group.wait();
        let status = group.reap();
        // Who left the group, too. Orphans are where they belong only now.
        descendants::end_of(directory.path());
        drop((directory, control));
        ending.send_replace(Some(status.map_or(Ending::Signal(0), |status| Ending::of(status, memory))));
    }
}
