"""The gRPC server on its socket, with the side services."""
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import quote

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from dragonfly.plugin.resource.v1 import resource_pb2_grpc
from plugin import grpc_controller_pb2, grpc_controller_pb2_grpc

from .service import ResourceClient

# A call holds a thread as long as it runs. PROTOCOL.md wants 100 streams at least, and Health answered beside them.
# Blocking calls in threads, because all that fsspec has for these schemes blocks: grpc.aio, which would have to hand
# each read to a thread and back, delivered half as much (README.md, "How it is packed, and why").
THREADS = 128


class Server:
    def __init__(self, environment, end):
        self._path = environment.socket()
        self._server = grpc.server(ThreadPoolExecutor(THREADS, "call"))
        self._serve(end)
        certificate = self._listen(environment.client_certificate)
        if environment.group:
            shutil.chown(self._path, group=int(environment.group) if environment.group.isdigit() else environment.group)
            os.chmod(self._path, 0o660)
        self._server.start()
        self.handshake_line = environment.handshake_line(self._path, certificate)

    def _serve(self, end):
        serving = health.HealthServicer()
        serving.set("plugin", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(serving, self._server)
        grpc_controller_pb2_grpc.add_GRPCControllerServicer_to_server(Controller(end), self._server)
        resource_pb2_grpc.add_ResourceClientServicer_to_server(ResourceClient(), self._server)

    def _listen(self, client_certificate):
        # gRPC reads this as a URI and decodes it.
        address = "unix:" + quote(self._path)
        if not client_certificate:
            self._server.add_insecure_port(address)
            return ""
        from . import tls

        credentials, certificate = tls.credentials(client_certificate)
        self._server.add_secure_port(address, credentials)
        return certificate

    def stop(self, grace):
        self._server.stop(grace).wait(2 * grace)
        # dfget has removed it when it was connected.
        with suppress(OSError):
            os.unlink(self._path)


class Controller(grpc_controller_pb2_grpc.GRPCControllerServicer):
    def __init__(self, end):
        self._end = end

    def Shutdown(self, request, context):
        # Once the answer is on its way: the end of the server ends open calls.
        context.add_callback(self._end.set)
        return grpc_controller_pb2.Empty()
