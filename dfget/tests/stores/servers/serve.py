"""serve.py STORE PROGRAMS: starts one server, says where it is, and does what it is told until its stdin ends.

Each line of stdin is a call, such as {"do": "put", "bucket": "b", "key": "k", "file": "/f"}; each line of stdout the
answer, {"ok": …} or {"error": …}. The first line of stdout comes unasked: what one must know to use the server, such as
the `options` and `variables` with which dfget reaches it, and the `base` of its URLs.
"""

import importlib
import json
import shutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from relay import Relay

STORES = {
    "versitygw": ("s3", "Versitygw"),
    "moto": ("s3", "Moto"),
    "oss": ("cloud", "Oss"),
    "cos": ("cloud", "Cos"),
    "obs": ("cloud", "Obs"),
    "azurite": ("azurite", "Azurite"),
    "gcs": ("gcs", "Gcs"),
    "webhdfs": ("webhdfs", "WebHdfs"),
}


def main():
    name, programs = sys.argv[1:]
    # Whoever ends the tests ends this in peace, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    home = Path(tempfile.mkdtemp(prefix="dfget-store-", dir="/tmp"))
    store = None
    try:
        module, kind = STORES[name]
        store = getattr(importlib.import_module(module), kind)(home, programs)
        relay = Relay(store.port)
        answer({"ok": store.facts(f"http://127.0.0.1:{relay.port}")})
        for line in sys.stdin:
            answer(do(store, relay, json.loads(line)))
    except Exception:
        answer({"error": traceback.format_exc()})
    finally:
        if getattr(store, "process", None):
            store.process.kill()
            store.process.wait()
        shutil.rmtree(home, ignore_errors=True)


def do(store, relay, call):
    """The requests that came for a `bucket`, or what the store can be asked."""
    name = call.pop("do")
    if name == "requests":
        word = call["of"]
        return {"ok": [request for request in list(relay.requests) if word in str(request)]}
    if name == "refuse":
        return {"ok": relay.refuse(**call)}
    try:
        return {"ok": getattr(store, name)(**call)}
    except Exception:
        return {"error": traceback.format_exc()}


def answer(value):
    print(json.dumps(value), flush=True)


main()
