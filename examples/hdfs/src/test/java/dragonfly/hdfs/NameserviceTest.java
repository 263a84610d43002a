package dragonfly.hdfs;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.hdfs.MiniDFSCluster;
import org.apache.hadoop.hdfs.MiniDFSNNTopology;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.io.TempDir;

/** Two namenodes under one name, which a site file tells. The first that is asked is the one on standby. */
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class NameserviceTest {
    @TempDir
    private static Path confDir;

    private static MiniDFSCluster cluster;
    private static byte[] content;

    @BeforeAll
    static void twoNamenodes() throws IOException {
        cluster = new MiniDFSCluster.Builder(Cluster.configuration(), Cluster.directory().toFile())
                .nnTopology(MiniDFSNNTopology.simpleHATopology())
                .numDataNodes(1)
                .build();
        cluster.waitActive();
        cluster.transitionToActive(1);
        site();
        try (FileSystem active = cluster.getFileSystem(1)) {
            content = Cluster.write(active, "/file", 3 * Cluster.BLOCK);
        }
    }

    private static void site() throws IOException {
        Configuration site = new Configuration(false);
        site.set("fs.defaultFS", "hdfs://ours");
        site.set("dfs.nameservices", "ours");
        site.set("dfs.ha.namenodes.ours", "one,two");
        site.set("dfs.namenode.rpc-address.ours.one", "localhost:" + cluster.getNameNodePort(0));
        site.set("dfs.namenode.rpc-address.ours.two", "localhost:" + cluster.getNameNodePort(1));
        site.set("dfs.client.failover.proxy.provider.ours",
                "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider");
        try (OutputStream out = Files.newOutputStream(confDir.resolve("hdfs-site.xml"))) {
            site.writeXml(out);
        }
    }

    @AfterAll
    static void noNamenode() {
        cluster.shutdown(true);
    }

    private static Dfget.Run run(Dfget dfget, String url) throws Exception {
        return dfget.run("--tries", "1", "--opt", "conf-dir=" + confDir, "-u", url, "-O", "copy");
    }

    @Test
    @Order(1)
    void a_nameservice_leads_to_the_active_namenode(@TempDir Path directory) throws Exception {
        Dfget dfget = new Dfget(directory);
        Dfget.Run run = run(dfget, "hdfs://ours/file");
        assertEquals(0, run.status(), run.stderr());
        assertArrayEquals(content, Files.readAllBytes(dfget.file("copy")));
    }

    @Test
    @Order(2)
    void a_url_without_a_namenode_means_the_default_of_the_site(@TempDir Path directory) throws Exception {
        Dfget dfget = new Dfget(directory);
        Dfget.Run run = run(dfget, "hdfs:///file");
        assertEquals(0, run.status(), run.stderr());
        assertArrayEquals(content, Files.readAllBytes(dfget.file("copy")));
    }

    @Test
    @Order(3)
    void the_namenode_on_standby_itself_is_22(@TempDir Path directory) throws Exception {
        Dfget.Run run = run(new Dfget(directory), "hdfs://localhost:" + cluster.getNameNodePort(0) + "/file");
        assertEquals(22, run.status(), run.stderr());
        assertTrue(run.stderr().contains("standby"), run.stderr());
    }

    @Test
    @Order(4)
    void a_nameservice_without_a_namenode_that_lives_is_22(@TempDir Path directory) throws Exception {
        cluster.shutdownNameNode(0);
        cluster.shutdownNameNode(1);
        Dfget.Run run = run(new Dfget(directory), "hdfs://ours/file");
        assertEquals(22, run.status(), run.stderr());
    }
}
