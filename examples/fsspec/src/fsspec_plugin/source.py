"""What a successful Init has configured: one scheme with its options, and the connections that it keeps."""
import logging
from contextlib import contextmanager

from grpc import StatusCode

from . import fault, options, schemes
from .fault import Fault, invalid
from .pool import Pool
from .url import Url

log = logging.getLogger(__name__)


class Source:
    def __init__(self, scheme, given):
        given = dict(given)
        protocol = schemes.protocol_of(scheme, given)
        kind = schemes.load(protocol)
        self._scheme = kind(options.read(given, kind.OPTIONS, protocol))
        self._pool = Pool(self._connect, self.faults)

    def begin(self, resource, watch):
        """A connection for one call, with what it knows of the resource. `watch` sees each lease before it is used."""
        if not resource.url:
            raise invalid("the request has no resource")
        return self._pool.begin(self._scheme.locate(Url.parse(resource.url)), watch)

    def _connect(self, place):
        with self.faults(place.path):
            return self._scheme.connect(place)

    @contextmanager
    def faults(self, path):
        """What the storage and its library raise, as the protocol says it."""
        try:
            yield
        except Exception as error:
            told = self._scheme.fault(error, path) or fault.of(error, path)
            if told is None:
                log.exception("nobody foresaw this error, asked for %s", path)
                told = Fault(StatusCode.INTERNAL, f"an error that the plugin did not foresee, asked for {path}: "
                                                  f"{type(error).__name__}: {error}")
            elif told is not error:
                log.debug("told as %s", told.code.name, exc_info=error)
            raise told from error
