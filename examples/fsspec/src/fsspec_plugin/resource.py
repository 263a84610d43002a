"""What is known of a resource without reading it, and how it looks in the messages of the protocol."""
from dataclasses import dataclass, field

from dragonfly.plugin.resource.v1 import resource_pb2 as messages


@dataclass(frozen=True)
class Resource:
    """`length`: None where it is unknown. `modified`: milliseconds since the epoch. `handle`: of the scheme alone."""

    directory: bool = False
    length: int | None = None
    modified: int | None = None
    etag: str = ""
    digests: tuple = ()
    ranges: bool = True
    handle: object = field(default=None, compare=False)

    @classmethod
    def file(cls, length, modified=None, **more):
        """Of a storage that knows time and length only: its versions are told apart by both."""
        etag = f'"{modified:x}-{length:x}"' if modified is not None and length is not None else ""
        return cls(length=length, modified=modified, etag=etag, **more)

    def validator(self):
        return messages.Validator(etag=self.etag, last_modified=self.modified)

    def metadata(self):
        if self.directory:
            return messages.Metadata(validator=self.validator())
        digests = [messages.Digest(algorithm=algorithm, hex=hexadecimal) for algorithm, hexadecimal in self.digests]
        return messages.Metadata(content_length=self.length, support_range=self.ranges, validator=self.validator(), digests=digests)

    def same_version(self, validator):
        """As PROTOCOL.md has it: by ETags if both have one, else by times if both have one, else not."""
        if self.etag and validator.etag:
            return self.etag == validator.etag
        return self.modified is not None and validator.HasField("last_modified") and self.modified == validator.last_modified


DIRECTORY = Resource(directory=True)


def names_a_version(validator):
    return bool(validator.etag) or validator.HasField("last_modified")
