//! A place in which dfget runs and sees nothing of the machine around it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{processes::adopt_orphans, programs::faultplug, run::Dfget};

/// Schemes that need no plugin.
const IN_TREE: [&str; 12] = ["abs", "azblob", "cos", "dfs", "file", "gs", "hdfs", "http", "https", "obs", "oss", "s3"];

/// A directory of its own with `plugins`, `work`, `tmp` and `home` in it.
pub(crate) struct TestEnv {
    root: TempDir,
}

impl TestEnv {
    pub(crate) fn new() -> Self {
        adopt_orphans();
        // Not in TMPDIR, which may be so long that dfget turns to `/tmp` for its sockets, out of our sight.
        let root = tempfile::Builder::new().prefix("dft-").tempdir_in("/tmp").expect("/tmp is writable");
        set_mode(root.path(), 0o755);
        for name in ["plugins", "clean", "work", "tmp", "home"] {
            make_directory(&root.path().join(name));
        }
        let test = Self { root };
        test.install_into("clean", &faultplug(), "good");
        test
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// The file `name` in the directory in which dfget runs.
    pub(crate) fn work(&self, name: &str) -> PathBuf {
        self.path("work").join(name)
    }

    /// Installs the plugin that does everything wrong for `scheme`, which says what it does wrong.
    pub(crate) fn install(&self, scheme: &str) -> PathBuf {
        self.install_into("plugins", &faultplug(), scheme)
    }

    /// Installs `program` as the plugin for `scheme` in one of this place's directories.
    pub(crate) fn install_into(&self, directory: &str, program: &Path, scheme: &str) -> PathBuf {
        let path = self.plugin_path(directory, scheme);
        let linked = fs::hard_link(program, &path);
        linked.or_else(|_| fs::copy(program, &path).map(drop)).expect("the program is built");
        // Under a umask of 0002 cargo builds what a group may write, which dfget does not start.
        set_mode(&path, 0o755);
        path
    }

    /// Writes a plugin for `scheme` that is not made by a compiler.
    pub(crate) fn write_plugin(&self, scheme: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.plugin_path("plugins", scheme);
        fs::write(&path, content).expect("the directory is writable");
        set_mode(&path, 0o755);
        path
    }

    fn plugin_path(&self, directory: &str, scheme: &str) -> PathBuf {
        let directory = self.path(directory);
        make_directory(&directory);
        directory.join(format!("d7y-resource-plugin-{scheme}"))
    }

    /// dfget that downloads `url` to `work/file`. The plugin is installed, if there is none for this scheme.
    pub(crate) fn get(&self, url: &str) -> Dfget<'_> {
        let scheme = url.split(':').next().unwrap_or_default();
        let path = self.plugin_path("plugins", scheme);
        if !IN_TREE.contains(&scheme) && path.symlink_metadata().is_err() {
            self.install(scheme);
        }
        self.get_as_is(url)
    }

    /// dfget that downloads the tree at `url`, which is one of `faultplug`'s, to `work/tree`.
    pub(crate) fn tree(&self, url: &str) -> Dfget<'_> {
        let scheme = url.split(':').next().unwrap_or_default();
        if self.plugin_path("plugins", scheme).symlink_metadata().is_err() {
            self.install(scheme);
        }
        Dfget::tree(self, url)
    }

    /// As [`get`](Self::get), and nothing is installed.
    pub(crate) fn get_as_is(&self, url: &str) -> Dfget<'_> {
        Dfget::download(self, url)
    }

    /// A download with a plugin by the book, after others that were not.
    pub(super) fn clean_download(&self, output: &Path) -> Dfget<'_> {
        let run = Dfget::download(self, "good://h/file?size=1000&seed=9").output(output).last();
        run.env("DFGET_PLUGIN_DIR", self.path("clean"))
    }

    /// dfget with these arguments and nobody to look after it.
    pub(crate) fn bare(&self, arguments: &[&str]) -> std::process::Child {
        Dfget::command(self, arguments).into_child()
    }

    /// dfget with these arguments, which download nothing.
    pub(crate) fn dfget(&self, arguments: &[&str]) -> Dfget<'_> {
        Dfget::command(self, arguments)
    }
}

/// A directory to which only its owner may write, whatever the umask.
fn make_directory(path: &Path) {
    if !path.exists() {
        fs::create_dir(path).expect("the directory it is in is writable");
        set_mode(path, 0o755);
    }
}

/// Sets the permissions of a file.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the file is ours");
}

/// Makes a named pipe, for which neither std nor rustix has a call on every system.
pub(crate) fn make_fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().expect("every Unix has mkfifo");
    assert!(made.success());
}
