"""AutoMTLS (PROTOCOL.md): a key and a certificate for this one run, and nobody accepted but the host's."""
import base64
import sys
from datetime import datetime, timedelta, timezone

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = timedelta(days=365)
SKEW = timedelta(hours=1)


def credentials(client_certificate):
    """Of the server, and the certificate for the handshake line."""
    try:
        client = x509.load_pem_x509_certificate(client_certificate.encode())
    except ValueError as error:
        sys.exit(f"PLUGIN_CLIENT_CERT holds no certificate in PEM: {error}")
    refuse_unsupported(client)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = self_signed(key)
    chain = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    # The host's certificate is the only root, so that it is the only one that is accepted.
    trusted = client.public_bytes(serialization.Encoding.PEM)
    server = grpc.ssl_server_credentials([(private, chain)], root_certificates=trusted, require_client_auth=True)
    der = certificate.public_bytes(serialization.Encoding.DER)
    return server, base64.b64encode(der).decode().rstrip("=")


def refuse_unsupported(client):
    """gRPC's TLS library has no P-521 in its offer: the host would see nothing but a failed handshake."""
    key = client.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP521R1):
        sys.exit("PLUGIN_CLIENT_CERT has a key on the curve P-521, which grpcio cannot verify: the host has to make one "
                 "on P-256, as dfget does, or do without AutoMTLS")


def self_signed(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - SKEW, now + LIFE)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
    return builder.sign(key, hashes.SHA256())
