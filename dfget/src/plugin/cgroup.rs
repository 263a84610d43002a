//! A control group of a plugin's own: what all of its processes have of the memory, counted by the kernel. Made where
//! dfget may make one: beside its own group or beneath it (cgroup v2), or beneath it (v1).

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

const PREFIX: &str = "dfget-plugin-";

/// A group younger than this may be one that its plugin has not joined yet.
const SWEEP_AGE: Duration = Duration::from_secs(5);

/// A group that is gone when this is dropped, if nobody is in it any more.
pub(super) struct Cgroup(PathBuf);

impl Cgroup {
    /// One whose members have at most so many bytes together, swapped out ones included; `None` where there is no way
    /// to make one. `name` is nobody else's.
    pub(super) fn with_memory(bytes: u64, name: &str) -> Option<Self> {
        let memberships = fs::read_to_string("/proc/self/cgroup").ok()?;
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        places(&memberships, unified).into_iter().find_map(|(version, parent)| {
            sweep(&parent);
            let group = Self(parent.join(name));
            fs::create_dir(&group.0).ok()?;
            group.limit(version, bytes).ok().map(|()| group)
        })
    }

    fn limit(&self, version: Version, bytes: u64) -> io::Result<()> {
        let set = |file: &str, value: &str| fs::write(self.0.join(file), value);
        // Without swap a kernel may have no such file.
        match version {
            Version::One => {
                set("memory.limit_in_bytes", &bytes.to_string())?;
                let _ = set("memory.memsw.limit_in_bytes", &bytes.to_string());
            }
            Version::Two => {
                set("memory.max", &bytes.to_string())?;
                let _ = set("memory.swap.max", "0");
                // A plugin without one of its processes is of no use.
                let _ = set("memory.oom.group", "1");
            }
        }
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // What cannot go is swept by the next dfget.
        let _ = fs::remove_dir(&self.0);
    }
}

/// The door of the group at `path`.
pub(super) fn open(path: &Path) -> io::Result<File> {
    File::options().write(true).open(path.join("cgroup.procs"))
}

/// Makes this process a member of the group behind `door`; so are its children.
pub(super) fn join(door: &mut File) -> io::Result<()> {
    door.write_all(b"0")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Where a group could be made, from `/proc/self/cgroup`. `unified` is whether v2 is all there is.
fn places(memberships: &str, unified: bool) -> Vec<(Version, PathBuf)> {
    let mut places = Vec::new();
    for line in memberships.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let beneath = |root: &str| Path::new(root).join(path.trim_start_matches('/'));
        if controllers.is_empty() {
            let own = beneath(if unified { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/unified" });
            // A group with processes in it has no groups with limits beneath it, so the first place is beside.
            let beside = own.parent().filter(|_| path != "/").map(Path::to_owned);
            places.extend(beside.into_iter().chain([own]).map(|place| (Version::Two, place)));
        } else if controllers.split(',').any(|controller| controller == "memory") {
            places.push((Version::One, beneath("/sys/fs/cgroup/memory")));
        }
    }
    places
}

/// Removes the groups of hosts that were killed. One that has members stays: the kernel sees to that.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    let old = |made: SystemTime| made.elapsed().is_ok_and(|age| age > SWEEP_AGE);
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        if entry.metadata().and_then(|metadata| metadata.modified()).is_ok_and(old) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_made_beside_ones_own_or_beneath_it() {
        let place = |version, path: &str| (version, PathBuf::from(path));
        let app = "/sys/fs/cgroup/user.slice/app.slice";
        let expected = [place(Version::Two, app), place(Version::Two, &format!("{app}/a.scope"))];
        assert_eq!(places("0::/user.slice/app.slice/a.scope\n", true), expected);
        assert_eq!(places("0::/\n", true), [place(Version::Two, "/sys/fs/cgroup")]);
        let hybrid = "4:cpu,memory:/job\n3:name=systemd:/\n0::/\n";
        let expected =
            [place(Version::One, "/sys/fs/cgroup/memory/job"), place(Version::Two, "/sys/fs/cgroup/unified")];
        assert_eq!(places(hybrid, false), expected);
        assert!(places("nothing of the kind", true).is_empty());
    }
}
