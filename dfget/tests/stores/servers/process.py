"""A server as a process of its own, on a free port of 127.0.0.1."""

import ctypes
import os
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
LIMIT = 60


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        return reserved.getsockname()[1]


def start(command, port, log, **options):
    """Starts it, and waits until it listens. It ends with whoever started it."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=die_with_parent, **options
        )
    begun = time.monotonic()
    while not listens(port):
        if process.poll() is not None or time.monotonic() - begun > LIMIT:
            process.kill()
            with open(log, encoding="utf-8", errors="replace") as output:
                raise RuntimeError(f"{command[0]} does not start: {output.read()[-2000:]}")
        time.sleep(0.02)
    return process


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def environment(**more):
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **more}


def wait_until(ready):
    """Until it raises nothing any more."""
    begun = time.monotonic()
    while True:
        try:
            return ready()
        except OSError:
            if time.monotonic() - begun > LIMIT:
                raise
            time.sleep(0.05)
