package dragonfly.hdfs;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** The handshake line, and the one place that writes to what the host knows as the plugin's stdout. */
final class Handshake {
    /** Whoever offers more than version 1 is answered the same: it is the highest and the lowest this plugin speaks. */
    private static final String CORE_AND_VERSION = "1|1";

    /** Set by the launcher script, which has put stderr into the place of descriptor 1. */
    private static final String STDOUT = "dragonfly.stdout";

    private Handshake() {}

    static String line(Path socket, String certificate, boolean multiplexing) {
        String line = String.join("|", CORE_AND_VERSION, "unix", socket.toString(), "grpc", certificate);
        return line + (multiplexing ? "|false\n" : "\n");
    }

    static void print(String line) throws IOException {
        // Neither is closed: the host may take the end of its pipe for the end of the plugin.
        String stdout = System.getProperty(STDOUT);
        OutputStream out = stdout == null ? new FileOutputStream(FileDescriptor.out) : new FileOutputStream(stdout);
        out.write(line.getBytes(StandardCharsets.UTF_8));
        out.flush();
    }
}
