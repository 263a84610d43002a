"""The log: one JSON object a line on stderr, as hclog writes it. Secrets are replaced in everything that leaves here."""
import json
import logging
import sys
from datetime import datetime, timezone

LEVELS = {"DEBUG": "debug", "INFO": "info", "WARNING": "warn"}
# A shorter one would tear holes into every other word.
SHORTEST_SECRET = 4

_secrets = set()


def keep_secret(*texts):
    _secrets.update(text for text in texts if text and len(text) >= SHORTEST_SECRET)


def without_secrets(text):
    for secret in sorted(_secrets.copy(), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


class Hclog(logging.Formatter):
    def format(self, record):
        message = super().format(record)
        return json.dumps({
            "@level": LEVELS.get(record.levelname, "error"),
            "@message": without_secrets(message),
            "@module": record.name,
            "@timestamp": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="microseconds"),
        })


def to_stderr():
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Hclog())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("fsspec_plugin").setLevel(logging.DEBUG)
    # What it says at these levels the error of the call says better, and it writes tracebacks for a refused password.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
