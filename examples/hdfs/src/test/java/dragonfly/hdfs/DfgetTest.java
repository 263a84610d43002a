package dragonfly.hdfs;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.hdfs.DFSTestUtil;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** From a real HDFS, through the real dfget. */
class DfgetTest {
    private static final int MEBIBYTE = 1 << 20;

    private Dfget dfget;

    @BeforeEach
    void aDirectoryOfItsOwn(@TempDir Path directory) {
        dfget = new Dfget(directory);
    }

    @Test
    void a_file_of_many_blocks_arrives_as_it_is() throws Exception {
        byte[] content = Cluster.write(Cluster.directory("whole") + "/file", 8 * MEBIBYTE + 12345);
        Dfget.Run run = dfget.run("-u", Cluster.url("/whole/file"), "-O", "copy");
        assertEquals(0, run.status(), run.stderr());
        assertArrayEquals(content, Files.readAllBytes(dfget.file("copy")));
    }

    @Test
    void a_file_arrives_in_pieces_fetched_at_the_same_time() throws Exception {
        byte[] content = Cluster.write(Cluster.directory("pieces") + "/file", 9 * MEBIBYTE + 1);
        Dfget.Run run = dfget.run("-n", "4", "--piece-length", "1M", "-u", Cluster.url("/pieces/file"), "-O", "copy");
        assertEquals(0, run.status(), run.stderr());
        assertArrayEquals(content, Files.readAllBytes(dfget.file("copy")));
    }

    @Test
    void a_range_is_just_those_bytes() throws Exception {
        byte[] content = Cluster.write(Cluster.directory("range") + "/file", 3 * MEBIBYTE);
        Dfget.Run run = dfget.run("--range", "1048570-2097160", "-u", Cluster.url("/range/file"), "-O", "part");
        assertEquals(0, run.status(), run.stderr());
        assertArrayEquals(Arrays.copyOfRange(content, 1048570, 2097161), Files.readAllBytes(dfget.file("part")));
    }

    @Test
    void an_empty_file_is_an_empty_output() throws Exception {
        Cluster.write(Cluster.directory("empty") + "/file", 0);
        Dfget.Run run = dfget.run("-u", Cluster.url("/empty/file"), "-O", "copy");
        assertEquals(0, run.status(), run.stderr());
        assertEquals(0, Files.size(dfget.file("copy")));
    }

    @Test
    void a_plugin_that_is_killed_in_the_middle_is_survived() throws Exception {
        byte[] content = Cluster.write(Cluster.directory("killed") + "/file", 12 * MEBIBYTE);
        Process process = dfget.start("--limit-rate", "4M", "--no-progress", "-u", Cluster.url("/killed/file"), "-O", "copy");
        ProcessHandle plugin = pluginThatHasDelivered(process, dfget.directory);
        assertTrue(plugin.destroyForcibly());
        Dfget.Run run = dfget.end(process);
        assertEquals(0, run.status(), run.stderr());
        assertTrue(run.stderr().contains("restarted once"), run.stderr());
        assertArrayEquals(content, Files.readAllBytes(dfget.file("copy")));
    }

    /** Waits until there is something of the output, so that it is killed while it sends. */
    private static ProcessHandle pluginThatHasDelivered(Process dfget, Path directory) throws IOException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (System.nanoTime() < deadline && dfget.isAlive()) {
            boolean delivered;
            try (Stream<Path> files = Files.list(directory)) {
                delivered = files.anyMatch(file -> file.getFileName().toString().contains("copy") && allocated(file));
            }
            if (delivered) {
                return dfget.descendants().findFirst().orElseThrow();
            }
            Thread.onSpinWait();
        }
        throw new AssertionError("nothing of the output came");
    }

    private static boolean allocated(Path part) {
        try {
            byte[] first = new byte[16];
            try (var in = Files.newInputStream(part)) {
                in.readNBytes(first, 0, first.length);
            }
            return !Arrays.equals(first, new byte[16]);
        } catch (IOException gone) {
            return false;
        }
    }

    @Test
    void what_does_not_exist_is_20() throws Exception {
        Dfget.Run run = dfget.run("-u", Cluster.url("/nowhere/file"), "-O", "copy");
        assertEquals(20, run.status(), run.stderr());
        assertTrue(run.stderr().contains("/nowhere/file"), run.stderr());
        assertFalse(Files.exists(dfget.file("copy")));
    }

    @Test
    void a_path_through_a_file_is_20() throws Exception {
        Cluster.write(Cluster.directory("through") + "/file", 10);
        assertEquals(20, dfget.run("-u", Cluster.url("/through/file/x"), "-O", "copy").status());
        assertEquals(20, dfget.run("--opt", "user=ada", "-u", Cluster.url("/through/file/x"), "-O", "copy").status());
    }

    @Test
    void a_user_who_may_not_read_is_21() throws Exception {
        Cluster.write(Cluster.directory("secret") + "/file", 10);
        Cluster.files().setPermission(Cluster.path("/secret/file"), new FsPermission((short) 0600));
        Dfget.Run run = dfget.run("--opt", "user=eve", "-u", Cluster.url("/secret/file"), "-O", "copy");
        assertEquals(21, run.status(), run.stderr());
        assertTrue(run.stderr().contains("user=eve"), run.stderr());
    }

    @Test
    void the_user_of_the_option_is_who_reads() throws Exception {
        byte[] content = Cluster.write(Cluster.directory("hers") + "/file", 10);
        Cluster.files().setPermission(Cluster.path("/hers/file"), new FsPermission((short) 0600));
        Cluster.files().setOwner(Cluster.path("/hers/file"), "ada", "ada");
        Dfget.Run run = dfget.run("--opt", "user=ada", "-u", Cluster.url("/hers/file"), "-O", "copy");
        assertEquals(0, run.status(), run.stderr());
        assertArrayEquals(content, Files.readAllBytes(dfget.file("copy")));
    }

    @Test
    void a_directory_is_24() throws Exception {
        Cluster.directory("directory");
        Dfget.Run run = dfget.run("-u", Cluster.url("/directory"), "-O", "copy");
        assertEquals(24, run.status(), run.stderr());
        assertTrue(run.stderr().contains("is a directory"), run.stderr());
    }

    @Test
    void a_misspelt_option_is_24_and_named() throws Exception {
        Dfget.Run run = dfget.run("--opt", "confdir=/etc", "-u", Cluster.url("/x"), "-O", "copy");
        assertEquals(24, run.status(), run.stderr());
        assertTrue(run.stderr().contains("`confdir`"), run.stderr());
    }

    @Test
    void a_namenode_that_is_not_there_is_22_within_seconds() throws Exception {
        int nobody;
        try (ServerSocket socket = new ServerSocket(0)) {
            nobody = socket.getLocalPort();
        }
        long since = System.nanoTime();
        Dfget.Run run = dfget.run("--tries", "1", "-u", "hdfs://localhost:" + nobody + "/x", "-O", "copy");
        assertEquals(22, run.status(), run.stderr());
        assertTrue(System.nanoTime() - since < TimeUnit.SECONDS.toNanos(15));
    }

    @Test
    void a_namenode_that_does_not_answer_is_22_within_a_minute() throws Exception {
        try (ServerSocket silent = new ServerSocket(0)) {
            Dfget.Run run = dfget.run("--tries", "1", "--opt", "conf.ipc.client.rpc-timeout.ms=1500",
                    "-u", "hdfs://localhost:" + silent.getLocalPort() + "/x", "-O", "copy");
            assertEquals(22, run.status(), run.stderr());
        }
    }

    @Test
    void a_host_that_nobody_knows_is_22() throws Exception {
        Dfget.Run run = dfget.run("--tries", "1", "-u", "hdfs://no-such-host.invalid:8020/x", "-O", "copy");
        assertEquals(22, run.status(), run.stderr());
        assertTrue(run.stderr().contains("no-such-host.invalid"), run.stderr());
    }

    @Test
    void a_file_that_is_being_written_is_22_and_not_a_part_of_it() throws Exception {
        try (OutputStream out = Cluster.files().create(Cluster.path(Cluster.directory("open") + "/file"))) {
            out.write(new byte[2 * MEBIBYTE]);
            Dfget.Run run = dfget.run("--tries", "1", "-u", Cluster.url("/open/file"), "-O", "copy");
            assertEquals(22, run.status(), run.stderr());
            assertTrue(run.stderr().contains("is being written"), run.stderr());
            assertFalse(Files.exists(dfget.file("copy")));
        }
    }

    @Test
    void a_block_that_is_damaged_everywhere_is_no_output() throws Exception {
        Cluster.write(Cluster.directory("damaged") + "/file", 3 * MEBIBYTE);
        var block = DFSTestUtil.getAllBlocks(Cluster.files(), Cluster.path("/damaged/file")).get(1);
        assertEquals(2, Cluster.shared().corruptBlockOnDataNodes(block.getBlock()));
        Dfget.Run run = dfget.run("--tries", "1", "-u", Cluster.url("/damaged/file"), "-O", "copy");
        // Of two bad replicas Hadoop's client says that a checksum is wrong, or that the block is nowhere to be had.
        boolean missing = run.status() == 22 && run.stderr().contains("BlockMissingException");
        assertTrue(run.status() == 30 || missing, run.status() + " " + run.stderr());
        assertFalse(Files.exists(dfget.file("copy")));
    }

    @Test
    void the_crc32_that_hdfs_knows_is_announced_and_checked() throws Exception {
        Configuration configuration = Cluster.configuration();
        configuration.set("dfs.checksum.type", "CRC32");
        Cluster.directory("crc");
        try (FileSystem files = FileSystem.newInstance(Cluster.files().getUri(), configuration)) {
            byte[] content = Cluster.write(files, "/crc/file", 5 * MEBIBYTE + 77);
            Dfget.Run run = dfget.run("--json", "--opt", "digest=crc32", "-u", Cluster.url("/crc/file"), "-O", "copy");
            assertEquals(0, run.status(), run.stderr());
            CRC32 crc = new CRC32();
            crc.update(content);
            assertTrue(run.stdout().contains(String.format("\"verified\":\"crc32:%08x\"", crc.getValue())), run.stdout());
        }
    }

    @Test
    void a_crc32c_is_not_announced_as_anything() throws Exception {
        Cluster.write(Cluster.directory("crc32c") + "/file", 100);
        Dfget.Run run = dfget.run("--json", "--opt", "digest=crc32", "-u", Cluster.url("/crc32c/file"), "-O", "copy");
        assertEquals(0, run.status(), run.stderr());
        assertTrue(run.stdout().contains("\"verified\":null"), run.stdout());
    }

    @Test
    void a_digest_of_the_user_is_checked() throws Exception {
        Cluster.write(Cluster.directory("digest") + "/file", 1000);
        Dfget.Run run = dfget.run("--digest", "crc32:00000000", "-u", Cluster.url("/digest/file"), "-O", "copy");
        assertEquals(30, run.status(), run.stderr());
        assertFalse(Files.exists(dfget.file("copy")));
    }

    @Test
    void a_tree_arrives_with_all_its_names() throws Exception {
        Map<String, byte[]> tree = new TreeMap<>();
        List<String> names = List.of(
                "plain", "with space", "100%", "%41", "a+b", "q?x#y", "größe-中文", "sub/deeper/file", "sub/.hidden");
        for (String name : names) {
            tree.put(name, Cluster.write("/tree/" + name, name.length() * 1000));
        }
        Dfget.Run run = dfget.run("-r", "-u", Cluster.url("/tree"), "-O", "copy");
        assertEquals(0, run.status(), run.stderr());
        assertEquals(tree.keySet(), names(dfget.file("copy")));
        for (Map.Entry<String, byte[]> file : tree.entrySet()) {
            assertArrayEquals(file.getValue(), Files.readAllBytes(dfget.file("copy").resolve(file.getKey())), file.getKey());
        }
    }

    private static Set<String> names(Path root) throws IOException {
        try (Stream<Path> files = Files.walk(root)) {
            return files.filter(Files::isRegularFile)
                    .map(file -> root.relativize(file).toString())
                    .collect(Collectors.toCollection(TreeSet::new));
        }
    }

    @Test
    void a_listing_longer_than_a_part_of_the_namenodes_is_complete() throws Exception {
        Cluster.directory("many");
        for (int number = 0; number < 730; number++) {
            Cluster.files().createNewFile(Cluster.path("/many/" + number));
        }
        Dfget.Run run = dfget.run("-l", "--json", "-u", Cluster.url("/many"));
        assertEquals(0, run.status(), run.stderr());
        assertEquals(730, run.stdout().lines().filter(line -> line.contains("\"etag\"")).count());
    }

    @Test
    void a_file_cannot_be_listed() throws Exception {
        Cluster.write(Cluster.directory("listed") + "/file", 10);
        assertEquals(24, dfget.run("-l", "-u", Cluster.url("/listed/file")).status());
    }

    @Test
    void it_works_with_tls_on_the_socket() throws Exception {
        byte[] content = Cluster.write(Cluster.directory("tls") + "/file", 5 * MEBIBYTE);
        Dfget.Run run = dfget.run("--plugin-mtls", "-u", Cluster.url("/tls/file"), "-O", "copy");
        assertEquals(0, run.status(), run.stderr());
        assertArrayEquals(content, Files.readAllBytes(dfget.file("copy")));
    }

    @Test
    void it_keeps_the_rules_of_the_protocol() throws Exception {
        String tree = Cluster.url(Cluster.directory("rules"));
        Cluster.write("/rules/file", 6 * MEBIBYTE + 12345);
        Cluster.write("/rules/empty", 0);
        Cluster.write("/rules/sub/file", 10);
        Dfget.Run run = dfget.run("plugin", "validate", Plugin.LAUNCHER.toString(), tree + "/file", "--missing", tree + "/none",
                "--empty", tree + "/empty", "--directory", tree, "--strict", "--patience", "5");
        assertEquals(0, run.status(), run.stdout() + run.stderr());
    }

    @Test
    void dfget_lists_the_plugin_with_its_attributes() throws Exception {
        Dfget.Run run = dfget.run("plugin");
        assertTrue(run.stdout().contains("resource plugin hdfs"), run.stdout() + run.stderr());
        assertTrue(run.stdout().contains("\"hadoop\":\"3."), run.stdout());
    }

    @Test
    void the_plugin_ends_with_dfget() throws Exception {
        Cluster.write(Cluster.directory("left") + "/file", 8 * MEBIBYTE);
        Process process = dfget.start("--limit-rate", "4M", "-u", Cluster.url("/left/file"), "-O", "copy");
        ProcessHandle plugin = pluginThatHasDelivered(process, dfget.directory);
        assertEquals(0, dfget.end(process).status());
        plugin.onExit().get(10, TimeUnit.SECONDS);
    }

    @Test
    void the_plugin_ends_with_a_dfget_that_is_killed() throws Exception {
        Cluster.write(Cluster.directory("orphan") + "/file", 8 * MEBIBYTE);
        Process process = dfget.start("--limit-rate", "1M", "-u", Cluster.url("/orphan/file"), "-O", "copy");
        ProcessHandle plugin = pluginThatHasDelivered(process, dfget.directory);
        process.destroyForcibly();
        plugin.onExit().get(10, TimeUnit.SECONDS);
    }
}
