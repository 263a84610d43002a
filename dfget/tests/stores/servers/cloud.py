"""OSS, COS and OBS as their documentation has them, as far as a download goes: objects and their versions, ranges,
conditions, listings by the page, errors. Who may read what is checked by `verifiers`.

It is reached as a proxy, so that buckets are the hosts they are out there. Objects get there through the SDK of each.
"""

import hashlib
import re
import threading
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

import oss2
import qcloud_cos
from obs import ObsClient
from oss2.compat import to_string

import verifiers
from verifiers import Refused

KEY, SECRET = "LTAI5tTheKeyIdOfATest", "the-secret-that-nobody-may-see"
SIGNERS = {"temporary": ("STS.TheTemporaryKey", "the-temporary-secret", "the-token-of-an-hour"),
           "expired": ("STS.TheExpiredKey", "the-expired-secret", "the-token-of-yesterday")}


@dataclass
class Bucket:
    region: str
    public: bool = False
    versioned: bool = False
    objects: dict = field(default_factory=dict)


@dataclass
class Version:
    body: bytes
    etag: str
    number: str
    time: float


class Keys:
    secrets = {KEY: SECRET} | {name: secret for name, secret, _ in SIGNERS.values()}
    tokens = {name: token for name, _, token in SIGNERS.values()}
    expired = {SIGNERS["expired"][2]}


class Cloud:
    """What the three have in common."""

    prefix: str
    region: str
    hosts: re.Pattern
    verify: staticmethod

    def __init__(self, home, programs):
        self.buckets, self.count, self.uploads = {}, 0, {}
        self.lock = threading.Lock()
        handler = type("Handler", (Handler,), {"cloud": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.own = f"http://127.0.0.1:{self.port}"

    def facts(self, endpoint):
        key = {"access-key-id": KEY, "access-key-secret": SECRET}
        options = {"endpoint": self.endpoint, "region": self.region, "addressing": "virtual", **key}
        named = {kind: {"key": key, "secret": secret, "token": token} for kind, (key, secret, token) in SIGNERS.items()}
        return {"base": f"{self.prefix}://", "options": options, "variables": {"http_proxy": endpoint}, **named}

    def bucket(self, bucket, versioned=False, public=False):
        self.buckets[bucket] = Bucket(self.region, public, versioned)

    def tree(self, bucket, prefix, directory):
        files = [path for path in Path(directory).rglob("*") if path.is_file()]
        for path in files:
            self.put(bucket, prefix + str(path.relative_to(directory)), path)
        return len(files)

    def fill(self, bucket, prefix, count):
        """So many objects of a few bytes, without a client: that is what takes time."""
        for number in range(count):
            self.store(self.buckets[bucket], f"{prefix}{number:05}", str(number).encode())

    def store(self, bucket, key, body, etag=None):
        with self.lock:
            self.count += 1
            version = Version(body, etag or hashlib.md5(body).hexdigest().upper(), f"CAEQ{self.count:08}", time.time())
            bucket.objects[key] = ([*bucket.objects.get(key, []), version] if bucket.versioned else [version])
        return version

    def locate(self, request):
        """The bucket and the key, and what is wrong with the region."""
        found = self.hosts.fullmatch(request.host)
        request.is_own_domain = found is None
        name = found["bucket"] if found else self.domains.get(request.host, "")
        if name not in self.buckets:
            raise Refused(404, "NoSuchBucket", "The specified bucket does not exist.", BucketName=name)
        return name, self.buckets[name], found["region"] if found else self.region

    domains = {}

    def check_region(self, asked, bucket):
        """Another region knows nothing of a bucket."""
        if asked != bucket.region:
            raise Refused(404, "NoSuchBucket", "The specified bucket does not exist.")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud = None

    def log_message(self, *_):
        pass

    def _serve(self):
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        request = SimpleNamespace(
            method=self.command,
            target=self.path,
            host=(url.hostname or self.headers["host"].rpartition(":")[0] or self.headers["host"]),
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            headers=Headers((name.lower(), value) for name, value in self.headers.items()),
            key=unquote(url.path.lstrip("/")),
            body=body,
        )
        try:
            self._answer(request)
        except Refused as refused:
            more = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in refused.more.items())
            text = f"<Code>{refused.code}</Code><Message>{escape(refused.message)}</Message><RequestId>0</RequestId>{more}"
            self._send(refused.status, f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{text}</Error>'.encode(), XML)

    do_GET = do_HEAD = do_PUT = do_POST = _serve

    def do_CONNECT(self):
        """Whatever is at the other end of the tunnel is here."""
        self.send_response(200)
        self.end_headers()
        self.close_connection = False

    def _answer(self, request):
        cloud = self.cloud
        name, bucket, region = cloud.locate(request)
        if "authorization" in request.headers and request.headers["authorization"]:
            cloud.verify(request, request.host if request.is_own_domain else name, request.key, Keys)
        elif not bucket.public:
            raise Refused(403, "AccessDenied", "You have no right to access this object because of bucket acl.")
        cloud.check_region(region, bucket)
        if request.method == "PUT":
            version = cloud.store(bucket, request.key, request.body)
            return self._send(200, b"", {"ETag": f'"{version.etag}"', **self._version(bucket, version)})
        if not request.key:
            return self._send(200, listing(request.query, name, bucket), XML)
        self._send_object(request, bucket, self._find(request, bucket))

    def _version(self, bucket, version):
        return {f"x-{self.cloud.prefix}-version-id": version.number} if bucket.versioned else {}

    def _find(self, request, bucket):
        versions = bucket.objects.get(request.key, [])
        number = request.query.get("versionId")
        found = [version for version in versions if number in (None, version.number)]
        if not found:
            code = "NoSuchVersion" if versions else "NoSuchKey"
            raise Refused(404, code, "The specified key does not exist.", Key=request.key)
        return found[-1]

    def _send_object(self, request, bucket, version):
        quoted = f'"{version.etag}"'
        if request.headers.get("if-match", quoted) not in (quoted, "*"):
            raise Refused(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.")
        headers = {
            "ETag": quoted,
            "Last-Modified": formatdate(version.time, usegmt=True),
            "Content-Type": "application/octet-stream",
            "Accept-Ranges": "bytes",
            **self._version(bucket, version),
        }
        size, span = len(version.body), wanted(request.headers.get("range"), len(version.body))
        if span is None:
            return self._send(200, version.body, headers)
        if span[0] >= span[1]:
            raise Refused(416, "InvalidRange", "The requested range cannot be satisfied.")
        headers["Content-Range"] = f"bytes {span[0]}-{span[1] - 1}/{size}"
        self._send(206, version.body[span[0] : span[1]], headers)

    def _send(self, status, body, headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), f"x-{self.cloud.prefix}-request-id": "0"}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Headers(dict):
    """By their names in lower case, whoever asks."""

    def get(self, name, default=None):
        return super().get(name.lower(), default)

    def __getitem__(self, name):
        return super().__getitem__(name.lower())


XML = {"Content-Type": "application/xml"}


def wanted(text, size):
    """First and end of `Range: bytes=…`."""
    if not (found := re.fullmatch(r"bytes=(\d*)-(\d*)", text or "")):
        return None
    first, last = found.groups()
    if not first:
        return max(size - int(last), 0), size
    return int(first), min(int(last) + 1, size) if last else size


def listing(query, name, bucket):
    """A page, in the second version of OSS' listing where that is asked for, else in the first."""
    second = query.get("list-type") == "2"
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    after = query.get("continuation-token") or query.get("start-after", "") if second else query.get("marker", "")
    limit = int(query.get("max-keys", 100 if second else 1000))
    found = []
    for key in sorted(bucket.objects):
        rest = key[len(prefix) :]
        common = bool(delimiter) and delimiter in rest
        shown = prefix + rest.split(delimiter)[0] + delimiter if common else key
        if key.startswith(prefix) and shown > after and (not found or found[-1][0] != shown):
            found.append((shown, None if common else bucket.objects[key][-1]))
    page, more = found[:limit], len(found) > limit
    text = "".join(entry(shown, version) for shown, version in page)
    token = "NextContinuationToken" if second else "NextMarker"
    following = f"<{token}>{escape(page[-1][0])}</{token}>" if more else ""
    head = f"<Name>{name}</Name><Prefix>{escape(prefix)}</Prefix><MaxKeys>{limit}</MaxKeys><KeyCount>{len(page)}</KeyCount>"
    whole = f"{head}<IsTruncated>{str(more).lower()}</IsTruncated>{following}{text}"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult>{whole}</ListBucketResult>'.encode()


def entry(shown, version):
    if version is None:
        return f"<CommonPrefixes><Prefix>{escape(shown)}</Prefix></CommonPrefixes>"
    modified = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(version.time))
    etag, size = escape(f'"{version.etag}"', {'"': "&quot;"}), len(version.body)
    facts = f"<LastModified>{modified}</LastModified><ETag>{etag}</ETag><Type>Normal</Type><Size>{size}</Size>"
    return f"<Contents><Key>{escape(shown)}</Key>{facts}<StorageClass>Standard</StorageClass></Contents>"


class Oss(Cloud):
    prefix, region = "oss", "cn-hangzhou"
    endpoint = "http://oss-cn-hangzhou.aliyuncs.test"
    hosts = re.compile(r"(?P<bucket>[a-z0-9-]+)\.oss-(?P<region>[a-z0-9-]+)\.aliyuncs\.test")
    verify = staticmethod(verifiers.oss)

    def check_region(self, asked, bucket):
        if asked != bucket.region:
            message = "The bucket you are attempting to access must be addressed using the specified endpoint. "
            message += "Please send all future requests to this endpoint."
            raise Refused(403, "AccessDenied", message, Endpoint=f"oss-{bucket.region}.aliyuncs.test")

    def put(self, bucket, key, file):
        auth = oss2.Auth(KEY, SECRET)
        client = oss2.Bucket(auth, self.endpoint, bucket, proxies={"http": self.own}, enable_crc=False)
        return client.put_object_from_file(to_string(key), str(file)).headers.get("x-oss-version-id")


class Cos(Cloud):
    prefix, region = "cos", "ap-guangzhou"
    endpoint = "http://cos.ap-guangzhou.myqcloud.test"
    hosts = re.compile(r"(?P<bucket>[a-z0-9-]+)\.cos\.(?P<region>[a-z0-9-]+)\.myqcloud\.test")
    verify = staticmethod(verifiers.cos)

    def put(self, bucket, key, file):
        config = qcloud_cos.CosConfig(
            Endpoint=self.endpoint.removeprefix("http://"), SecretId=KEY, SecretKey=SECRET, Scheme="http", Proxies={"http": self.own}
        )
        with open(file, "rb") as body:
            answer = qcloud_cos.CosS3Client(config).put_object(Bucket=bucket, Key=key, Body=body)
        return answer.get("x-cos-version-id")


class Obs(Cloud):
    prefix, region = "obs", "cn-north-4"
    endpoint = "http://obs.cn-north-4.myhuaweicloud.test"
    hosts = re.compile(r"(?P<bucket>[a-z0-9-]+)\.obs\.(?P<region>[a-z0-9-]+)\.myhuaweicloud\.test")
    verify = staticmethod(verifiers.obs)
    # A bucket may have a domain of its own, which is then in the signature.
    domains = {"data.example.test": "domain"}

    def put(self, bucket, key, file):
        server = self.endpoint.removeprefix("http://")
        proxy = {"proxy_host": "127.0.0.1", "proxy_port": self.port}
        client = ObsClient(KEY, SECRET, is_secure=False, server=server, signature="obs", is_signature_negotiation=False, **proxy)
        try:
            answer = client.putFile(bucket, key, str(file))
            if answer.status >= 300:
                raise RuntimeError(f"{answer.status} {answer.errorCode}: {answer.errorMessage}")
            return answer.body.versionId
        finally:
            client.close()
