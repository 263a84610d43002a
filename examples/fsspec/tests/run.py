"""Runs the tests, and closes with one line that counts them."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from harness import programs  # noqa: E402

NAME = "fsspec"


class Count:
    def __init__(self):
        self.passed, self.failed, self.skipped = set(), set(), {}

    def pytest_runtest_logreport(self, report):
        if report.failed:
            # Also one whose server or whose cleaning up fails.
            self.failed.add(report.nodeid)
        elif report.skipped:
            self.skipped[report.nodeid] = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        elif report.when == "call":
            self.passed.add(report.nodeid)

    def pytest_collectreport(self, report):
        if report.failed:
            self.failed.add(report.nodeid)

    def close(self):
        for why in sorted(set(self.skipped.values())):
            print(f"skipped: {str(why).removeprefix('Skipped: ')}")
        passed = self.passed - self.failed
        print(f"{NAME}: {len(passed)} passed, {len(self.failed)} failed, {len(self.skipped)} skipped", flush=True)


if __name__ == "__main__":
    programs.dfget()
    count = Count()
    here = Path(__file__).resolve().parent
    given = sys.argv[1:] or [str(here)]
    status = pytest.main(["-q", "-p", "no:cacheprovider", "--import-mode=importlib", f"--rootdir={here}", *given], plugins=[count])
    count.close()
    sys.exit(int(status) or bool(count.failed))
