"""Programs that a test needs, and where they are."""
import os
import shutil
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2]
DIST = EXAMPLE / "dist"
PLUGIN = DIST / "d7y-resource-plugin-fsspec"


def needed(name, package):
    """The path of a program. Without it the test is skipped, or fails where DFGET_TEST_REQUIRE is set."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin")
    if found:
        return found
    why = f"{name} is not installed; it is in Debian's package {package}"
    if os.environ.get("DFGET_TEST_REQUIRE") == "1":
        pytest.fail(why)
    pytest.skip(why)


def dfget():
    given = os.environ.get("DFGET")
    builds = [Path(given)] if given else [EXAMPLE.parents[1] / "target" / kind / "dfget" for kind in ("release", "debug")]
    for path in builds:
        if os.access(path, os.X_OK):
            return path.resolve()
    sys.exit(f"there is no dfget at {' or '.join(map(str, builds))}: build it (cargo build -p dfget), or name it with DFGET=PATH")
