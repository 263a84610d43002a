package dragonfly.hdfs;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;

/** stdin, which the host holds open as long as it lives. */
final class LifeLine {
    private static final int TYPE = 0xF000;
    private static final int FIFO = 0x1000;
    private static final int SOCKET = 0xC000;

    private LifeLine() {}

    /** Ends the plugin with its host. What is no pipe, as the {@code /dev/null} of a shell, says nothing. */
    static void watch(End end) throws IOException {
        if (!held(Path.of("/dev/fd/0"))) {
            return;
        }
        Thread thread = new Thread(() -> {
            drain(System.in);
            end.now();
        }, "life line");
        thread.setDaemon(true);
        thread.start();
    }

    static boolean held(Path stdin) throws IOException {
        int type = (Integer) Files.getAttribute(stdin, "unix:mode") & TYPE;
        return type == FIFO || type == SOCKET;
    }

    private static void drain(InputStream stdin) {
        try {
            stdin.transferTo(OutputStream.nullOutputStream());
        } catch (IOException ended) {
            // As good as its end.
        }
    }
}
