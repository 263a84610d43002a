"""A host as pyplugin has one: starts a plugin, makes each call, cancels a download if asked to, and ends the plugin.

    host.py PLUGIN SCHEME URL [KEY=VALUE] [--mtls] [--versions 1,2] [--cancel]

What comes of it is on stdout, a line each; what the plugin logs is on stderr.
"""

import argparse
import asyncio
import hashlib
import logging
import os
import time

import pyplugin
from dragonfly.plugin.resource.v1 import resource_pb2 as pb
from grpclib.exceptions import GRPCError

from contract import HANDSHAKE, Resource

# A plugin has a second after Shutdown.
IN_TIME = 1.5


async def calls(stub, scheme, url, options):
    about = await stub.Init(pb.InitRequest(scheme=scheme, host="host/1", options=options))
    print(f"init: {about.attributes['scheme']}")
    resource = pb.Resource(url=url)
    whole = (await stub.GetMetadata(pb.GetMetadataRequest(resource=resource))).metadata
    length = await stub.GetContentLength(pb.GetContentLengthRequest(resource=resource))
    ranges = await stub.IsSupportRange(pb.IsSupportRangeRequest(resource=resource))
    modified = await stub.GetLastModified(pb.GetLastModifiedRequest(resource=resource))
    expired = await stub.IsExpired(pb.IsExpiredRequest(resource=resource, validator=whole.validator))
    known = whole.validator.last_modified if whole.validator.HasField("last_modified") else -1
    agree = (whole.content_length, whole.support_range, known) == (
        length.content_length,
        ranges.support_range,
        modified.last_modified,
    )
    print(f"calls: {length.content_length} bytes, agree={agree}, expired={expired.expired}")


async def listing(stub, url):
    try:
        pages = await stub.List(pb.ListRequest(resource=pb.Resource(url=url)))
        print("list:", *(entry.name for page in pages for entry in page.entries))
    except GRPCError as error:
        print(f"list: {error.status.name}: {error.message}")


async def download(stub, url):
    async with stub.Download.open() as stream:
        await stream.send_message(pb.DownloadRequest(resource=pb.Resource(url=url)), end=True)
        events, received, digest = [], 0, hashlib.sha256()
        async for message in stream:
            events.append(message.WhichOneof("event"))
            if events[-1] == "chunk":
                assert message.chunk.offset == received
                received += len(message.chunk.data)
                digest.update(message.chunk.data)
    assert (events[0], events[-1], message.end.total) == ("opened", "end", received)
    print(f"download: {received} bytes, sha256 {digest.hexdigest()}")


async def cancel(stub, url):
    async with stub.Download.open() as stream:
        await stream.send_message(pb.DownloadRequest(resource=pb.Resource(url=url)), end=True)
        assert (await stream.recv_message()).WhichOneof("event") == "opened"
        await stream.cancel()
    print("cancel: done")


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("plugin")
    parser.add_argument("scheme")
    parser.add_argument("url")
    parser.add_argument("option", nargs="?")
    parser.add_argument("--mtls", action="store_true")
    parser.add_argument("--versions", default="1")
    # Of a large resource: grpclib cannot cancel a stream that has ended meanwhile.
    parser.add_argument("--cancel", action="store_true")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    options = dict([arguments.option.split("=", 1)]) if arguments.option else {}
    versions = {int(version): {"resource": Resource()} for version in arguments.versions.split(",")}
    client = pyplugin.Client(
        pyplugin.ClientConfig(
            handshake_config=HANDSHAKE, plugins=versions, cmd=[arguments.plugin], auto_mtls=arguments.mtls
        )
    )
    try:
        await client.start()
        print(f"version: {client.negotiated_version}")
        stub = client.dispense("resource")
        await calls(stub, arguments.scheme, arguments.url, options)
        await listing(stub, arguments.url)
        await download(stub, arguments.url)
        if arguments.cancel:
            await cancel(stub, arguments.url)
            await download(stub, arguments.url)
    except Exception as error:
        print(f"failed: {type(error).__name__}: {error}")
    begun = time.monotonic()
    await client.kill()
    in_time = "in time" if time.monotonic() - begun < IN_TIME else "late"
    try:
        os.kill(client.pid, 0)
        print(f"kill: {in_time}, it lives")
    except ProcessLookupError:
        print(f"kill: {in_time}, it is gone")


asyncio.run(asyncio.wait_for(main(), 60))
