"""What a command leaves behind: a file, a tree or a listing. Compared with the original, and taken out of the way."""

import filecmp
import os
import shutil
import time
from pathlib import Path

FEW_FILES = 100


def same_length(output, original):
    if original.is_dir():
        return lengths(output) == lengths(original)
    return output.stat().st_size == original.stat().st_size


def lengths(directory):
    """The length of each file beneath, by its path."""
    files = (Path(parent, name) for parent, _, names in os.walk(directory) for name in names)
    return {file.relative_to(directory): file.stat().st_size for file in files}


def size(original):
    return sum(lengths(original).values()) if original.is_dir() else original.stat().st_size


def same_content(output, original):
    if original.is_dir():
        return same_length(output, original) and all(
            filecmp.cmp(output / path, original / path, shallow=False) for path in lengths(original)
        )
    with open(output, "rb") as a, open(original, "rb") as b:
        while True:
            piece = a.read(1 << 20)
            if piece != b.read(1 << 20):
                return False
            if not piece:
                return True


def same_number_of_lines(output, original):
    return lines(output) == lines(original)


def each_is_listed(output, original):
    """By `dfget plugin`, of a directory of plugins."""
    found = output.read_text().splitlines()
    return sum(line.startswith("resource plugin ") for line in found) == len(os.listdir(original))


def lines(path):
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


# The thorough check, and the one of counted runs. Listers agree on the names, not on what they print beside them.
COPY = (same_content, same_length)
LISTING = (same_number_of_lines, same_number_of_lines)
PLUGINS = (each_is_listed, each_is_listed)


def remove(path):
    if path.is_dir() and len(lengths(path)) < FEW_FILES:
        shutil.rmtree(path)
    elif path.is_dir():
        # Not deleted: ext4 looks long for an inode while those of ten thousand deleted files are still warm.
        path.rename(path.with_name(f"{path.name}-{time.monotonic_ns()}"))
    elif not path.is_char_device():
        path.unlink(missing_ok=True)
