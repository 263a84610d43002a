#!/usr/bin/env python3
"""Kills the plugin of one download with SIGKILL, again and again, and tells what that cost: `bench/kills.py [KILLS]`."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ground import RELEASE, SHARE, noise
from processes import children

SIZE = 1 << 30
RATE = 200 << 20


def main():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory(prefix="kills-", dir=RELEASE.parent) as scratch:
        scratch = Path(scratch)
        file = scratch / "served" / "file"
        file.parent.mkdir()
        noise(file, SIZE)
        dfget = start(scratch)
        read = [kill(dfget, (SIZE / RATE) / (kills + 1)) for _ in range(kills)]
        events = [json.loads(line) for line in dfget.communicate()[0].splitlines()]
        tell(dfget.returncode, events, sum(read))
        same = digest(file) == digest(scratch / "output")
        print(f"sha256: {'equal' if same else 'DIFFERENT'}; left over: {left_over(scratch) or 'nothing'}")
        sys.exit(0 if same and dfget.returncode == 0 else 1)


def start(scratch):
    plugin = scratch / "plugins" / SHARE
    plugin.parent.mkdir(mode=0o755)
    plugin.write_bytes((RELEASE / plugin.name).read_bytes())
    plugin.chmod(0o755)
    words = ["share:///file", "--opt", f"root={scratch / 'served'}", "-O", scratch / "output", "-n1", "--json", "-q"]
    environment = os.environ | {"DFGET_CONFIG": "", "DFGET_TRUST_PLUGIN_DIR": "/", "TMPDIR": str(scratch)}
    command = [RELEASE / "dfget", "--plugin-dir", plugin.parent, "--limit-rate", str(RATE), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)


def kill(dfget, pause):
    """Lets it run for a while; returns what the plugin had read by then."""
    time.sleep(pause + 0.25)  # it is started again after 0.2 s
    [plugin] = children(dfget.pid)
    counters = dict(line.split(": ") for line in Path(f"/proc/{plugin}/io").read_text().splitlines())
    os.kill(plugin, signal.SIGKILL)
    return int(counters["rchar"])


def tell(status, events, read):
    named = lambda name: [event for event in events if event["event"] == name]
    offsets = [event["offset"] for event in named("retried")]
    print(f"exit {status}; {len(named('plugin_restarted'))} restarts told")
    print(f"went on at: {', '.join(f'{offset >> 20} MiB' for offset in offsets)}")
    ahead = read - (offsets[-1] if offsets else 0)
    print(f"read by the plugins that were killed, beyond where the next one went on: {ahead / 2**20:.1f} MiB in all")


def digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def left_over(scratch):
    return [path.name for path in scratch.iterdir() if path.name not in ("served", "plugins", "output")]


if __name__ == "__main__":
    main()
