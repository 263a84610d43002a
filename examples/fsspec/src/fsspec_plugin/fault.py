"""What went wrong, as gRPC says it. The code decides what the host does (PROTOCOL.md, "Errors"); the text is for the user."""
import errno

from grpc import StatusCode


class Fault(Exception):
    """An error of a call. `retry_after`: seconds after which the storage wants to be asked again."""

    def __init__(self, code, text, retry_after=None):
        super().__init__(text)
        self.code = code
        self.text = text
        self.retry_after = retry_after


def invalid(text):
    return Fault(StatusCode.INVALID_ARGUMENT, text)


def is_directory(path):
    return invalid(f"{path} is a directory: -r downloads what is beneath it, -l lists it")


def is_no_directory(path):
    return invalid(f"{path} is no directory: there is nothing to list")


def not_found(path):
    return Fault(StatusCode.NOT_FOUND, f"the storage has no {path}")


def changed(path):
    return Fault(StatusCode.FAILED_PRECONDITION, f"{path} is another version than the one that was asked for")


def changed_while_read(path):
    return Fault(StatusCode.FAILED_PRECONDITION, f"{path} was changed while it was read")


def damaged(text):
    return Fault(StatusCode.DATA_LOSS, text)


UNREACHABLE = {errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.EHOSTUNREACH,
               errno.ENETUNREACH, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EBADF}


def of(error, path):
    """What any storage raises. What only one raises its scheme has told before."""
    match error:
        case Fault():
            return error
        case FileNotFoundError():
            return not_found(path)
        case PermissionError():
            return Fault(StatusCode.PERMISSION_DENIED, f"the storage refuses {path}: {error}")
        case IsADirectoryError():
            return is_directory(path)
        case NotADirectoryError():
            return is_no_directory(path)
        case TimeoutError():
            return Fault(StatusCode.UNAVAILABLE, f"the storage did not answer in time, asked for {path}")
        case ConnectionError() | EOFError():
            return lost(path, error)
        case UnicodeError():
            return invalid(f"{path} or a name in it is not in the encoding of the storage: {error}")
        case OSError() if error.errno in UNREACHABLE or isinstance(error, _resolver_error()):
            return lost(path, error)
    return None


def lost(path, error):
    return Fault(StatusCode.UNAVAILABLE, f"the connection to the storage failed, asked for {path}: {error or type(error).__name__}")


def _resolver_error():
    import socket

    return socket.gaierror
