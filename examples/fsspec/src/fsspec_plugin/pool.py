"""Connections to storages, each of one call at a time, kept for a while for the next one.

fsspec caches its instances and shares them between threads; what they hold here (an FTP control connection, an SFTP
channel, an open archive) serves one call at a time only.
"""
import threading
import time
from contextlib import contextmanager

from grpc import StatusCode

from .fault import Fault

# A server may end an idle connection after a minute, and a tree has its next file sooner.
IDLE = 30


class Lease:
    """The right of one call to a connection. `abort` may come from another thread at any time, also after the end."""

    def __init__(self, pool, place, storage):
        self._pool = pool
        self._place = place
        self._lock = threading.Lock()
        self._over = False
        # In the middle of something, or broken: no other call can use it.
        self._spoilt = True
        self.aborted = False
        self.storage = storage
        self.resource = None

    @property
    def path(self):
        return self._place.path

    def look(self):
        with self.working():
            self.resource = self.storage.info(self.path)

    @contextmanager
    def working(self):
        """What fails here, or is left before its end, leaves a connection that is not used again."""
        self._spoilt = True
        with self._pool.faults(self.path):
            yield
        self._spoilt = False

    def abort(self):
        with self._lock:
            if not self._over:
                self.aborted = True
                self.storage.abort()

    def end(self):
        with self._lock:
            self._over = True
        if self._spoilt or self.aborted:
            self.storage.close()
        else:
            self._pool.keep(self._place, self.storage)


class Pool:
    """`connect` makes a storage of a place; `faults` tells what storages raise as `Fault`s."""

    def __init__(self, connect, faults):
        self._connect = connect
        self._idle = {}
        self._lock = threading.Lock()
        self.faults = faults

    def begin(self, place, watch):
        """A kept connection may have died meanwhile, which only its use shows: then another one is taken."""
        while True:
            storage = self._kept(place)
            lease = Lease(self, place, storage or self._connect(place))
            watch(lease)
            try:
                lease.look()
                return lease
            except BaseException as error:
                lease.end()
                lost = isinstance(error, Fault) and error.code is StatusCode.UNAVAILABLE
                if lease.aborted or not (lost and storage):
                    raise

    def keep(self, place, storage):
        with self._lock:
            self._idle.setdefault(place.key, []).append((storage, time.monotonic()))

    def _kept(self, place):
        with self._lock:
            stale = self._take_stale()
            kept = self._idle.get(place.key)
            storage = kept.pop()[0] if kept else None
        for old in stale:
            old.close()
        if storage is None or storage.current():
            return storage
        storage.close()
        return None

    def _take_stale(self):
        limit, stale = time.monotonic() - IDLE, []
        for key, kept in list(self._idle.items()):
            stale += [storage for storage, since in kept if since < limit]
            self._idle[key] = [pair for pair in kept if pair[1] >= limit]
            if not self._idle[key]:
                del self._idle[key]
        return stale
