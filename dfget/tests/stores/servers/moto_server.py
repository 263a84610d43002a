"""moto, which checks a signature of what stands in the URL. S3 decodes that and encodes it anew, so that `prefix=a/` and
`prefix=a%2F` are the same to it, as are `it's` and `it%27s`: <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.
"""

import sys
from urllib.parse import quote, unquote

from botocore.auth import S3SigV4Auth, SigV4Auth
from moto.server import main


def canonical(_, url):
    pairs = (pair.partition("=") for pair in url.query.split("&") if pair)
    return "&".join(sorted(f"{encoded(name)}={encoded(value)}" for name, _, value in pairs))


def encoded(text):
    return quote(unquote(text), safe="-_.~")


SigV4Auth._canonical_query_string_url = canonical
S3SigV4Auth._normalize_url_path = lambda _, path: quote(unquote(path), safe="/-_.~")
main(sys.argv[1:])
