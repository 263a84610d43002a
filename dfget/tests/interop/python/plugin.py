"""A plugin as an author writes it with pyplugin. One whose name begins with `tcp` listens on TCP."""

import json
import os
import sys
import threading
from datetime import datetime, timezone

import pyplugin

from contract import HANDSHAKE, Resource
from source import Source

# Nothing lives longer: a test that fails must not leave a process for ever.
FUSE = 120


def log(level, message, **fields):
    """A line as hclog writes it: pyplugin reads such lines, and writes none."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    line = {"@level": level, "@message": message, "@timestamp": now, **fields}
    print(json.dumps(line), file=sys.stderr, flush=True)


def announce(start, end):
    log("info", "serving", start=start, end=end)
    print("printed by the plugin", flush=True)


def main():
    fuse = threading.Timer(FUSE, os._exit, [99])
    fuse.daemon = True
    fuse.start()
    name = os.path.basename(sys.argv[0]).removeprefix("d7y-resource-plugin-")
    if name == "banner":
        print("python plugin 1.0")
    plugins = {"resource": Resource(Source(announce))}
    pyplugin.serve(
        pyplugin.ServeConfig(handshake_config=HANDSHAKE, plugins=plugins, force_tcp=name.startswith("tcp"))
    )


if __name__ == "__main__":
    main()
