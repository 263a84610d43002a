package dragonfly.hdfs;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dragonfly.plugin.resource.v1.ResourceOuterClass.DownloadRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.DownloadResponse;
import dragonfly.plugin.resource.v1.ResourceOuterClass.Entry;
import dragonfly.plugin.resource.v1.ResourceOuterClass.GetContentLengthRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.GetLastModifiedRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.GetMetadataRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.InitRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.IsExpiredRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.IsSupportRangeRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.ListRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.Metadata;
import dragonfly.plugin.resource.v1.ResourceOuterClass.Range;
import dragonfly.plugin.resource.v1.ResourceOuterClass.Resource;
import dragonfly.plugin.resource.v1.ResourceOuterClass.Validator;
import io.grpc.Context;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.hdfs.server.datanode.DataNode;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The calls, message by message, of a plugin that reads from a real HDFS. */
class ResourceServiceTest {
    private static Plugin plugin;
    private static byte[] content;

    @BeforeAll
    static void aPlugin() throws IOException {
        content = Cluster.write(Cluster.directory("service") + "/file", 3 * Cluster.BLOCK + 5);
        plugin = Plugin.ready();
    }

    @AfterAll
    static void noPlugin() {
        plugin.close();
    }

    private static Resource resource(String path) {
        return Resource.newBuilder().setUrl(Cluster.url(path)).build();
    }

    private static DownloadRequest.Builder download(String path) {
        return DownloadRequest.newBuilder().setResource(resource(path));
    }

    private static Metadata metadata(String path) {
        return plugin.stub().getMetadata(GetMetadataRequest.newBuilder().setResource(resource(path)).build()).getMetadata();
    }

    private static void assertFails(Status.Code code, Executable call) {
        StatusRuntimeException failure = assertThrows(StatusRuntimeException.class, call);
        assertEquals(code, failure.getStatus().getCode(), failure.getMessage());
    }

    private static void drain(Iterator<?> events) {
        events.forEachRemaining(event -> {});
    }

    /** Checks the order and the offsets, and gives the bytes. */
    private static byte[] body(Iterator<DownloadResponse> events) throws IOException {
        Range range = events.next().getOpened().getRange();
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        DownloadResponse event = events.next();
        for (; event.hasChunk(); event = events.next()) {
            assertEquals(range.getStart() + body.size(), event.getChunk().getOffset());
            assertFalse(event.getChunk().getData().isEmpty());
            assertTrue(event.getChunk().getData().size() <= 1 << 20);
            event.getChunk().getData().writeTo(body);
        }
        assertEquals(body.size(), event.getEnd().getTotal());
        assertEquals(range.getLength(), body.size());
        assertFalse(events.hasNext());
        return body.toByteArray();
    }

    @Test
    void the_five_calls_agree_with_the_metadata() {
        Metadata metadata = metadata("/service/file");
        assertEquals(content.length, metadata.getContentLength());
        assertTrue(metadata.getSupportRange());
        Resource file = resource("/service/file");
        assertEquals(content.length, plugin.stub()
                .getContentLength(GetContentLengthRequest.newBuilder().setResource(file).build()).getContentLength());
        assertTrue(plugin.stub()
                .isSupportRange(IsSupportRangeRequest.newBuilder().setResource(file).build()).getSupportRange());
        assertEquals(metadata.getValidator().getLastModified(), plugin.stub()
                .getLastModified(GetLastModifiedRequest.newBuilder().setResource(file).build()).getLastModified());
        assertFalse(expired(metadata.getValidator()));
        assertTrue(expired(Validator.newBuilder().setEtag("\"x\"").build()));
        assertTrue(expired(Validator.getDefaultInstance()));
    }

    private static boolean expired(Validator validator) {
        return plugin.stub().isExpired(IsExpiredRequest.newBuilder()
                .setResource(resource("/service/file")).setValidator(validator).build()).getExpired();
    }

    @Test
    void opened_tells_what_the_metadata_told() {
        Iterator<DownloadResponse> events = plugin.stub().download(download("/service/file").build());
        assertEquals(metadata("/service/file"), events.next().getOpened().getMetadata());
        drain(events);
    }

    @ParameterizedTest
    @CsvSource({"0, 1", "0, 1048576", "1048575, 2", "1048576, 1048577", "5, 524288", "3145728, 5", "3145732, 1", "7, 9999999"})
    void a_range_has_those_bytes_of_the_file(int start, int length) throws Exception {
        Range range = Range.newBuilder().setStart(start).setLength(length).build();
        byte[] body = body(plugin.stub().download(download("/service/file").setRange(range).build()));
        assertArrayEquals(Arrays.copyOfRange(content, start, Math.min(content.length, start + length)), body);
    }

    @Test
    void a_start_behind_the_end_is_out_of_range() {
        Range range = Range.newBuilder().setStart(content.length).build();
        assertFails(Status.Code.OUT_OF_RANGE,
                () -> drain(plugin.stub().download(download("/service/file").setRange(range).build())));
    }

    @Test
    void the_version_that_is_there_is_served_and_another_one_is_not() throws Exception {
        Validator validator = metadata("/service/file").getValidator();
        assertArrayEquals(content, body(plugin.stub().download(download("/service/file").setValidator(validator).build())));
        Validator other = Validator.newBuilder().setEtag("\"other\"").build();
        assertFails(Status.Code.FAILED_PRECONDITION,
                () -> drain(plugin.stub().download(download("/service/file").setValidator(other).build())));
    }

    @Test
    void a_file_that_is_replaced_has_another_validator() throws Exception {
        Cluster.write(Cluster.directory("replaced") + "/file", 10);
        Validator before = metadata("/replaced/file").getValidator();
        Cluster.write("/replaced/file", 10);
        assertFalse(before.getEtag().equals(metadata("/replaced/file").getValidator().getEtag()));
    }

    @Test
    void a_file_that_is_replaced_while_it_is_read_has_no_end() throws Exception {
        Cluster.write(Cluster.directory("mixed") + "/file", 24 * Cluster.BLOCK);
        Iterator<DownloadResponse> events = plugin.stub().download(download("/mixed/file").build());
        assertTrue(events.next().hasOpened());
        assertTrue(events.next().hasChunk());
        // More than the windows of HTTP/2 hold is still to come.
        Cluster.write("/mixed/file", 24 * Cluster.BLOCK);
        assertFails(Status.Code.FAILED_PRECONDITION, () -> drain(events));
    }

    @Test
    void a_file_that_is_deleted_while_it_is_read_has_no_end() throws Exception {
        Cluster.write(Cluster.directory("deleted") + "/file", 24 * Cluster.BLOCK);
        Iterator<DownloadResponse> events = plugin.stub().download(download("/deleted/file").build());
        assertTrue(events.next().hasOpened());
        Cluster.files().delete(Cluster.path("/deleted/file"), false);
        assertFails(Status.Code.FAILED_PRECONDITION, () -> drain(events));
    }

    @Test
    void a_cancelled_download_leaves_its_datanode() throws Exception {
        // One large block, so that the datanode is not through with it before.
        try (OutputStream out = Cluster.files()
                .create(Cluster.path(Cluster.directory("cancelled") + "/file"), true, 4096, (short) 1, 64 << 20)) {
            out.write(new byte[64 << 20]);
        }
        Context.CancellableContext context = Context.current().withCancellation();
        Iterator<DownloadResponse> events =
                context.call(() -> plugin.stub().download(download("/cancelled/file").build()));
        assertTrue(events.next().hasOpened());
        assertTrue(events.next().hasChunk());
        assertTrue(readers() > 0);
        context.cancel(null);
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
        while (readers() > 0 && System.nanoTime() < deadline) {
            Thread.onSpinWait();
        }
        assertEquals(0, readers());
    }

    private static int readers() {
        return Cluster.shared().getDataNodes().stream().mapToInt(DataNode::getActiveTransferThreadCount).sum();
    }

    @Test
    void eight_downloads_at_once_are_all_right() throws Exception {
        List<Iterator<DownloadResponse>> all = new ArrayList<>();
        for (int number = 0; number < 8; number++) {
            all.add(plugin.stub().download(download("/service/file").build()));
        }
        for (Iterator<DownloadResponse> events : all) {
            assertArrayEquals(content, body(events));
        }
    }

    @Test
    void an_empty_file_is_opened_and_ended() throws Exception {
        Cluster.write(Cluster.directory("nothing") + "/file", 0);
        assertEquals(0, body(plugin.stub().download(download("/nothing/file").build())).length);
    }

    @Test
    void before_init_every_other_call_is_refused_and_describe_is_no_init() throws Exception {
        try (Plugin fresh = Plugin.start()) {
            Map<String, String> attributes = fresh.stub()
                    .init(InitRequest.newBuilder().setScheme("hdfs").setDescribe(true).build()).getAttributesMap();
            assertEquals("hdfs", attributes.get("name"));
            assertEquals("hdfs", attributes.get("scheme"));
            assertEquals("resource", attributes.get("type"));
            assertFails(Status.Code.INVALID_ARGUMENT,
                    () -> drain(fresh.stub().download(download("/service/file").build())));
            assertFails(Status.Code.INVALID_ARGUMENT, () -> fresh.stub()
                    .getMetadata(GetMetadataRequest.newBuilder().setResource(resource("/service/file")).build()));
        }
    }

    @Test
    void an_init_that_fails_leaves_the_former_one() {
        assertFails(Status.Code.INVALID_ARGUMENT, () -> plugin.stub()
                .init(InitRequest.newBuilder().setScheme("hdfs").putOptions("usr", "x").build()));
        assertEquals(content.length, metadata("/service/file").getContentLength());
    }

    @Test
    void another_scheme_is_refused() {
        assertFails(Status.Code.INVALID_ARGUMENT,
                () -> plugin.stub().init(InitRequest.newBuilder().setScheme("webhdfs").build()));
    }

    @Test
    void a_request_without_a_resource_is_refused() {
        assertFails(Status.Code.INVALID_ARGUMENT, () -> plugin.stub().getMetadata(GetMetadataRequest.getDefaultInstance()));
        assertFails(Status.Code.INVALID_ARGUMENT, () -> drain(plugin.stub().download(DownloadRequest.getDefaultInstance())));
        assertFails(Status.Code.INVALID_ARGUMENT, () -> drain(plugin.stub().list(ListRequest.getDefaultInstance())));
    }

    @Test
    void a_url_without_a_namenode_needs_a_default() {
        Resource nowhere = Resource.newBuilder().setUrl("hdfs:///service/file").build();
        assertFails(Status.Code.INVALID_ARGUMENT, () -> plugin.stub()
                .getMetadata(GetMetadataRequest.newBuilder().setResource(nowhere).build()));
    }

    @Test
    void a_directory_has_no_metadata_and_no_body() {
        assertFails(Status.Code.INVALID_ARGUMENT, () -> metadata("/service"));
        assertFails(Status.Code.INVALID_ARGUMENT, () -> drain(plugin.stub().download(download("/service").build())));
    }

    @Test
    void a_listing_comes_in_parts_with_the_same_validators() throws Exception {
        Cluster.directory("parts");
        for (int number = 0; number < 620; number++) {
            Cluster.files().createNewFile(Cluster.path("/parts/" + number));
        }
        Cluster.files().mkdirs(Cluster.path("/parts/directory"));
        List<Integer> sizes = new ArrayList<>();
        List<Entry> entries = new ArrayList<>();
        plugin.stub().list(ListRequest.newBuilder().setResource(resource("/parts")).build()).forEachRemaining(part -> {
            sizes.add(part.getEntriesCount());
            entries.addAll(part.getEntriesList());
        });
        assertEquals(List.of(500, 121), sizes);
        assertEquals(621, entries.stream().map(Entry::getName).distinct().count());
        assertEquals(1, entries.stream().filter(Entry::getDirectory).count());
        Entry file = entries.stream().filter(entry -> entry.getName().equals("77")).findFirst().orElseThrow();
        assertEquals(metadata("/parts/77"), file.getMetadata());
    }

    @Test
    void an_empty_directory_is_an_empty_listing() throws Exception {
        Cluster.directory("hollow");
        assertFalse(plugin.stub().list(ListRequest.newBuilder().setResource(resource("/hollow")).build()).hasNext());
    }
}
