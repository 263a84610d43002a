"""github://organisation/repository@ref/path: files of a repository, by fsspec's GithubFileSystem.

fsspec walks the trees. Content is read here, as the blob that the tree names: it is that version and no other, it may
be large, and it comes as a stream. The ref is turned into a commit once, so that what is read together belongs together.
"""
import os
import time
from contextlib import suppress
from urllib.parse import quote, urlsplit

import requests
import urllib3
from fsspec.implementations.github import GithubFileSystem
from grpc import StatusCode

from .. import fault, options
from ..body import read_in_chunks
from ..fault import Fault, invalid, not_found
from ..resource import DIRECTORY, Resource
from . import Place, Storage

API = "https://api.github.com"
# Well below the 30 s after which dfget gives up itself.
TIMEOUT = 15
# GitHub takes any name beside a token.
ANYBODY = "x-access-token"


def _api(text):
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise ValueError
    return text.rstrip("/")


class Github:
    OPTIONS = {
        "username": options.TEXT,
        "token": options.SECRET,
        "sha": options.TEXT,
        "timeout": options.SECONDS,
        "api_url": options.Kind("an http or https URL without user and query", _api),
    }

    def __init__(self, settings):
        self._settings = {"timeout": TIMEOUT, "api_url": API} | settings
        if "username" in settings and "token" not in settings:
            raise invalid("the option username needs the option token")
        if "token" in settings:
            self._settings.setdefault("username", ANYBODY)
        self._ref = self._settings.pop("sha", "")

    def locate(self, url):
        if url.user:
            # As fsspec has it: github://organisation:repository@ref/path
            org, repo, ref, path = url.user, url.password, url.host, url.path
        else:
            repo, _, path = url.path.strip("/").partition("/")
            org, (repo, _, ref) = url.host, repo.partition("@")
        if not org or not repo:
            raise invalid("the URL names no repository: write github://organisation/repository/path, with @ref behind the "
                          "repository for another branch, tag or commit than the default branch")
        arguments = {"org": org, "repo": repo, "ref": ref or self._ref or "HEAD"} | self._settings
        return Place(path.strip("/"), tuple(sorted((name, str(value)) for name, value in arguments.items())), arguments)

    def connect(self, place):
        return Commit(place.arguments)

    def fault(self, error, path):
        match error:
            case requests.HTTPError():
                return _refused(error.response, path)
            case requests.Timeout():
                return Fault(StatusCode.UNAVAILABLE, f"GitHub did not answer in time, asked for {path}")
            case requests.RequestException() | urllib3.exceptions.HTTPError():
                return fault.lost(path, error)
        return None


def _refused(response, path):
    asked = f"GitHub answered {response.status_code}, asked for {path or 'the repository'}"
    limited = response.headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in response.headers
    match response.status_code:
        case 401:
            return Fault(StatusCode.UNAUTHENTICATED, f"{asked}: set the option token to a valid one")
        case 403 | 429 if limited:
            return Fault(StatusCode.UNAVAILABLE, f"{asked}: too many requests; with the option token more are allowed",
                         _patience(response.headers))
        case 403:
            return Fault(StatusCode.PERMISSION_DENIED, asked)
        # 422: GitHub's word for a ref that there is not.
        case 404 | 422:
            return Fault(StatusCode.NOT_FOUND, f"{asked}: there is no such repository, ref or file, or it needs a token")
        case 429 | 500 | 502 | 503 | 504:
            return Fault(StatusCode.UNAVAILABLE, asked, _patience(response.headers))
    return Fault(StatusCode.INTERNAL, asked)


def _patience(headers):
    """Seconds, or None."""
    with suppress(KeyError, ValueError):
        return max(1, int(headers["Retry-After"]))
    with suppress(KeyError, ValueError):
        return max(1, int(int(headers["X-RateLimit-Reset"]) - time.time()))
    return None


class Repository(GithubFileSystem):
    """fsspec's, at any address, with the certificates that dfget passes on."""

    cachable = False

    def __init__(self, api_url, **arguments):
        repository = f"{api_url}/repos/{{org}}/{{repo}}"
        self.url = f"{repository}/git/trees/{{sha}}"
        self.content_url = f"{repository}/contents/{{path}}?ref={{sha}}"
        super().__init__(**arguments)

    @property
    def kw(self):
        return super().kw | _verify()


def _verify():
    # requests brings its own certificates and looks at neither of these.
    found = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    return {"verify": found} if found else {}


class Commit(Storage):
    def __init__(self, arguments):
        arguments = dict(arguments)
        ref, self._timeout = arguments.pop("ref"), arguments["timeout"]
        self._auth = (arguments["username"], arguments["token"]) if "token" in arguments else None
        self._url = f"{arguments['api_url']}/repos/{quote(arguments['org'])}/{quote(arguments['repo'])}"
        self._answer = None
        with self._get(f"commits/{quote(ref, safe='')}", "application/vnd.github.sha") as answer:
            sha = answer.text.strip()
        self._fs = Repository(sha=sha, **arguments)

    def _get(self, what, kind):
        header = {"Accept": kind, "Accept-Encoding": "identity"}
        answer = requests.get(f"{self._url}/{what}", headers=header, auth=self._auth, timeout=self._timeout, stream=True, **_verify())
        if not answer.ok:
            answer.close()
        answer.raise_for_status()
        return answer

    def info(self, path):
        if not path:
            return DIRECTORY
        parent = path.rpartition("/")[0]
        # fs.info() takes what is beneath a file for a directory.
        for found in self._fs.ls(parent, detail=True):
            if found["name"] == path:
                return _resource(found)
        raise not_found(path)

    def read(self, path, resource, start, length):
        with self._get(f"git/blobs/{resource.handle}", "application/vnd.github.raw+json") as self._answer:
            yield from read_in_chunks(self._answer.raw.read, length)

    def entries(self, path):
        for found in self._fs.ls(path, detail=True):
            yield found["name"].rpartition("/")[2], _resource(found)

    def abort(self):
        with suppress(Exception):
            self._answer.raw.shutdown()

    def close(self):
        with suppress(Exception):
            self._answer.close()


def _resource(found):
    if found["type"] == "directory":
        return DIRECTORY
    # GitHub serves no ranges of blobs. The name of a blob is a digest of its content.
    return Resource(length=found["size"], etag=f'"{found["sha"]}"', ranges=False, handle=found["sha"])
