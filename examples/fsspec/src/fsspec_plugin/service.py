"""The service ResourceClient: from messages to the source and back. Whatever is raised becomes a status here."""
import logging
import os
import sys
from contextlib import contextmanager

from dragonfly.plugin.resource.v1 import resource_pb2 as messages
from dragonfly.plugin.resource.v1 import resource_pb2_grpc
from grpc import StatusCode

from . import body, schemes
from .build import COMMIT, TIME
from .fault import Fault, invalid, is_directory, is_no_directory
from .log import without_secrets
from .resource import names_a_version
from .source import Source

log = logging.getLogger(__name__)

PREFIX = "d7y-resource-plugin-"
BATCH = 256
# The trailers of a call should stay below 8 KiB, and percent-encoding makes up to 9 bytes of a character.
LONGEST_TEXT = 700


class ResourceClient(resource_pb2_grpc.ResourceClientServicer):
    def __init__(self):
        self._source = None

    def Init(self, request, context):
        with told(context):
            if request.describe:
                if not schemes.known(request.scheme):
                    schemes.protocol_of(request.scheme, {})
            else:
                self._source = Source(request.scheme, request.options)
                log.info("%s asked for %s", request.host or "a host", request.scheme)
            return messages.InitResponse(attributes=attributes(request.scheme))

    def GetMetadata(self, request, context):
        with told(context):
            return messages.GetMetadataResponse(metadata=self._file(request, context).metadata())

    def GetContentLength(self, request, context):
        with told(context):
            length = self._file(request, context).length
            return messages.GetContentLengthResponse(content_length=-2 if length is None else length)

    def IsSupportRange(self, request, context):
        with told(context):
            return messages.IsSupportRangeResponse(support_range=self._file(request, context).ranges)

    def GetLastModified(self, request, context):
        with told(context):
            modified = self._file(request, context).modified
            return messages.GetLastModifiedResponse(last_modified=-1 if modified is None else modified)

    def IsExpired(self, request, context):
        with told(context):
            resource = self._file(request, context)
            same = names_a_version(request.validator) and resource.same_version(request.validator)
            return messages.IsExpiredResponse(expired=not same)

    def Download(self, request, context):
        with told(context), self._lease(request, context) as lease:
            planned = body.plan(request, lease.resource, lease.path)
            with lease.working():
                yield from body.events(lease.storage, lease.resource, lease.path, planned)

    def List(self, request, context):
        with told(context), self._lease(request, context) as lease:
            if not lease.resource.directory:
                raise is_no_directory(lease.path)
            with lease.working():
                yield from batches(lease.storage.entries(lease.path))

    def _file(self, request, context):
        with self._lease(request, context) as lease:
            if lease.resource.directory:
                raise is_directory(lease.path)
            return lease.resource

    @contextmanager
    def _lease(self, request, context):
        """A connection for this call, ended as soon as the call is: also when the host cancels it."""
        source = self._source
        if source is None:
            raise invalid("Init has not succeeded yet")

        def watch(lease):
            if not context.add_callback(lease.abort):
                lease.abort()

        lease = source.begin(request.resource, watch)
        try:
            yield lease
        finally:
            lease.end()


def attributes(scheme):
    """`name` is that of the file, which is the scheme unless a person names the file itself (--plugin sftp=...)."""
    name = os.path.basename(sys.argv[0])
    name = name.removeprefix(PREFIX) if name.startswith(PREFIX) else scheme
    return {"type": "resource", "name": name, "scheme": scheme, "vendor": "d7y", "library": "fsspec",
            "buildCommit": COMMIT, "buildTime": TIME}


def batches(entries):
    batch = []
    for name, resource in entries:
        batch.append(messages.Entry(name=name, directory=resource.directory, metadata=resource.metadata()))
        if len(batch) == BATCH:
            yield messages.ListResponse(entries=batch)
            batch = []
    if batch:
        yield messages.ListResponse(entries=batch)


@contextmanager
def told(context):
    try:
        yield
    except Fault as fault:
        refused = fault
    except Exception as error:
        log.exception("nobody foresaw this error")
        refused = Fault(StatusCode.INTERNAL, f"an error that the plugin did not foresee: {type(error).__name__}: {error}")
    else:
        return
    if not context.is_active():
        # The host cancelled; that the connection was ended under the call is no news.
        context.abort(StatusCode.CANCELLED, "cancelled")
    text = without_secrets(refused.text)[:LONGEST_TEXT].encode("utf-8", "replace").decode()
    if refused.retry_after is None:
        context.abort(refused.code, text)
    from .patience import status

    context.abort_with_status(status(refused.code, text, refused.retry_after))
