"""The tree that every server serves."""
import os
import tarfile
import zipfile
from pathlib import Path

LARGE = "large.bin"
EMPTY = "empty"
# Not with ? or *, which SMB does not have.
ODD = "a b%20é/#1+x & y;.txt"
MANY = 300


def make(root):
    files = {LARGE: os.urandom(24 * 1024 * 1024 + 123), EMPTY: b"", ODD: "grüße\n".encode(), "sub/deep/leaf": b"leaf\n"}
    files |= {f"many/{number:03}": str(number).encode() for number in range(MANY)}
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def pack(root, directory):
    """The same as archives. The large file is packed in the one, and as it is in the other."""
    with zipfile.ZipFile(directory / "tree.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*")):
            archive.write(path, path.relative_to(root))
    with tarfile.open(directory / "tree.tgz", "w:gz", compresslevel=1) as archive:
        archive.add(root, ".")


def content(root):
    """Paths and bytes of all files beneath."""
    return {str(path.relative_to(root)): path.read_bytes() for path in Path(root).rglob("*") if path.is_file()}
