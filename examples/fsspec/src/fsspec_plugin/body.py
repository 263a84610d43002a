"""A download: which range is served, of which version, whether it was all of it."""
import time
from dataclasses import dataclass

from dragonfly.plugin.resource.v1 import resource_pb2 as messages
from grpc import StatusCode

from .fault import Fault, changed, changed_while_read, damaged, is_directory
from .resource import names_a_version

# Measured through dfget with random bytes from memory: 256 KiB took the least processor time, 128 KiB and 1 MiB up
# to half as much again (README.md, "How it is packed, and why").
CHUNK = 256 * 1024
# A storage that is slow has to show progress all the same: dfget gives up below 1 KiB/s in 30 s.
SMALLEST = 32 * 1024
SLOW = 1.0


class ChunkSize:
    """Small for the first byte and for slow storages, full as soon as it comes quickly."""

    def __init__(self):
        self.bytes = SMALLEST

    def took(self, seconds):
        if seconds > SLOW:
            self.bytes = max(SMALLEST, self.bytes // 2)
        else:
            self.bytes = min(CHUNK, self.bytes * 2)


@dataclass(frozen=True)
class Plan:
    """`length`: what the host is told; None where it is unknown. `limit`: what is read at most; None is all there is."""

    start: int
    length: int | None
    limit: int | None


def plan(request, resource, path):
    if resource.directory:
        raise is_directory(path)
    if names_a_version(request.validator) and not resource.same_version(request.validator):
        raise changed(path)
    start = request.range.start
    wanted = request.range.length if request.range.HasField("length") else None
    if start and not resource.ranges:
        return Plan(0, resource.length, resource.length)
    if resource.length is None:
        return Plan(start, None, wanted)
    if start and start >= resource.length:
        raise Fault(StatusCode.OUT_OF_RANGE, f"{path} has {resource.length} bytes, and was asked for those from {start} on")
    rest = resource.length - start
    served = rest if wanted is None else min(wanted, rest)
    return Plan(start, served, served)


def events(storage, resource, path, planned):
    """The messages of one download. Whoever stops before the last one has to drop the connection."""
    yield messages.DownloadResponse(opened=_opened(resource, planned))
    sent = 0
    for data in _chunks(storage, resource, path, planned):
        yield messages.DownloadResponse(chunk=messages.Chunk(offset=planned.start + sent, data=data))
        sent += len(data)
    # First this: a resource that became shorter was changed, which is another thing than a broken storage.
    if not storage.unchanged(path, resource):
        raise changed_while_read(path)
    if planned.length is not None and sent != planned.length:
        raise damaged(f"the storage ended {path} after {sent} of {planned.length} bytes")
    yield messages.DownloadResponse(end=messages.End(total=sent))


def _opened(resource, planned):
    part = planned.start > 0 or planned.limit not in (None, resource.length)
    served = messages.Range(start=planned.start, length=planned.length)
    return messages.Opened(status=206 if part else 200, range=served, metadata=resource.metadata())


def _chunks(storage, resource, path, planned):
    """Never more than the plan; less where the storage ends earlier. It reads the storage to its end of the range, so
    that the connection is as it was before."""
    if planned.limit == 0:
        return
    left = planned.limit
    for data in storage.read(path, resource, planned.start, planned.limit):
        if left is not None:
            data = data[:left]
            left -= len(data)
        if data:
            yield data


def read_in_chunks(read, length):
    """What `read` delivers, as far as `length` (None: to its end)."""
    size, left = ChunkSize(), length
    while left is None or left > 0:
        before = time.monotonic()
        data = read(size.bytes if left is None else min(size.bytes, left))
        if not data:
            return
        size.took(time.monotonic() - before)
        left = None if left is None else left - len(data)
        yield data
