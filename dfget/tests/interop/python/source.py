"""A source that serves made-up bytes: those that `faultplug` has for the same URL, so that a test knows them."""

import struct
from urllib.parse import parse_qs, urlsplit

from dragonfly.plugin.resource.v1 import resource_pb2 as pb
from dragonfly.plugin.resource.v1.resource_grpc import ResourceClientBase
from grpclib import GRPCError, Status

CHUNK = 256 * 1024
MASK = 2**64 - 1


def content(url):
    query = parse_qs(urlsplit(url).query)
    return int(query.get("seed", ["1"])[0]), int(query.get("size", ["100000"])[0])


def word(seed, index):
    """SplitMix64 of the index: https://prng.di.unimi.it/splitmix64.c"""
    value = (index + (seed << 32 | seed >> 32) + 1) * 0x9E3779B97F4A7C15 & MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & MASK
    return value ^ value >> 31


def data(seed, start, end):
    words = [word(seed, index) for index in range(start // 8, -(-end // 8))]
    return struct.pack(f"<{len(words)}Q", *words)[start % 8 :][: end - start]


def metadata(url):
    seed, size = content(url)
    return pb.Metadata(content_length=size, support_range=True, validator=pb.Validator(etag=f'"{seed}-{size}"'))


class Source(ResourceClientBase):
    """`announce` is called as a download begins."""

    def __init__(self, announce):
        self.announce = announce

    async def Init(self, stream):
        request = await stream.recv_message()
        if request.options:
            raise GRPCError(Status.INVALID_ARGUMENT, f"there is no option `{min(request.options)}`")
        about = {"type": "resource", "name": request.scheme, "scheme": request.scheme, "vendor": "python"}
        await stream.send_message(pb.InitResponse(attributes=about))

    async def GetMetadata(self, stream):
        request = await stream.recv_message()
        await stream.send_message(pb.GetMetadataResponse(metadata=metadata(request.resource.url)))

    async def GetContentLength(self, stream):
        request = await stream.recv_message()
        await stream.send_message(pb.GetContentLengthResponse(content_length=content(request.resource.url)[1]))

    async def IsSupportRange(self, stream):
        await stream.recv_message()
        await stream.send_message(pb.IsSupportRangeResponse(support_range=True))

    async def IsExpired(self, stream):
        request = await stream.recv_message()
        current = metadata(request.resource.url).validator.etag
        await stream.send_message(pb.IsExpiredResponse(expired=request.validator.etag != current))

    async def GetLastModified(self, stream):
        await stream.recv_message()
        await stream.send_message(pb.GetLastModifiedResponse(last_modified=-1))

    async def List(self, stream):
        await stream.recv_message()
        await stream.send_message(pb.ListResponse(entries=[pb.Entry(name="a"), pb.Entry(name="b")]))

    async def Download(self, stream):
        request = await stream.recv_message()
        url = request.resource.url
        (seed, end), start, about = content(url), request.range.start, metadata(url)
        if request.validator.etag not in ("", about.validator.etag):
            raise GRPCError(Status.FAILED_PRECONDITION, "it has changed")
        if start > end or start == end > 0:
            raise GRPCError(Status.OUT_OF_RANGE, f"it has {end} bytes")
        if request.range.HasField("length"):
            end = min(end, start + request.range.length)
        self.announce(start, end)
        served = pb.Range(start=start, length=end - start)
        await stream.send_message(pb.DownloadResponse(opened=pb.Opened(status=200, range=served, metadata=about)))
        for at in range(start, end, CHUNK):
            piece = pb.Chunk(offset=at, data=data(seed, at, min(end, at + CHUNK)))
            await stream.send_message(pb.DownloadResponse(chunk=piece))
        await stream.send_message(pb.DownloadResponse(end=pb.End(total=end - start)))
