"""AutoMTLS: each end accepts the one certificate of the other."""
import base64
import ssl

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_health.v1 import health_pb2
from harness import certificates
from harness import plugin as plugins
from harness.plugin import refused


def credentials(plugin, key, certificate):
    field = plugin.line.rstrip("\n").split("|")[5]
    der = base64.b64decode(field + "=" * (-len(field) % 4))
    assert "=" not in field
    return grpc.ssl_channel_credentials(ssl.DER_cert_to_PEM_cert(der).encode(), key, certificate)


def check(plugin):
    return plugin.health.Check(health_pb2.HealthCheckRequest(service="plugin"), timeout=plugins.LIMIT)


def test_the_host_is_accepted_and_nobody_else(directory):
    key, certificate = certificates.make()
    with plugins.started(directory, PLUGIN_CLIENT_CERT=certificate.decode()) as plugin:
        assert check(plugin.connect(credentials(plugin, key, certificate))).status == health_pb2.HealthCheckResponse.SERVING
        for other in (credentials(plugin, *certificates.make()), credentials(plugin, None, None), None):
            assert refused(lambda other=other: check(plugin.connect(other)))[0] == "UNAVAILABLE"


def test_without_the_variable_there_is_no_certificate(directory):
    with plugins.started(directory, PLUGIN_CLIENT_CERT="") as plugin:
        assert plugin.line.endswith("|grpc|\n")


@pytest.mark.parametrize("certificate, why", [
    ("no certificate", "holds no certificate in PEM"),
    (certificates.make(ec.SECP521R1())[1].decode(), "P-521, which grpcio cannot verify"),
])
def test_a_certificate_that_cannot_be_used_is_told_without_a_handshake(directory, certificate, why):
    with plugins.started(directory, PLUGIN_CLIENT_CERT=certificate) as plugin:
        status, _, stderr = plugin.ended(5)
        assert (status, plugin.line) == (1, "")
        assert why in stderr
