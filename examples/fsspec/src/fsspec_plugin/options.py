"""The user's options: text from the host, typed here. Which there are says the module of each scheme."""
from . import log
from .fault import invalid


class Kind:
    """What an option can be. `parse` raises ValueError."""

    def __init__(self, name, parse, secret=False):
        self.name = name
        self.parse = parse
        self.secret = secret


def _boolean(text):
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in words:
        raise ValueError
    return words[text.lower()]


def _positive(number):
    def parse(text):
        value = number(text)
        if not 0 < value < 1 << 31:
            raise ValueError
        return value

    return parse


def _port(text):
    if not 0 < int(text) < 65536:
        raise ValueError
    return int(text)


def _path(text):
    import os

    if not os.path.isabs(os.path.expanduser(text)):
        # The working directory is the host's affair.
        raise ValueError
    return os.path.expanduser(text)


def _file(text):
    import os

    if not os.path.isfile(_path(text)):
        raise ValueError
    return _path(text)


def choice(*words):
    def parse(text):
        if text not in words:
            raise ValueError
        return text

    return Kind("one of " + ", ".join(words), parse)


TEXT = Kind("a text", str)
SECRET = Kind("a text", str, secret=True)
BOOLEAN = Kind("true or false", _boolean)
INTEGER = Kind("a whole number above 0", _positive(int))
SECONDS = Kind("a number of seconds above 0", _positive(float))
PORT = Kind("a port from 1 to 65535", _port)
PATH = Kind("an absolute path", _path)
FILE = Kind("the absolute path of a file that is there", _file)


def read(given, known, scheme):
    """`given` with types. Refuses what the scheme does not know, so that a misspelt option is not without effect."""
    typed = {}
    for name in sorted(given):
        if name not in known:
            raise invalid(_unknown(name, known, scheme))
        typed[name] = _typed(name, given[name], known[name])
    return typed


def _typed(name, text, kind):
    if kind.secret:
        log.keep_secret(text)
    try:
        return kind.parse(text)
    except ValueError:
        # Never the value: it may be a password under the wrong name.
        raise invalid(f"the option {name} has to be {kind.name}") from None


def _unknown(name, known, scheme):
    import difflib

    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{scheme} has no option {name}: {hint}it has {', '.join(sorted(known)) or 'none'}"
