"""Runs dfget, and looks for what it must not leave behind."""
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import programs

LIMIT = 60


@dataclass
class Outcome:
    status: int
    stdout: str
    stderr: str


class Host:
    def __init__(self, home):
        self.home = home
        self._program = programs.dfget()

    def command(self, *arguments, options=()):
        trust = ["--plugin-dir", programs.DIST, "--trust-plugin-dir", programs.DIST]
        given = [word for name, value in dict(options).items() for word in ("--opt", f"{name}={value}")]
        return [str(word) for word in (self._program, "--no-progress", *trust, *given, *arguments)]

    def environment(self):
        # Neither the settings nor the keys of whoever runs the tests.
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "DFGET_CONFIG": "", "LANG": "C.UTF-8"}

    def run(self, *arguments, options=()):
        done = subprocess.run(self.command(*arguments, options=options), env=self.environment(), cwd=self.home, timeout=LIMIT,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert plugins_running() == []
        return Outcome(done.returncode, done.stdout, done.stderr)

    def validate(self, scheme, url, missing, empty, directory, options=()):
        """Holds the plugin to the rules of PROTOCOL.md. The limits are for machines that are busy."""
        return self.run("plugin", "validate", programs.DIST / f"d7y-resource-plugin-{scheme}", url, "--missing", missing, "--empty", empty,
                        "--directory", directory, "--strict", "--patience", 5, options=options)

    def start(self, *arguments, options=()):
        """With --json: its events are read from `stdout`."""
        return subprocess.Popen(self.command("--json", *arguments, options=options), env=self.environment(), cwd=self.home,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def events(text):
    return [json.loads(line) for line in text.splitlines()]


def plugins_running():
    """Process ids of the plugin under test, whoever started it."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if _is_plugin(path)]


def _is_plugin(process):
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(word.startswith(bytes(programs.DIST) + b"/d7y-resource-plugin-") for word in words[1:3])
