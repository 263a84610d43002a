"""What needs neither a server nor a process."""
import threading

import pytest
from dragonfly.plugin.resource.v1 import resource_pb2 as messages
from fsspec_plugin import body, log, options
from fsspec_plugin.fault import Fault
from fsspec_plugin.pool import Pool
from fsspec_plugin.resource import DIRECTORY, Resource
from fsspec_plugin.schemes import Place, Storage
from fsspec_plugin.schemes.ftp import milliseconds
from fsspec_plugin.url import Url
from grpc import StatusCode


@pytest.mark.parametrize("text, expected", [
    ("sftp://host/a", Url("", "", "host", None, "/a")),
    ("SFTP://a%40b:p%3Aw@host:22/x%20y%25/%C3%A9", Url("a@b", "p:w", "host", 22, "/x y%/é")),
    ("ftp://[::1]:2121/", Url("", "", "::1", 2121, "/")),
    ("zip:///a!/b", Url("", "", "", None, "/a!/b")),
    ("smb://Host", Url("", "", "Host", None, "")),
])
def test_a_url_is_taken_apart_and_decoded(text, expected):
    assert Url.parse(text) == expected


@pytest.mark.parametrize("text", ["sftp:host", "sftp:/a", "sftp://h:x/", "sftp://h:0/", "sftp://h/a?b", "sftp://h/a#b", "sftp://h/%0A"])
def test_a_url_that_could_be_meant_otherwise_is_refused(text):
    with pytest.raises(Fault) as caught:
        Url.parse(text)
    assert caught.value.code is StatusCode.INVALID_ARGUMENT


KNOWN = {"port": options.PORT, "tls": options.BOOLEAN, "timeout": options.SECONDS, "password": options.SECRET, "file": options.PATH}


def test_options_have_types():
    given = {"port": "22", "tls": "No", "timeout": "1.5", "password": "hunter2hunter2", "file": "/a"}
    assert options.read(given, KNOWN, "x") == {"port": 22, "tls": False, "timeout": 1.5, "password": "hunter2hunter2", "file": "/a"}


@pytest.mark.parametrize("name, value", [("port", "0"), ("port", "22x"), ("tls", "maybe"), ("timeout", "-1"), ("timeout", "nan"),
                                         ("timeout", "inf"), ("file", "relative"), ("prot", "22")])
def test_an_option_that_makes_no_sense_is_named_without_its_value(name, value):
    with pytest.raises(Fault) as caught:
        options.read({name: value}, KNOWN, "x")
    assert name in caught.value.text
    assert value == "22" or value not in caught.value.text


def test_a_misspelt_option_has_a_suggestion():
    with pytest.raises(Fault, match="did you mean password"):
        options.read({"pasword": "x"}, KNOWN, "x")


def test_a_secret_is_hidden_wherever_it_stands():
    options.read({"password": "correct horse"}, KNOWN, "x")
    assert log.without_secrets("login with correct horse failed") == "login with *** failed"


def plan(resource, start=0, length=None, validator=None):
    request = messages.DownloadRequest(range=messages.Range(start=start, length=length), validator=validator)
    return body.plan(request, resource, "path")


FILE = Resource.file(10, 1000)


@pytest.mark.parametrize("resource, start, length, expected", [
    (FILE, 0, None, body.Plan(0, 10, 10)),
    (FILE, 4, None, body.Plan(4, 6, 6)),
    (FILE, 4, 2, body.Plan(4, 2, 2)),
    (FILE, 4, 100, body.Plan(4, 6, 6)),
    (FILE, 4, 0, body.Plan(4, 0, 0)),
    (Resource.file(0), 0, None, body.Plan(0, 0, 0)),
    (Resource(length=10, ranges=False), 4, 2, body.Plan(0, 10, 10)),
    (Resource(length=10, ranges=False), 0, 2, body.Plan(0, 2, 2)),
    (Resource(), 4, 2, body.Plan(4, None, 2)),
])
def test_a_range_is_served_as_far_as_there_is_something(resource, start, length, expected):
    assert plan(resource, start, length) == expected


@pytest.mark.parametrize("resource, start, validator, code", [
    (FILE, 10, None, StatusCode.OUT_OF_RANGE),
    (Resource.file(0), 1, None, StatusCode.OUT_OF_RANGE),
    (DIRECTORY, 0, None, StatusCode.INVALID_ARGUMENT),
    (FILE, 0, messages.Validator(etag='"other"'), StatusCode.FAILED_PRECONDITION),
    (FILE, 0, messages.Validator(last_modified=999), StatusCode.FAILED_PRECONDITION),
    (Resource(length=10), 0, messages.Validator(last_modified=999), StatusCode.FAILED_PRECONDITION),
])
def test_what_cannot_be_served_has_its_code(resource, start, validator, code):
    with pytest.raises(Fault) as caught:
        plan(resource, start, validator=validator)
    assert caught.value.code is code


@pytest.mark.parametrize("validator, same", [
    (messages.Validator(etag=FILE.etag, last_modified=1), True),
    (messages.Validator(etag='"other"', last_modified=1000), False),
    (messages.Validator(last_modified=1000), True),
    (messages.Validator(last_modified=1001), False),
    (messages.Validator(), False),
])
def test_versions_are_compared_by_etag_and_else_by_time(validator, same):
    assert FILE.same_version(validator) is same


class Parts(Storage):
    def __init__(self, *parts, after=FILE):
        self.parts, self.after, self.closed = parts, after, 0

    def info(self, path):
        return FILE

    def read(self, path, resource, start, length):
        yield from self.parts

    def unchanged(self, path, resource):
        return self.after == resource

    def close(self):
        self.closed += 1


def sent(storage, resource=FILE):
    return [event.WhichOneof("event") for event in body.events(storage, resource, "path", plan(resource))]


def test_a_short_storage_is_data_loss_and_no_end():
    with pytest.raises(Fault) as caught:
        sent(Parts(b"12345"))
    assert caught.value.code is StatusCode.DATA_LOSS


def test_a_changed_resource_is_that_and_no_end():
    with pytest.raises(Fault) as caught:
        sent(Parts(b"12345", after=Resource.file(5, 2000)))
    assert caught.value.code is StatusCode.FAILED_PRECONDITION


def test_more_than_was_planned_is_not_sent_and_empty_parts_neither():
    assert sent(Parts(b"", b"1234567890", b"more", b"")) == ["opened", "chunk", "end"]


def test_chunks_grow_where_it_goes_quickly_and_shrink_where_not():
    size = body.ChunkSize()
    assert size.bytes == body.SMALLEST
    for _ in range(10):
        size.took(0)
    assert size.bytes == body.CHUNK
    size.took(body.SLOW + 1)
    assert size.bytes == body.CHUNK // 2


@pytest.mark.parametrize("text, expected", [("19700101000001", 1000), ("20211213085304.25", 1639385584250), ("19691231235959", -1000),
                                            ("Nov 25 07:49", None), ("", None)])
def test_times_of_ftp_are_milliseconds(text, expected):
    assert milliseconds(text) == expected


def failing(error):
    raise error


class Faults:
    """Faults as they are."""

    def __call__(self, path):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


PLACE = Place("path", ("key",))


def ignore(_lease):
    pass


def test_a_connection_is_kept_for_the_next_call_unless_it_was_left_in_the_middle():
    made = []
    pool = Pool(lambda place: made.append(Parts()) or made[-1], Faults())
    for _ in range(2):
        pool.begin(PLACE, ignore).end()
    assert (len(made), made[0].closed) == (1, 0)
    lease = pool.begin(PLACE, ignore)
    with pytest.raises(ZeroDivisionError), lease.working():
        raise ZeroDivisionError
    lease.end()
    assert made[0].closed == 1
    pool.begin(PLACE, ignore)
    assert len(made) == 2


def test_two_calls_at_a_time_have_two_connections():
    made = []
    pool = Pool(lambda place: made.append(Parts()) or made[-1], Faults())
    assert pool.begin(PLACE, ignore).storage is not pool.begin(PLACE, ignore).storage


def test_an_abort_behind_the_end_touches_nobody():
    storage = Parts()
    aborted = threading.Event()
    storage.abort = aborted.set
    lease = Pool(lambda place: storage, Faults()).begin(PLACE, ignore)
    lease.end()
    lease.abort()
    assert (aborted.is_set(), storage.closed) == (False, 0)


def test_a_kept_connection_that_died_is_replaced_and_a_new_one_is_not():
    made = []
    pool = Pool(lambda place: made.append(Parts()) or made[-1], Faults())
    pool.begin(PLACE, ignore).end()
    lost = Fault(StatusCode.UNAVAILABLE, "lost")
    made[0].info = lambda path: failing(lost)
    pool.begin(PLACE, ignore)
    assert len(made) == 2
    storage = Parts()
    storage.info = lambda path: failing(lost)
    with pytest.raises(Fault):
        Pool(lambda place: storage, Faults()).begin(PLACE, ignore)
