"""A local nginx that serves one directory: its own configuration, a free port, nothing of the system's touched."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from processes import high_water, seconds

CONFIGURATION = """\
{user}
daemon off;
worker_processes 1;
pid {home}/pid;
error_log {home}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    autoindex on;
    tcp_nopush on;
    default_type application/octet-stream;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {root};
    }}
}}
"""


def find():
    """The path of nginx: Debian keeps it where only root's PATH looks."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/local/sbin:/usr/sbin")


class Nginx:
    """Runs while its `with` block does."""

    def __init__(self, program, root, home):
        self.program, self.root, self.home = program, root, home
        self.process, self.port = None, free_port()

    def __enter__(self):
        self.home.mkdir()
        file = self.home / "nginx.conf"
        user = "user root root;" if os.geteuid() == 0 else ""  # it must read what we made
        file.write_text(CONFIGURATION.format(user=user, home=self.home, root=self.root, port=self.port))
        argv = [self.program, "-e", str(self.home / "error.log"), "-p", str(self.home), "-c", str(file)]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        try:
            self.wait_until_it_listens()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_until_it_listens(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        log = self.home / "error.log"
        raise RuntimeError(f"nginx does not listen: {log.read_text().strip() if log.exists() else 'no log'}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def url(self, name):
        return f"http://127.0.0.1:{self.port}/{name}"

    def cpu(self):
        """Seconds of CPU that the master and its worker have used."""
        return sum(seconds(pid) for pid in self.pids())

    def memory(self):
        """Their peaks together since they started, in KiB."""
        return sum(high_water(pid) for pid in self.pids())

    def pids(self):
        master = self.process.pid
        return [master, *Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
