package dragonfly.hdfs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dragonfly.plugin.resource.v1.ResourceOuterClass.InitRequest;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.GrpcSslContexts;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.util.InsecureTrustManagerFactory;
import java.io.StringWriter;
import java.math.BigInteger;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.time.Instant;
import java.util.Date;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.openssl.jcajce.JcaPEMWriter;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.junit.jupiter.api.Test;

/** AutoMTLS with a host as go-plugin is one: a certificate of ECDSA with P-521. */
class TlsTest {
    private record Identity(KeyPair keys, X509Certificate certificate) {
        static Identity create() throws Exception {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
            generator.initialize(new ECGenParameterSpec("secp521r1"));
            KeyPair keys = generator.generateKeyPair();
            X500Name name = new X500Name("CN=localhost");
            Date from = Date.from(Instant.now().minusSeconds(60));
            Date to = Date.from(Instant.now().plusSeconds(3600));
            var builder = new JcaX509v3CertificateBuilder(name, BigInteger.ONE, from, to, name, keys.getPublic());
            var signed = builder.build(new JcaContentSignerBuilder("SHA512withECDSA").build(keys.getPrivate()));
            return new Identity(keys, new JcaX509CertificateConverter().getCertificate(signed));
        }

        String pem() throws Exception {
            StringWriter text = new StringWriter();
            try (JcaPEMWriter writer = new JcaPEMWriter(text)) {
                writer.writeObject(certificate);
            }
            return text.toString();
        }

        SslContext client() throws Exception {
            return GrpcSslContexts.forClient()
                    .keyManager(keys.getPrivate(), certificate)
                    .trustManager(InsecureTrustManagerFactory.INSTANCE)
                    .build();
        }
    }

    private static Plugin start(String clientCertificate, SslContext context) throws Exception {
        Path directory = Plugin.directory();
        ProcessBuilder builder = Plugin.builder(directory);
        builder.environment().put("PLUGIN_CLIENT_CERT", clientCertificate);
        return Plugin.start(builder, directory, context);
    }

    private static void init(Plugin plugin) {
        plugin.stub().init(InitRequest.newBuilder().setScheme("hdfs").build());
    }

    @Test
    void the_host_of_the_certificate_is_served_and_the_line_has_the_plugins() throws Exception {
        Identity host = Identity.create();
        try (Plugin plugin = start(host.pem(), host.client())) {
            init(plugin);
            String certificate = plugin.line.split("\\|")[5];
            assertTrue(certificate.matches("[A-Za-z0-9+/]+"), certificate);
        }
    }

    @Test
    void another_client_is_refused() throws Exception {
        try (Plugin plugin = start(Identity.create().pem(), Identity.create().client())) {
            assertThrows(StatusRuntimeException.class, () -> init(plugin));
        }
    }

    @Test
    void a_client_without_tls_is_refused() throws Exception {
        try (Plugin plugin = start(Identity.create().pem(), null)) {
            assertThrows(StatusRuntimeException.class, () -> init(plugin));
        }
    }

    @Test
    void what_is_no_certificate_is_a_failed_start_with_the_reason() throws Exception {
        try (Plugin plugin = start("-----BEGIN nonsense", null)) {
            assertNull(plugin.line);
            assertNotEquals(0, plugin.process.waitFor());
            assertTrue(plugin.stderr().contains("PLUGIN_CLIENT_CERT has no certificate"), plugin.stderr());
        }
    }

    @Test
    void each_run_has_a_certificate_of_its_own() throws Exception {
        Identity host = Identity.create();
        Tls first = Tls.trusting(host.pem());
        Tls second = Tls.trusting(host.pem());
        assertNotEquals(first.certificate(), second.certificate());
        assertEquals(0, first.certificate().chars().filter(character -> character == '=').count());
    }
}
