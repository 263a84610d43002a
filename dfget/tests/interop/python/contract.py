"""What a plugin and a host made with pyplugin must agree on."""

import pyplugin
from dragonfly.plugin.resource.v1.resource_grpc import ResourceClientStub

HANDSHAKE = pyplugin.HandshakeConfig(
    protocol_version=1,
    magic_cookie_key="DRAGONFLY_PLUGIN_MAGIC_COOKIE",
    magic_cookie_value="d5d7b8f2c1e94a0f8e53a3b6f4907c2e9a61d08b7c35f24e1b90ad6c8f723e45",
)


class Resource(pyplugin.Plugin):
    """Both ends of the service, as pyplugin wants them."""

    def __init__(self, service=None):
        self.service = service

    def servicers(self, broker):
        return [self.service]

    def stub(self, broker, channel):
        return ResourceClientStub(channel)
