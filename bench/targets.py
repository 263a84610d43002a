"""What is aimed at, as ratios of dfget's median by the peer's in one run: the only place where these numbers are.

They decide nothing: each is printed as met, or with the distance. Only sides that do the same work are compared: where
dfget flushes to disk and the peer cannot, there is no target."""

from peers import ARIA2, ARIA2_ONE, ARIA2_SYNC, CP, CP_SYNC, CURL, CURL_PARALLEL, CURL_SYNC, GO, GO_MTLS, IN_TREE, RCLONE

# Twice the throughput is half the time.
TWICE = {"wall": 0.5}

RATIOS = {
    ("cold start", CURL): {"wall": 1.0},
    ("cold start", GO): {"wall": 0.7},
    ("cold start, AutoMTLS", GO_MTLS): {"wall": 0.7},
    ("plugin to disk", CURL): {"wall": 1.0, "cpu": 1.2},
    ("plugin to disk", CP): {"wall": 1.5},
    ("plugin to disk", GO): TWICE,
    ("plugin to disk, flushed", CURL_SYNC): {"wall": 1.0, "cpu": 1.2},
    ("plugin to disk, flushed", CP_SYNC): {"wall": 1.5},
    ("plugin to tmpfs", CURL): {"wall": 1.0, "cpu": 1.2},
    ("plugin to tmpfs", GO): TWICE,
    ("plugin to /dev/null", CURL): {"wall": 0.8, "cpu": 1.2},
    ("plugin to /dev/null", GO): TWICE,
    ("plugin to /dev/null, messages", CURL): {"wall": 0.8, "cpu": 1.2},
    ("plugin to /dev/null, messages", GO): TWICE,
    ("http to disk", CURL): {"wall": 1.0, "cpu": 1.0},
    ("http to disk, flushed", CURL_SYNC): {"wall": 1.0, "cpu": 1.0},
    ("http to tmpfs", CURL): {"wall": 1.0, "cpu": 1.0},
    ("http to /dev/null", CURL): {"wall": 1.0, "cpu": 1.0},
    ("http to disk", ARIA2_ONE): {"wall": 1.0, "cpu": 1.0},
    ("http to tmpfs", ARIA2_ONE): {"wall": 1.0, "cpu": 1.0},
    ("isolated http to disk", IN_TREE): {"cpu": 1.3},
    ("isolated http to /dev/null", IN_TREE): {"cpu": 1.3},
    ("http to disk, 4 pieces", ARIA2): {"wall": 1.0, "cpu": 1.0},
    ("http to disk, 4 pieces, flushed", ARIA2_SYNC): {"wall": 1.0, "cpu": 1.0},
    ("http to tmpfs, 4 pieces", ARIA2): {"wall": 1.0, "cpu": 1.0},
    ("small files", CURL_PARALLEL): {"wall": 1.0},
    ("small files", RCLONE): {"wall": 0.5},
}

# Seconds, of dfget alone.
SECONDS = {"100 plugins": 0.5}

HOST_KIB = 48 << 10
# The largest file's peak by that of the next smaller one: flat, but for what two runs of the same differ.
FLAT = 1.1


def verdict(found, limit):
    """Of a ratio, seconds or bytes: how it stands to what is aimed at."""
    if found <= limit:
        return "met"
    return f"missed by {max(1, round((found / limit - 1) * 100))} %"


def of_ratio(key, peer, kind):
    """The limit, or None."""
    return RATIOS.get((key, peer), {}).get(kind)
