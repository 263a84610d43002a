package dragonfly.hdfs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dragonfly.plugin.resource.v1.ResourceOuterClass.DownloadRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.DownloadResponse;
import dragonfly.plugin.resource.v1.ResourceOuterClass.Resource;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.GroupPrincipal;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Iterator;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import plugin.GRPCControllerGrpc;
import plugin.GrpcController.Empty;

/** Environment, handshake and the ways out, as a host sees them. */
class LifeTest {
    /** A second by the protocol, and what a busy machine adds. */
    private static final long SOON = 5_000;

    private static ServingStatus health(Plugin plugin) {
        return HealthGrpc.newBlockingStub(plugin.channel())
                .withDeadlineAfter(30, TimeUnit.SECONDS)
                .check(HealthCheckRequest.newBuilder().setService("plugin").build())
                .getStatus();
    }

    private static void signal(Plugin plugin, String name) throws Exception {
        new ProcessBuilder("kill", "-" + name, String.valueOf(plugin.process.pid())).start().waitFor();
    }

    private static Iterator<DownloadResponse> openDownload(Plugin plugin) throws IOException {
        Cluster.write(Cluster.directory("life") + "/file", 16 * Cluster.BLOCK);
        DownloadRequest request = DownloadRequest.newBuilder()
                .setResource(Resource.newBuilder().setUrl(Cluster.url("/life/file")))
                .build();
        Iterator<DownloadResponse> events = plugin.stub().download(request);
        assertTrue(events.next().hasOpened());
        return events;
    }

    private static void assertNothingLeft(Path directory) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            assertEquals(0, files.filter(file -> file.getFileName().toString().startsWith("plugin")).count());
        }
    }

    @Test
    void by_hand_it_says_what_it_is_and_nothing_on_stdout() throws Exception {
        Path directory = Plugin.directory();
        ProcessBuilder builder = Plugin.builder(directory);
        builder.environment().remove("DRAGONFLY_PLUGIN_MAGIC_COOKIE");
        try (Plugin plugin = Plugin.start(builder, directory, null)) {
            assertNull(plugin.line);
            assertEquals(1, plugin.process.waitFor());
            assertTrue(plugin.stderr().contains("This is a plugin of dfget"), plugin.stderr());
        }
    }

    @Test
    void the_line_names_a_socket_that_serves() throws Exception {
        try (Plugin plugin = Plugin.start()) {
            String socket = plugin.directory + "/plugin";
            assertTrue(plugin.line.matches("1\\|1\\|unix\\|" + socket + "[0-9]+\\|grpc\\|"), plugin.line);
            assertEquals(ServingStatus.SERVING, health(plugin));
        }
    }

    @Test
    void multiplexing_is_refused_in_the_seventh_field() throws Exception {
        Path directory = Plugin.directory();
        ProcessBuilder builder = Plugin.builder(directory);
        builder.environment().put("PLUGIN_MULTIPLEX_GRPC", "true");
        try (Plugin plugin = Plugin.start(builder, directory, null)) {
            assertTrue(plugin.line.endsWith("|grpc||false"), plugin.line);
        }
    }

    @Test
    void whatever_versions_are_offered_it_answers_1() throws Exception {
        Path directory = Plugin.directory();
        ProcessBuilder builder = Plugin.builder(directory);
        builder.environment().put("PLUGIN_PROTOCOL_VERSIONS", "3,2");
        try (Plugin plugin = Plugin.start(builder, directory, null)) {
            assertTrue(plugin.line.startsWith("1|1|"), plugin.line);
        }
    }

    @Test
    void what_the_jvm_prints_to_stdout_is_not_on_the_hosts() throws Exception {
        Path directory = Plugin.directory();
        ProcessBuilder builder = Plugin.builder(directory);
        builder.environment().put("JDK_JAVA_OPTIONS", "-XX:+PrintCommandLineFlags");
        try (Plugin plugin = Plugin.start(builder, directory, null)) {
            assertTrue(plugin.line.startsWith("1|1|unix|"), plugin.line);
            assertTrue(plugin.stderr().contains("-XX:+UseSerialGC"), plugin.stderr());
        }
    }

    @Test
    void the_socket_is_given_to_the_group_that_the_host_names() throws Exception {
        Path directory = Plugin.directory();
        GroupPrincipal group = Files.readAttributes(directory, PosixFileAttributes.class).group();
        ProcessBuilder builder = Plugin.builder(directory);
        builder.environment().put("PLUGIN_UNIX_SOCKET_GROUP", group.getName());
        try (Plugin plugin = Plugin.start(builder, directory, null)) {
            Path socket = Path.of(plugin.line.split("\\|")[3]);
            PosixFileAttributes attributes = Files.readAttributes(socket, PosixFileAttributes.class);
            assertEquals("rw-rw----", PosixFilePermissions.toString(attributes.permissions()));
            assertEquals(group, attributes.group());
        }
    }

    @Test
    void shutdown_ends_it_and_its_stdout_has_one_line() throws Exception {
        try (Plugin plugin = Plugin.ready()) {
            GRPCControllerGrpc.newBlockingStub(plugin.channel()).shutdown(Empty.getDefaultInstance());
            plugin.endsWithin(SOON);
            assertEquals(0, plugin.process.exitValue());
            assertNull(plugin.stdout.readLine());
            assertNothingLeft(plugin.directory);
        }
    }

    @Test
    void shutdown_does_not_wait_for_a_download_that_nobody_reads() throws Exception {
        try (Plugin plugin = Plugin.ready()) {
            openDownload(plugin);
            GRPCControllerGrpc.newBlockingStub(plugin.channel()).shutdown(Empty.getDefaultInstance());
            plugin.endsWithin(SOON);
        }
    }

    @Test
    void the_end_of_stdin_ends_it_in_the_middle_of_a_download() throws Exception {
        try (Plugin plugin = Plugin.ready()) {
            openDownload(plugin);
            plugin.process.getOutputStream().close();
            plugin.endsWithin(SOON);
            assertNothingLeft(plugin.directory);
        }
    }

    @Test
    void without_the_variable_the_end_of_stdin_says_nothing() throws Exception {
        Path directory = Plugin.directory();
        ProcessBuilder builder = Plugin.builder(directory);
        builder.environment().remove("DRAGONFLY_PLUGIN_LIFE_LINE");
        try (Plugin plugin = Plugin.start(builder, directory, null)) {
            plugin.process.getOutputStream().close();
            assertFalse(plugin.process.waitFor(500, TimeUnit.MILLISECONDS));
            assertEquals(ServingStatus.SERVING, health(plugin));
        }
    }

    @Test
    void a_stdin_that_is_no_pipe_is_no_life_line() throws Exception {
        Path directory = Plugin.directory();
        ProcessBuilder builder = Plugin.builder(directory).redirectInput(new File("/dev/null"));
        try (Plugin plugin = Plugin.start(builder, directory, null)) {
            assertFalse(plugin.process.waitFor(500, TimeUnit.MILLISECONDS));
            assertEquals(ServingStatus.SERVING, health(plugin));
        }
    }

    @Test
    void sigterm_ends_it() throws Exception {
        try (Plugin plugin = Plugin.ready()) {
            openDownload(plugin);
            signal(plugin, "TERM");
            plugin.endsWithin(SOON);
            assertNothingLeft(plugin.directory);
        }
    }

    @Test
    void sigint_is_for_the_host() throws Exception {
        try (Plugin plugin = Plugin.ready()) {
            signal(plugin, "INT");
            assertFalse(plugin.process.waitFor(500, TimeUnit.MILLISECONDS));
            assertEquals(ServingStatus.SERVING, health(plugin));
        }
    }

    @Test
    void a_directory_that_is_not_there_is_a_failed_start_with_the_reason() throws Exception {
        Path directory = Plugin.directory();
        ProcessBuilder builder = Plugin.builder(directory);
        builder.environment().put("PLUGIN_UNIX_SOCKET_DIR", directory + "/missing");
        try (Plugin plugin = Plugin.start(builder, directory, null)) {
            assertNull(plugin.line);
            assertEquals(1, plugin.process.waitFor());
            assertTrue(plugin.stderr().contains(directory + "/missing"), plugin.stderr());
        }
    }

    @Test
    void without_java_the_launcher_says_so() throws Exception {
        Path directory = Plugin.directory();
        ProcessBuilder builder = Plugin.builder(directory);
        builder.environment().put("JAVA_HOME", directory.toString());
        try (Plugin plugin = Plugin.start(builder, directory, null)) {
            assertNull(plugin.line);
            assertEquals(1, plugin.process.waitFor());
            assertTrue(plugin.stderr().contains("install Java 17 or later"), plugin.stderr());
        }
    }

    @Test
    void a_java_that_is_too_old_is_named_with_its_version() throws Exception {
        Path directory = Plugin.directory();
        Path java = Files.createDirectories(directory.resolve("jdk/bin")).resolve("java");
        Files.writeString(java, "#!/bin/sh\nexit 0\n");
        assertTrue(java.toFile().setExecutable(true));
        Files.writeString(directory.resolve("jdk/release"), "IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"1.8.0_402\"\n");
        ProcessBuilder builder = Plugin.builder(directory);
        builder.environment().put("JAVA_HOME", directory.resolve("jdk").toString());
        try (Plugin plugin = Plugin.start(builder, directory, null)) {
            assertNull(plugin.line);
            assertEquals(1, plugin.process.waitFor());
            assertTrue(plugin.stderr().contains("is Java 8, and this plugin needs 17 or later"), plugin.stderr());
        }
    }

    @Test
    void the_launcher_finds_its_jars_behind_links() throws Exception {
        Path directory = Plugin.directory();
        Path link = Files.createSymbolicLink(directory.resolve("d7y-resource-plugin-hdfs"), Plugin.LAUNCHER);
        Path second = Files.createSymbolicLink(directory.resolve("second"), link.getFileName());
        ProcessBuilder builder = Plugin.builder(directory).command(second.toString());
        try (Plugin plugin = Plugin.start(builder, directory, null)) {
            assertEquals(ServingStatus.SERVING, health(plugin));
        }
    }

    @Test
    void the_archive_of_classes_is_used() throws Exception {
        Path directory = Plugin.directory();
        ProcessBuilder builder = Plugin.builder(directory);
        try (Plugin plugin = Plugin.start(builder, directory, null)) {
            assertEquals(ServingStatus.SERVING, health(plugin));
            Path maps = Path.of("/proc/" + plugin.process.pid() + "/maps");
            assertTrue(Files.readString(maps).contains("/plugin.jsa"));
        }
    }
}
