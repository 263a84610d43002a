package dragonfly.hdfs;

import io.grpc.Server;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** The ways out: the host asks, SIGTERM comes, or the life line ends. Each is over within a second. */
final class End {
    /** What is left of the second for calls that are running. */
    private static final long GRACE_MILLISECONDS = 400;

    private final Path socket;
    private volatile Server server;

    End(Path socket) {
        this.socket = socket;
        // Hadoop has hooks of its own, and they may wait for a cluster that is gone. This one does not wait for them.
        Runtime.getRuntime().addShutdownHook(new Thread(this::now, "end"));
    }

    void stops(Server started) {
        server = started;
    }

    /** Answers what is running, this call included, and then ends. */
    void soon() {
        Thread thread = new Thread(() -> {
            finishCalls();
            now();
        }, "end");
        thread.setDaemon(true);
        thread.start();
    }

    void now() {
        try {
            Files.deleteIfExists(socket);
        } catch (Exception gone) {
            // The host has removed it together with its directory.
        } finally {
            Runtime.getRuntime().halt(0);
        }
    }

    private void finishCalls() {
        try {
            if (server != null) {
                server.shutdown();
                server.awaitTermination(GRACE_MILLISECONDS, TimeUnit.MILLISECONDS);
            }
        } catch (InterruptedException asked) {
            Thread.currentThread().interrupt();
        }
    }
}
