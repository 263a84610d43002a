package dragonfly.hdfs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dragonfly.plugin.resource.v1.ResourceOuterClass.DownloadRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.GetMetadataRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.InitRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.ListRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.Resource;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthGrpc;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import plugin.GRPCControllerGrpc;
import plugin.GrpcController.Empty;

/**
 * Part of the build, not of the tests: the plugin does once what it does for a host, so that the JVM writes down which
 * classes that takes. It starts from that archive afterwards.
 */
class Rehearsal {
    private static final Path ARCHIVE = Plugin.LAUNCHER.resolveSibling("hdfs/plugin.jsa");

    @Test
    void the_classes_are_archived() throws Exception {
        Files.deleteIfExists(ARCHIVE);
        Cluster.write(Cluster.directory("rehearsal") + "/file", 3 * Cluster.BLOCK);
        Path directory = Plugin.directory();
        ProcessBuilder builder = Plugin.builder(directory);
        builder.environment().put("JDK_JAVA_OPTIONS", "-XX:ArchiveClassesAtExit=" + ARCHIVE);
        try (Plugin plugin = Plugin.start(builder, directory, null)) {
            rehearse(plugin);
            assertTrue(plugin.process.waitFor(120, TimeUnit.SECONDS));
            assertEquals(0, plugin.process.exitValue(), plugin.stderr());
            assertTrue(Files.exists(ARCHIVE), plugin.stderr());
        }
    }

    private static void rehearse(Plugin plugin) {
        HealthGrpc.newBlockingStub(plugin.channel()).check(HealthCheckRequest.newBuilder().setService("plugin").build());
        plugin.stub().init(InitRequest.newBuilder().setScheme("hdfs").build());
        Resource file = Resource.newBuilder().setUrl(Cluster.url("/rehearsal/file")).build();
        plugin.stub().getMetadata(GetMetadataRequest.newBuilder().setResource(file).build());
        plugin.stub().download(DownloadRequest.newBuilder().setResource(file).build()).forEachRemaining(event -> {});
        Resource all = Resource.newBuilder().setUrl(Cluster.url("/rehearsal")).build();
        plugin.stub().list(ListRequest.newBuilder().setResource(all).build()).forEachRemaining(event -> {});
        GRPCControllerGrpc.newBlockingStub(plugin.channel()).shutdown(Empty.getDefaultInstance());
    }
}
