"""Whether a request is signed as its store wants it: each verifier has the store's own Python SDK sign what was received.

What differs from what came is refused as the store's documentation says.
"""

import hmac
import threading
import time
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from urllib.parse import unquote

import oss2
import oss2.http
from obs.auth import Authentication
from obs.convertor import Adapter
from qcloud_cos import cos_auth

# More than a clock may be off.
SKEW = 15 * 60


class Refused(Exception):
    def __init__(self, status, code, message, **more):
        super().__init__(code)
        self.status, self.code, self.message, self.more = status, code, message, more


def unknown_key(key):
    return Refused(403, "InvalidAccessKeyId", "The access key id you provided does not exist in our records.", Key=key)


def mismatch():
    message = "The request signature we calculated does not match the signature you provided. Check your key and signing method."
    return Refused(403, "SignatureDoesNotMatch", message)


def skewed():
    message = "The difference between the request time and the current time is too large."
    return Refused(403, "RequestTimeTooSkewed", message, MaxAllowedSkewMilliseconds=SKEW * 1000)


def check_date(text):
    if abs(parsedate_to_datetime(text).timestamp() - time.time()) > SKEW:
        raise skewed()


def check_token(keys, given, expected, refusals):
    """A key that came with a token is good with it alone, and until it expires."""
    if given != expected:
        raise refusals["wrong"]
    if given in keys.expired:
        raise refusals["expired"]


def oss(request, bucket, key, keys):
    """Version 1, which is what dfget sends: <https://help.aliyun.com/document_detail/31951.html>."""
    scheme, _, rest = request.headers["authorization"].partition(" ")
    if scheme != "OSS":
        raise Refused(400, "InvalidArgument", "Authorization header is invalid.")
    name, _, signature = rest.partition(":")
    if name not in keys.secrets:
        raise unknown_key(name)
    check_date(request.headers.get("x-oss-date") or request.headers["date"])
    auth = oss2.Auth(name, keys.secrets[name])
    received = oss2.http.Request(request.method, request.target, params=request.query, headers=request.headers)
    signed = auth._ProviderAuth__make_signature(received, bucket, key, auth.credentials_provider.get_credentials())
    if not hmac.compare_digest(signed, signature):
        raise mismatch()
    refusals = {
        "wrong": Refused(403, "InvalidSecurityToken", "The security token you provided is invalid."),
        "expired": Refused(403, "SecurityTokenExpired", "The security token you provided has expired."),
    }
    check_token(keys, request.headers.get("x-oss-security-token"), keys.tokens.get(name), refusals)


def obs(request, bucket, key, keys):
    """<https://support.huaweicloud.com/intl/en-us/api-obs/obs_04_0010.html>."""
    scheme, _, rest = request.headers["authorization"].partition(" ")
    if scheme != "OBS":
        raise Refused(400, "InvalidArgument", "Authorization header is invalid.")
    name, _, signature = rest.partition(":")
    if name not in keys.secrets:
        raise unknown_key(name)
    check_date(request.headers.get("x-obs-date") or request.headers["date"])
    auth = Authentication(name, keys.secrets[name], False, Adapter("obs"), request.host, request.is_own_domain)
    # The SDK signs a subresource that has no value as None.
    query = {name: value or None for name, value in request.query.items()}
    signed = auth.getSignature(request.method, bucket, key, query, request.headers)["Signature"]
    if not hmac.compare_digest(signed, signature):
        raise mismatch()
    refusals = {
        "wrong": Refused(403, "InvalidAccessKeyId", "The access key id you provided does not exist in our records."),
        "expired": Refused(403, "InvalidAccessKeyId", "The security token has expired."),
    }
    check_token(keys, request.headers.get("x-obs-security-token"), keys.tokens.get(name), refusals)


COS_LOCK = threading.Lock()


def cos(request, bucket, key, keys):
    """<https://www.tencentcloud.com/document/product/436/7778>."""
    given = dict(pair.split("=", 1) for pair in request.headers["authorization"].split("&"))
    name = given["q-ak"]
    if name not in keys.secrets:
        raise unknown_key(name)
    begin, end = map(int, given["q-sign-time"].split(";"))
    if time.time() < begin - SKEW:
        raise Refused(403, "RequestTimeTooSkewed", "The difference between the request time and the server's time is too large.")
    if time.time() > end:
        raise Refused(403, "AccessDenied", "Request has expired")
    headers = {header: request.headers[header] for header in given["q-header-list"].split(";") if header}
    # Names of parameters are in lower case there.
    sent = {item.lower(): value for item, value in request.query.items()}
    query = {item: sent[unquote(item)] for item in given["q-url-param-list"].split(";") if item}
    if cos_signature(request.method, key, query, headers, name, keys.secrets[name], begin, end) != given["q-signature"]:
        raise mismatch()
    refusals = {
        "wrong": Refused(403, "InvalidAccessKeyId", "The access key id you provided does not exist in our records."),
        "expired": Refused(403, "ExpiredToken", "The provided token has expired."),
    }
    check_token(keys, request.headers.get("x-cos-security-token"), keys.tokens.get(name), refusals)


def cos_signature(method, key, query, headers, name, secret, begin, end):
    """The SDK takes the time from the clock, and says itself which headers it signs."""
    settings = SimpleNamespace(
        _secret_id=name, _secret_key=secret, _credential_inst=None, _anonymous=False, _sign_params=True, _sign_host=False
    )
    with COS_LOCK:
        theirs = cos_auth.time, cos_auth.filter_headers
        cos_auth.time, cos_auth.filter_headers = SimpleNamespace(time=lambda: begin + 60), dict
        try:
            auth = cos_auth.CosS3Auth(settings, "/" + key, query, end - begin - 60)
            signed = auth(SimpleNamespace(method=method, headers=headers, url="")).headers["Authorization"]
        finally:
            cos_auth.time, cos_auth.filter_headers = theirs
    return signed.rpartition("q-signature=")[2]


