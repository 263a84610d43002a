"""Real servers on ports that the system chose. OpenSSH's and vsftpd are started a connection at a time, as inetd did."""
import getpass
import os
import signal
import socketserver
import subprocess
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

from . import programs


class Inetd(socketserver.ThreadingTCPServer):
    """Hands each connection to a new process of `command`. Knows when that was."""

    daemon_threads = True
    block_on_close = False

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
def openssh(directory):
    """Its keys: `host`, `user`, `locked` with the passphrase `open sesame`, `stranger` that it does not know."""
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
def pyftpd(root, certificate=None):
    """With the user `ada` and the password `s3cret word`; with `certificate`, a PEM file, TLS is required."""
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
    from pyftpdlib.log import config_logging
    from pyftpdlib.servers import ThreadedFTPServer

    config_logging(level="CRITICAL")
    authorizer = DummyAuthorizer()
    authorizer.add_user("ada", "s3cret word", str(root), perm="elr")
    base = TLS_FTPHandler if certificate else FTPHandler
    handler = type("Handler", (base,), {"authorizer": authorizer, "auth_failed_timeout": 0})
    if certificate:
        handler.certfile, handler.tls_control_required, handler.tls_data_required = str(certificate), True, True
    server = ThreadedFTPServer(("127.0.0.1", 0), handler)
    server.port = server.socket.getsockname()[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"timeout": 0.05, "handle_exit": False}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close_all()
