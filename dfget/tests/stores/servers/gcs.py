"""fake-gcs-server, behind a door that wants what Google Cloud Storage wants: a token that was given out and is good.

The door is also Google's token endpoint: it checks what a service account has signed with Google's own library. Objects
get there through google-cloud-storage, Google's own client.
"""

import http.client
import json
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote

import google.auth.jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

import process

TOKEN, EXPIRED, GIVEN = "ya29.a-token-of-an-hour", "ya29.a-token-of-yesterday", "ya29.a-token-for-a-service-account"
ENDPOINTS = ["oauth2.googleapis.com", "storage.googleapis.com"]
ACCOUNT = "reader@dragonfly.iam.gserviceaccount.com"


class Gcs:
    def __init__(self, home, programs):
        server = process.free_port()
        command = [f"{programs}/bin/fake-gcs-server", "-scheme", "http", "-host", "127.0.0.1", "-port", str(server)]
        self.process = process.start([*command, "-backend", "memory"], server, home / "log", env=process.environment())
        self.home, self.public, self.client = home, set(), storage.Client(
            project="dragonfly", credentials=AnonymousCredentials(), client_options={"api_endpoint": f"http://127.0.0.1:{server}"}
        )
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.public_key = pem(self.key.public_key())
        door = ThreadingHTTPServer(("127.0.0.1", 0), type("Door", (Door,), {"gcs": self, "server_port": server}))
        door.daemon_threads = True
        door.tls = self._tls()
        self.port = door.server_address[1]
        threading.Thread(target=door.serve_forever, daemon=True).start()

    def facts(self, endpoint):
        account = {
            "type": "service_account",
            "project_id": "dragonfly",
            "private_key_id": "1",
            "private_key": private_pem(self.key),
            "client_email": ACCOUNT,
            "client_id": "1",
            "token_uri": "https://oauth2.googleapis.com/token",
        }
        strange = private_pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
        return {
            "base": "gs://",
            "options": {"endpoint": endpoint, "token": TOKEN},
            "variables": {},
            "expired": EXPIRED,
            "proxy": endpoint,
            "authority": (self.home / "authority.pem").read_text(),
            "account": json.dumps(account),
            "stranger": json.dumps({**account, "private_key": strange}),
        }

    def bucket(self, bucket, public=False, versioned=False):
        made = self.client.bucket(bucket)
        made.versioning_enabled = versioned
        self.client.create_bucket(made)
        if public:
            self.public.add(bucket)

    def put(self, bucket, key, file):
        blob = self.client.bucket(bucket).blob(key)
        blob.upload_from_filename(str(file))
        return str(blob.generation)

    def tree(self, bucket, prefix, directory):
        files = [path for path in Path(directory).rglob("*") if path.is_file()]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda path: self.put(bucket, prefix + str(path.relative_to(directory)), path), files))
        return len(files)

    def give(self, assertion):
        """What Google's token endpoint does with the claims of a service account."""
        claims = google.auth.jwt.decode(assertion, certs=self.public_key, audience=f"https://{ENDPOINTS[0]}/token")
        if claims["iss"] != ACCOUNT or not claims["scope"]:
            raise ValueError("invalid_scope")
        return {"access_token": GIVEN, "expires_in": 3599, "token_type": "Bearer"}

    def _tls(self):
        """As Google's hosts, for whoever trusts `authority.pem`."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        now, name = datetime.now(timezone.utc), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A test's own")])
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in ENDPOINTS])
        builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        signed = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
        (self.home / "authority.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        (self.home / "key.pem").write_text(private_pem(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.home / "authority.pem", self.home / "key.pem")
        return context


def private_pem(key):
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


def pem(key):
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


class Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gcs = server_port = None

    def log_message(self, *_):
        pass

    def do_CONNECT(self):
        """Google's hosts are here."""
        self.send_response(200)
        self.end_headers()
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        self.setup()
        self.close_connection = False

    def do_POST(self):
        text = self.rfile.read(int(self.headers["content-length"])).decode()
        form = json.loads(text) if text.startswith("{") else {name: value[0] for name, value in parse_qs(text).items()}
        try:
            self._send(200, "OK", self.gcs.give(form["assertion"]))
        except ValueError:
            self._send(400, "Bad Request", {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})

    def do_GET(self):
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        bucket = unquote(self.path.split("?")[0]).removeprefix("/storage/v1/b/").split("/")[0]
        if scheme == "Bearer" and token not in (TOKEN, GIVEN):
            return self._refuse(401, "Unauthorized", "authError", "Invalid Credentials")
        if not scheme and bucket not in self.gcs.public:
            message = "Anonymous caller does not have storage.objects.get access to the Google Cloud Storage object."
            return self._refuse(401, "Unauthorized", "required", message)
        self._pass_on()

    def _refuse(self, status, reason, why, message):
        errors = [{"message": message, "domain": "global", "reason": why}]
        self._send(status, reason, {"error": {"code": status, "message": message, "errors": errors}})

    def _send(self, status, reason, answer):
        body = json.dumps(answer).encode()
        self.send_response(status, reason)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _pass_on(self):
        inside = http.client.HTTPConnection("127.0.0.1", self.server_port)
        kept = {name: value for name, value in self.headers.items() if name.lower() not in ("authorization", "connection")}
        inside.request(self.command, self.path, headers=kept)
        answer = inside.getresponse()
        whole = answer.read()
        asked = parse_qs(self.path.partition("?")[2]).get("ifGenerationMatch", [None])[0]
        if answer.status < 300 and asked not in (None, answer.getheader("x-goog-generation")):
            # The server behind the door does not look at that.
            message = "At least one of the pre-conditions you specified did not hold."
            return self._refuse(412, "Precondition Failed", "conditionNotMet", message)
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "date", "transfer-encoding"):
                self.send_header(name, value)
        if answer.getheader("content-length") is None:
            self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        self.wfile.write(whole)
        inside.close()
