package dragonfly.hdfs;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dragonfly.plugin.resource.v1.ResourceClientGrpc;
import dragonfly.plugin.resource.v1.ResourceClientGrpc.ResourceClientBlockingStub;
import dragonfly.plugin.resource.v1.ResourceOuterClass.InitRequest;
import io.grpc.ManagedChannel;
import io.grpc.netty.NettyChannelBuilder;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.epoll.EpollDomainSocketChannel;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.unix.DomainSocketAddress;
import io.netty.handler.ssl.SslContext;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** The plugin as any host starts it: by its launcher, with the environment and the pipes of PROTOCOL.md. */
final class Plugin implements AutoCloseable {
    static final Path LAUNCHER = Path.of("dist/d7y-resource-plugin-hdfs").toAbsolutePath();
    static final String COOKIE = "d5d7b8f2c1e94a0f8e53a3b6f4907c2e9a61d08b7c35f24e1b90ad6c8f723e45";

    private static final EventLoopGroup EVENTS = new MultiThreadIoEventLoopGroup(1, EpollIoHandler.newFactory());

    final Process process;
    final Path directory;
    final BufferedReader stdout;
    final String line;
    private final ManagedChannel channel;

    private Plugin(Process process, Path directory, SslContext tls) throws IOException {
        this.process = process;
        this.directory = directory;
        stdout = process.inputReader();
        line = stdout.readLine();
        channel = line == null ? null : connect(tls);
    }

    /** A builder of the process, to be changed by a test before it is started. */
    static ProcessBuilder builder(Path directory) {
        ProcessBuilder builder = new ProcessBuilder(LAUNCHER.toString());
        builder.environment().clear();
        builder.environment().putAll(Map.of(
                "PATH", System.getenv("PATH"),
                "TMPDIR", directory.toString(),
                "DRAGONFLY_PLUGIN_MAGIC_COOKIE", COOKIE,
                "DRAGONFLY_PLUGIN_LIFE_LINE", "stdin",
                "PLUGIN_PROTOCOL_VERSIONS", "1",
                "PLUGIN_UNIX_SOCKET_DIR", directory.toString()));
        builder.redirectError(directory.resolve("stderr").toFile());
        return builder;
    }

    static Plugin start() throws IOException {
        Path directory = directory();
        return start(builder(directory), directory, null);
    }

    static Plugin start(ProcessBuilder builder, Path directory, SslContext tls) throws IOException {
        return new Plugin(builder.start(), directory, tls);
    }

    /** Short, since a socket's path is at most 107 bytes. */
    static Path directory() throws IOException {
        return Files.createTempDirectory("hd");
    }

    private ManagedChannel connect(SslContext tls) {
        NettyChannelBuilder builder = NettyChannelBuilder.forAddress(new DomainSocketAddress(line.split("\\|")[3]))
                .eventLoopGroup(EVENTS)
                .channelType(EpollDomainSocketChannel.class)
                .overrideAuthority("localhost");
        return tls == null ? builder.usePlaintext().build() : builder.sslContext(tls).build();
    }

    ManagedChannel channel() {
        return channel;
    }

    ResourceClientBlockingStub stub() {
        return ResourceClientGrpc.newBlockingStub(channel).withDeadlineAfter(60, TimeUnit.SECONDS);
    }

    /** Started and initialised without options. */
    static Plugin ready() throws IOException {
        Plugin plugin = start();
        plugin.stub().init(InitRequest.newBuilder().setScheme("hdfs").build());
        return plugin;
    }

    String stderr() throws IOException {
        return Files.readString(directory.resolve("stderr"));
    }

    void endsWithin(long milliseconds) throws InterruptedException {
        assertTrue(process.waitFor(milliseconds, TimeUnit.MILLISECONDS), "still there after " + milliseconds + " ms");
    }

    @Override
    public void close() {
        if (channel != null) {
            channel.shutdownNow();
        }
        process.destroyForcibly();
        try (Stream<Path> all = Files.walk(directory)) {
            all.sorted(Comparator.reverseOrder()).map(Path::toFile).forEach(File::delete);
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }
}
