"""What the host says in environment variables (PROTOCOL.md, "Environment"), and the handshake line that answers it."""
import os
import random
import sys
import tempfile
from dataclasses import dataclass

COOKIE = "d5d7b8f2c1e94a0f8e53a3b6f4907c2e9a61d08b7c35f24e1b90ad6c8f723e45"
VERSION = 1
LONGEST_PATH = 107

BY_HAND = """\
This is a source plugin of dfget. It is not meant to be run by hand.
Put it, and links to it that are named after schemes, where dfget looks for plugins (dfget plugin lists them);
then download with it: dfget -u sftp://user@host/path"""


@dataclass(frozen=True)
class Environment:
    directory: str
    group: str
    client_certificate: str
    life_line: bool
    multiplex: bool

    @classmethod
    def read(cls, variables):
        if variables.get("DRAGONFLY_PLUGIN_MAGIC_COOKIE") != COOKIE:
            sys.exit(BY_HAND)
        return cls(
            directory=variables.get("PLUGIN_UNIX_SOCKET_DIR") or tempfile.gettempdir(),
            group=variables.get("PLUGIN_UNIX_SOCKET_GROUP", ""),
            client_certificate=variables.get("PLUGIN_CLIENT_CERT", ""),
            life_line=variables.get("DRAGONFLY_PLUGIN_LIFE_LINE") == "stdin",
            multiplex=bool(variables.get("PLUGIN_MULTIPLEX_GRPC")),
        )

    def socket(self):
        """A path for the socket, which nothing has yet."""
        path = os.path.join(self.directory, f"plugin{random.SystemRandom().randrange(10**9)}")
        if len(os.fsencode(path)) > LONGEST_PATH:
            sys.exit(f"{self.directory} is too long for a socket: its path has at most {LONGEST_PATH} bytes")
        return path

    def handshake_line(self, path, certificate=""):
        # The plugin speaks one version only. It is the highest that both speak, or the lowest of this plugin: the
        # host decides then.
        fields = ["1", str(VERSION), "unix", path, "grpc", certificate]
        return "|".join(fields + ["false"] * self.multiplex) + "\n"
