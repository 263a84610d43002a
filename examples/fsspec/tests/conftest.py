import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from harness import plugin as plugins  # noqa: E402
from harness import servers, tree  # noqa: E402
from harness.host import Host  # noqa: E402


@dataclass
class Storage:
    """A server and how it is asked. `wrong`: options that it refuses, if it has credentials."""

    root: str
    options: dict = field(default_factory=dict)
    wrong: dict | None = None
    # Which has ls's listings has neither seconds nor versions in them.
    dated: bool = True

    def url(self, path):
        return self.root + quote(path)


@pytest.fixture(scope="session")
def shared():
    """A directory that servers may enter whoever they run as, unlike pytest's."""
    directory = Path(tempfile.mkdtemp(prefix="dfget-fsspec-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def root(shared):
    before = os.umask(0o022)
    try:
        (shared / "root").mkdir()
        tree.make(shared / "root")
        tree.pack(shared / "root", shared)
    finally:
        os.umask(before)
    return shared / "root"


@pytest.fixture
def host(tmp_path):
    (tmp_path / "home").mkdir()
    return Host(tmp_path / "home")


@pytest.fixture
def directory():
    """For a plugin without dfget. The path of a socket has to be short, which pytest's directories are not."""
    with tempfile.TemporaryDirectory(prefix="plugin-") as path:
        yield path


@pytest.fixture
def plugin_of(directory):
    """A plugin that serves this scheme with these options."""
    with ExitStack() as stack:
        def start(scheme, options=()):
            plugin = stack.enter_context(plugins.started(directory, scheme)).connect()
            stack.callback(lambda: (plugin.process.kill(), print(plugin.process.stderr.read().decode())))
            plugin.init(scheme, {name: str(value) for name, value in dict(options).items()})
            return plugin

        yield start


@pytest.fixture(scope="session")
def ssh_directory(tmp_path_factory):
    return tmp_path_factory.mktemp("ssh")


@pytest.fixture(scope="session")
def sshd(ssh_directory):
    with servers.openssh(ssh_directory) as server:
        yield server


@pytest.fixture(scope="session")
def sftp(sshd, ssh_directory, root):
    known = {"known_hosts": ssh_directory / "known", "look_for_keys": "false"}
    right = known | {"username": sshd.user, "key_filename": ssh_directory / "user"}
    wrong = known | {"username": sshd.user, "password": "hunter2hunter2"}
    return Storage(f"sftp://127.0.0.1:{sshd.port}{root}/", right, wrong)


@pytest.fixture(scope="session")
def ftp(root):
    with servers.pyftpd(root) as server:
        right = {"username": "ada", "password": "s3cret word"}
        yield Storage(f"ftp://127.0.0.1:{server.port}/", right, right | {"password": "hunter2hunter2"})


@pytest.fixture(scope="session")
def vsftpd(root, tmp_path_factory):
    with servers.vsftpd(tmp_path_factory.mktemp("vsftpd")) as server:
        yield Storage(f"ftp://127.0.0.1:{server.port}{root}/", wrong={"username": "ada", "password": "hunter2hunter2"}, dated=False)


@pytest.fixture(scope="session")
def smb(root, tmp_path_factory):
    with servers.samba(tmp_path_factory.mktemp("samba"), root) as server:
        right = {"username": server.user, "password": "s3cret word", "port": server.port}
        yield Storage("smb://127.0.0.1/tree/", right, right | {"password": "hunter2hunter2"})


@pytest.fixture(scope="session")
def zipped(root, shared):
    return Storage(f"zip://{shared}/tree.zip!/")


@pytest.fixture(scope="session")
def tarred(root, shared):
    return Storage(f"tar://{shared}/tree.tgz!/")


@pytest.fixture(params=["sftp", "ftp", "vsftpd", "smb", "zipped", "tarred"])
def storage(request):
    return request.getfixturevalue(request.param)
