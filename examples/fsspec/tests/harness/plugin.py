"""The plugin without dfget: started, spoken to and ended by the test itself."""
import os
import subprocess
import time
from contextlib import contextmanager

import grpc
from dragonfly.plugin.resource.v1 import resource_pb2 as messages
from dragonfly.plugin.resource.v1 import resource_pb2_grpc
from fsspec_plugin.environment import COOKIE
from grpc_health.v1 import health_pb2_grpc
from plugin import grpc_controller_pb2_grpc

from . import programs

LIMIT = 20


class Plugin:
    def __init__(self, directory, scheme="fsspec", path=None, **environment):
        self.path = path or programs.DIST / f"d7y-resource-plugin-{scheme}"
        given = {"PATH": os.environ["PATH"], "HOME": str(directory), "TMPDIR": str(directory), "PLUGIN_PROTOCOL_VERSIONS": "1",
                 "DRAGONFLY_PLUGIN_MAGIC_COOKIE": COOKIE, "PLUGIN_UNIX_SOCKET_DIR": str(directory),
                 "DRAGONFLY_PLUGIN_LIFE_LINE": "stdin"} | environment
        given = {name: value for name, value in given.items() if value is not None}
        self.process = subprocess.Popen([self.path], env=given, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, start_new_session=True)
        self.line = self.process.stdout.readline().decode()

    @property
    def socket(self):
        return self.line.split("|")[3]

    def connect(self, credentials=None):
        address, named = "unix:" + self.socket, [("grpc.default_authority", "localhost")]
        self.channel = grpc.secure_channel(address, credentials, named) if credentials else grpc.insecure_channel(address, named)
        self.resources = resource_pb2_grpc.ResourceClientStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)
        self.controller = grpc_controller_pb2_grpc.GRPCControllerStub(self.channel)
        return self

    def init(self, scheme, options=(), **more):
        return self.resources.Init(messages.InitRequest(scheme=scheme, options=dict(options), **more), timeout=LIMIT)

    def ended(self, within=1.0):
        """Its status, and what it still wrote to stdout and stderr."""
        self.process.wait(within)
        return self.process.returncode, self.process.stdout.read().decode(), self.process.stderr.read().decode()


@contextmanager
def started(directory, scheme="fsspec", path=None, **environment):
    plugin = Plugin(directory, scheme, path, **environment)
    try:
        yield plugin
    finally:
        plugin.process.kill()
        plugin.process.wait()
        for stream in (plugin.process.stdin, plugin.process.stdout, plugin.process.stderr):
            stream.close()


def resource(url):
    return messages.Resource(url=url)


def refused(call):
    """Code and text of a call that is expected to fail."""
    try:
        answer = call()
        list(answer) if hasattr(answer, "cancel") else None
    except grpc.RpcError as error:
        return error.code().name, error.details()
    raise AssertionError("the call was answered")


def events(plugin, url, **more):
    return list(plugin.resources.Download(messages.DownloadRequest(resource=resource(url), **more), timeout=LIMIT))


def body(plugin, url, **more):
    return b"".join(event.chunk.data for event in events(plugin, url, **more))


def metadata(plugin, url):
    return plugin.resources.GetMetadata(messages.GetMetadataRequest(resource=resource(url)), timeout=LIMIT).metadata


def listing(plugin, url):
    answers = plugin.resources.List(messages.ListRequest(resource=resource(url)), timeout=LIMIT)
    return {entry.name: entry for answer in answers for entry in answer.entries}


def until(condition, within=1.0):
    """Waits for what another process does."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"not within {within} s"
        time.sleep(0.005)
