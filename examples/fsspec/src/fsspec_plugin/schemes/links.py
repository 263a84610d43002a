"""Symbolic links in listings: files are listed as what they lead to, directories are not, since they may lead in circles."""
import logging

from ..fault import Fault

log = logging.getLogger(__name__)


def followed(found, look):
    """`found`: names and `Resource`s, None for a link. `look` says what a link leads to.

    Links come last: the connection is busy with the listing until then.
    """
    links, left_out = [], 0
    for name, resource in found:
        if isinstance(name, bytes):
            # Not UTF-8: no URL here could name it.
            left_out += 1
        elif resource is None:
            links.append(name)
        else:
            yield name, resource
    for name in links:
        resource = _target(look, name)
        if resource is None or resource.directory:
            left_out += 1
        else:
            yield name, resource
    if left_out:
        log.warning("%d entries are left out of a listing: links to directories or to nothing, what is neither file nor "
                    "directory, names that are not UTF-8", left_out)


def _target(look, name):
    try:
        return look(name)
    except (Fault, FileNotFoundError, PermissionError):
        return None
