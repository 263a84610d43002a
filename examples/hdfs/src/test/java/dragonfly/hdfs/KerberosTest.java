package dragonfly.hdfs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dragonfly.plugin.resource.v1.ResourceOuterClass.GetMetadataRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.InitRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.Resource;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** What can be told without a KDC: how it fails. */
class KerberosTest {
    private static final InitRequest KERBEROS = InitRequest.newBuilder()
            .setScheme("hdfs")
            .putOptions("conf.hadoop.security.authentication", "kerberos")
            .putOptions("conf.dfs.namenode.kerberos.principal", "nn/_HOST@EXAMPLE.ORG")
            .build();

    /** With these properties of the JVM in the place of the machine's /etc/krb5.conf. */
    private static Plugin start(String properties) throws IOException {
        Path directory = Plugin.directory();
        ProcessBuilder builder = Plugin.builder(directory);
        builder.environment().put("JDK_JAVA_OPTIONS", properties);
        builder.environment().put("KRB5CCNAME", directory + "/no-ticket");
        return Plugin.start(builder, directory, null);
    }

    @Test
    void a_cluster_without_kerberos_is_refused_where_it_is_wanted() throws Exception {
        try (Plugin plugin = start("-Djava.security.krb5.realm=EXAMPLE.ORG -Djava.security.krb5.kdc=localhost")) {
            plugin.stub().init(KERBEROS);
            Resource resource = Resource.newBuilder().setUrl(Cluster.url("/x")).build();
            GetMetadataRequest request = GetMetadataRequest.newBuilder().setResource(resource).build();
            Status status = assertThrows(StatusRuntimeException.class, () -> plugin.stub().getMetadata(request)).getStatus();
            assertEquals(Status.Code.UNAUTHENTICATED, status.getCode(), status.toString());
        }
    }

    @Test
    void without_a_realm_the_options_are_refused() throws Exception {
        try (Plugin plugin = start("-Djava.security.krb5.conf=/dev/null")) {
            Status status = assertThrows(StatusRuntimeException.class, () -> plugin.stub().init(KERBEROS)).getStatus();
            assertEquals(Status.Code.INVALID_ARGUMENT, status.getCode(), status.toString());
            assertTrue(status.getDescription().contains("/etc/krb5.conf"), status.toString());
        }
    }
}
