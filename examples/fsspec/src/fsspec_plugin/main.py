"""The life of the process: from the handshake line to its end."""
import os
import signal
import stat
import threading

from . import log
from .environment import Environment

# dfget sends SIGTERM 1 s after it has asked for the end.
GRACE = 0.3


def run(handshake):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    environment = Environment.read(os.environ)
    log.to_stderr()
    end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    if environment.life_line:
        watch_life_line()

    # Not at the top: who runs the plugin by hand need not wait for gRPC to be imported.
    from .server import Server

    server = Server(environment, end)
    os.write(handshake, server.handshake_line.encode())
    os.close(handshake)
    end.wait()
    server.stop(GRACE)
    # Threads may wait for a storage; nothing waits for them.
    os._exit(0)


def watch_life_line():
    """Ends the process with its host. Behind a launcher that put something else there, stdin says nothing of the host."""
    mode = os.fstat(0).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        threading.Thread(target=_read_life_line, daemon=True).start()


def _read_life_line():
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass
    os._exit(0)
