package dragonfly.hdfs;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.hdfs.DistributedFileSystem;
import org.apache.hadoop.hdfs.HdfsConfiguration;
import org.apache.hadoop.hdfs.MiniDFSCluster;

/** A real HDFS in this process, one for all tests: a namenode and two datanodes, with blocks of 1 MiB. */
final class Cluster {
    static final int BLOCK = 1 << 20;

    private static MiniDFSCluster shared;

    private Cluster() {}

    static synchronized MiniDFSCluster shared() {
        if (shared == null) {
            try {
                shared = new MiniDFSCluster.Builder(configuration(), directory().toFile()).numDataNodes(2).build();
                shared.waitActive();
                Runtime.getRuntime().addShutdownHook(new Thread(() -> shared.shutdown(true)));
            } catch (IOException failure) {
                throw new UncheckedIOException(failure);
            }
        }
        return shared;
    }

    static Configuration configuration() {
        Configuration configuration = new HdfsConfiguration();
        configuration.setInt("dfs.blocksize", BLOCK);
        configuration.setInt("dfs.replication", 2);
        // A listing takes many round trips.
        configuration.setInt("dfs.ls.limit", 100);
        return configuration;
    }

    static Path directory() throws IOException {
        Path target = Files.createDirectories(Path.of("target").toAbsolutePath());
        return Files.createTempDirectory(target, "hdfs");
    }

    static DistributedFileSystem files() throws IOException {
        return shared().getFileSystem();
    }

    /** Of a path in the cluster, which stands in the URL as it is. */
    static String url(String path) {
        return "hdfs://localhost:" + shared().getNameNodePort() + path;
    }

    /** Makes a directory that no other test uses, where everybody may read. */
    static String directory(String name) throws IOException {
        String path = "/" + name;
        files().delete(path(path), true);
        files().mkdirs(path(path), new FsPermission((short) 0755));
        return path;
    }

    static byte[] write(String path, int length) throws IOException {
        return write(files(), path, length);
    }

    static byte[] write(FileSystem files, String path, int length) throws IOException {
        byte[] content = new byte[length];
        new Random(path.hashCode()).nextBytes(content);
        write(files, path, content);
        return content;
    }

    static void write(FileSystem files, String path, byte[] content) throws IOException {
        try (OutputStream out = files.create(path(path), true)) {
            out.write(content);
        }
    }

    static org.apache.hadoop.fs.Path path(String path) {
        return new org.apache.hadoop.fs.Path(null, null, path);
    }
}
