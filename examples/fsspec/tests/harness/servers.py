"""Real servers on ports that the system chose. OpenSSH's and vsftpd are started a connection at a time, as inetd did."""
import getpass
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

from . import plugin, programs


class Inetd(socketserver.ThreadingTCPServer):
    """Hands each connection to a new process of `command`. Knows when that was."""

    daemon_threads = True
    block_on_close = False
    # By default five connections wait to be accepted, and those of a burst are dropped for seconds.
    request_queue_size = 128

    def __init__(self, command):
        self.command = command
        self.accepted = 0
        self._processes = []
        super().__init__(("127.0.0.1", 0), None)

    @property
    def port(self):
        return self.server_address[1]

    def finish_request(self, request, client_address):
        self.accepted += 1
        process = subprocess.Popen(self.command, stdin=request, stdout=request, stderr=subprocess.DEVNULL)
        self._processes.append(process)
        request.close()
        process.wait()

    def shutdown_request(self, request):
        # A shutdown would be that of the process too.
        self.close_request(request)

    def running(self):
        """The process ids of the connections, with what they started: sshd has a process for the session."""
        found = [process.pid for process in self._processes if process.poll() is None]
        for pid in found:
            children = Path(f"/proc/{pid}/task/{pid}/children")
            found += map(int, children.read_text().split() if children.exists() else [])
        return found

    def end_connections(self):
        for pid in self.running():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._processes:
            process.wait()

    @contextmanager
    def hanging(self):
        """Its connections stay, and nothing comes through them."""
        stopped = self.running()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in stopped:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        if isinstance(server, Inetd):
            server.end_connections()


def keygen(path, *more):
    tool = programs.needed("ssh-keygen", "openssh-client")
    subprocess.run([tool, "-q", "-t", "ed25519", "-N", "", "-f", path, *more], check=True)


@contextmanager
def openssh(directory, more=""):
    """With these settings. Its keys: `host`, `user`, `locked` with the passphrase `open sesame`, `stranger` that it does not know."""
    program = programs.needed("sshd", "openssh-server")
    if os.geteuid() == 0:
        # Where it drops its rights; Debian makes it when the service starts.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host", "user", "stranger"):
        keygen(directory / name)
    keygen(directory / "locked", "-N", "open sesame")
    (directory / "authorized").write_text("".join((directory / f"{name}.pub").read_text() for name in ("user", "locked")))
    (directory / "config").write_text(f"""\
HostKey {directory}/host
AuthorizedKeysFile {directory}/authorized
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication yes
PermitRootLogin yes
Subsystem sftp internal-sftp
{more}
""")
    with serving(Inetd([program, "-i", "-f", str(directory / "config")])) as server:
        kind, key, *_ = (directory / "host.pub").read_text().split()
        (directory / "known").write_text(f"[127.0.0.1]:{server.port} {kind} {key}\n")
        server.user = getpass.getuser()
        yield server


@contextmanager
def vsftpd(directory):
    """Anonymous; paths are those of this machine. It has no MLSD, so that its listings are those of ls."""
    program = programs.needed("vsftpd", "vsftpd")
    (directory / "empty").mkdir()
    (directory / "vsftpd.conf").write_text(f"""\
listen=NO
listen_ipv6=NO
run_as_launching_user=YES
anonymous_enable=YES
anon_world_readable_only=NO
local_enable=NO
secure_chroot_dir={directory}/empty
seccomp_sandbox=NO
background=NO
xferlog_enable=NO
""")
    with serving(Inetd([program, str(directory / "vsftpd.conf")])) as server:
        yield server


@contextmanager
def pyftpd(root, certificate="", rights="elr"):
    """With the user `ada` and the password `s3cret word`; with `certificate`, a PEM file, TLS is required."""
    program = [sys.executable, "-B", Path(__file__).with_name("ftpd.py"), root, rights, certificate]
    process = subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        process.port = int(process.stdout.readline())
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def samba(directory, root):
    """With the share `tree` and the user of the tests, whose password is `s3cret word`."""
    program, passwords = programs.needed("smbd", "samba"), programs.needed("smbpasswd", "samba-common-bin")
    for name in ("private", "state", "run"):
        (directory / name).mkdir(mode=0o755)
    with socket.socket() as free:
        # smbd itself asks for no port of the system's choice.
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = directory / "smb.conf"
    config.write_text(f"""\
[global]
smb ports = {port}
interfaces = 127.0.0.1
bind interfaces only = yes
server role = standalone server
disable netbios = yes
load printers = no
printing = bsd
private dir = {directory}/private
lock directory = {directory}/run
state directory = {directory}/state
cache directory = {directory}/state
pid directory = {directory}/run
ncalrpc dir = {directory}/run/ncalrpc
log file = {directory}/log
[tree]
path = {root}
read only = yes
""")
    user = getpass.getuser()
    subprocess.run([passwords, "-c", config, "-a", "-s", user], input="s3cret word\ns3cret word\n", text=True, check=True, capture_output=True)
    process = subprocess.Popen([program, "--foreground", "--no-process-group", "-s", config], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        plugin.until(lambda: _accepts(port), 10)
        process.port, process.user = port, user
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _accepts(port):
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
