package dragonfly.hdfs;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.GroupPrincipal;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.ThreadLocalRandom;

/** The file of the Unix domain socket. */
final class SocketFile {
    /** What the kernel holds of a path, without its NUL. */
    private static final int LONGEST = 107;

    private SocketFile() {}

    static Path name(Path directory) {
        long digits = ThreadLocalRandom.current().nextLong(1_000_000_000_000L);
        Path socket = directory.resolve("plugin" + ProcessHandle.current().pid() + digits);
        if (socket.toString().length() > LONGEST) {
            throw new IllegalArgumentException("the path of the socket, " + socket + ", is longer than " + LONGEST
                    + " bytes; set PLUGIN_UNIX_SOCKET_DIR or TMPDIR to a shorter one");
        }
        return socket;
    }

    static void give(Path socket, String group) throws IOException {
        GroupPrincipal principal =
                socket.getFileSystem().getUserPrincipalLookupService().lookupPrincipalByGroupName(group);
        PosixFileAttributeView view =
                Files.getFileAttributeView(socket, PosixFileAttributeView.class, LinkOption.NOFOLLOW_LINKS);
        view.setGroup(principal);
        Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rw-rw----"));
    }
}
