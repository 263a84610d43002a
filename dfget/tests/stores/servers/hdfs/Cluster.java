import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hdfs.HdfsConfiguration;
import org.apache.hadoop.hdfs.MiniDFSCluster;

/** A real HDFS in this process, with its WebHDFS on the given port: {@code Cluster DIRECTORY PORT}. {@code DIRECTORY/ready} is there once it is. */
final class Cluster {
    public static void main(String[] arguments) throws Exception {
        Configuration configuration = new HdfsConfiguration();
        configuration.setInt("dfs.replication", 1);
        // A file has several blocks, and a listing takes several calls.
        configuration.setInt("dfs.blocksize", 1 << 20);
        configuration.setInt("dfs.ls.limit", 20);
        // Who is not the superuser may read what its permissions say.
        configuration.setBoolean("dfs.permissions.enabled", true);
        int port = Integer.parseInt(arguments[1]);
        MiniDFSCluster.Builder builder = new MiniDFSCluster.Builder(configuration, new File(arguments[0]));
        builder.numDataNodes(1).nameNodeHttpPort(port).build().waitActive();
        Files.createFile(Path.of(arguments[0], "ready"));
        Thread.currentThread().join();
    }
}
