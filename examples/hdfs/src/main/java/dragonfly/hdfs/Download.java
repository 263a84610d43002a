package dragonfly.hdfs;

import com.google.protobuf.UnsafeByteOperations;
import dragonfly.plugin.resource.v1.ResourceOuterClass.Chunk;
import dragonfly.plugin.resource.v1.ResourceOuterClass.DownloadRequest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.DownloadResponse;
import dragonfly.plugin.resource.v1.ResourceOuterClass.End;
import dragonfly.plugin.resource.v1.ResourceOuterClass.Metadata;
import dragonfly.plugin.resource.v1.ResourceOuterClass.Opened;
import dragonfly.plugin.resource.v1.ResourceOuterClass.Range;
import dragonfly.plugin.resource.v1.ResourceOuterClass.Validator;
import io.grpc.Status;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.hdfs.DistributedFileSystem;

/** One call of {@code Download}. */
final class Download implements Outlet.Body<DownloadResponse> {
    /** Bytes of a chunk. See README.md, "Speed", for the sizes that were measured. */
    private static final int CHUNK = 512 << 10;

    /** A chunk that is not full by then goes out as it is: a slow datanode shall not look like a dead one. */
    private static final long FILLED_WITHIN = TimeUnit.MILLISECONDS.toNanos(500);

    private final Storage storage;
    private final Location location;
    private final DownloadRequest request;

    Download(Storage storage, Location location, DownloadRequest request) {
        this.storage = storage;
        this.location = location;
        this.request = request;
    }

    /** The order makes a mix of versions impossible: what the file is, open it, read it, whether it still is that. */
    @Override
    public void write(Outlet<DownloadResponse> outlet) throws Exception {
        FileStatus status = storage.file(location);
        Version version = Version.of(status);
        checkAsked(version);
        Span span = Span.of(request.getRange(), version.length());
        DistributedFileSystem cluster = storage.cluster(location);
        try (FSDataInputStream in = cluster.open(location.inHdfs(), CHUNK)) {
            checkClosed(cluster);
            outlet.send(opened(span, status));
            copy(in, span, outlet);
        } catch (IOException failure) {
            // A file that is gone or replaced fails in many ways. This is what the host has to know.
            checkSame(version);
            throw failure;
        }
        checkSame(version);
        outlet.send(DownloadResponse.newBuilder().setEnd(End.newBuilder().setTotal(span.length())).build());
    }

    private void checkAsked(Version version) throws SourceException {
        Validator asked = request.getValidator();
        boolean any = asked.getEtag().isEmpty() && !asked.hasLastModified();
        if (!any && !version.fits(asked)) {
            throw SourceException.changed(location);
        }
    }

    /** As long as a file is being written, the namenode knows only a part of its length. */
    private void checkClosed(DistributedFileSystem cluster) throws IOException, SourceException {
        if (!cluster.isFileClosed(location.inHdfs())) {
            throw new SourceException(Status.Code.UNAVAILABLE,
                    location + " is being written; its length is known when its writer has closed it");
        }
    }

    private void checkSame(Version version) throws IOException, InterruptedException, SourceException {
        boolean same;
        try {
            same = Version.of(storage.cluster(location).getFileStatus(location.inHdfs())).equals(version);
        } catch (FileNotFoundException gone) {
            same = false;
        }
        if (!same) {
            throw SourceException.changed(location);
        }
    }

    private DownloadResponse opened(Span span, FileStatus status) throws Exception {
        boolean whole = span.length() == status.getLen();
        // Asking for a digest takes a round trip to a datanode of each block: once a file, not once a piece.
        Metadata metadata = span.start() == 0 ? storage.metadata(location, status) : Version.of(status).metadata().build();
        return DownloadResponse.newBuilder()
                .setOpened(Opened.newBuilder()
                        .setStatus(whole ? 200 : 206)
                        .setRange(Range.newBuilder().setStart(span.start()).setLength(span.length()))
                        .setMetadata(metadata))
                .build();
    }

    private void copy(FSDataInputStream in, Span span, Outlet<DownloadResponse> outlet) throws Exception {
        in.seek(span.start());
        long offset = span.start();
        while (offset < span.end()) {
            byte[] data = new byte[(int) Math.min(CHUNK, span.end() - offset)];
            int length = fill(in, data);
            if (length == 0) {
                throw new SourceException(Status.Code.DATA_LOSS,
                        location + " ends at byte " + offset + ", and HDFS had announced more");
            }
            outlet.send(chunk(offset, data, length));
            offset += length;
        }
    }

    /** Reads until the array is full, the time is over or the file ends. */
    private static int fill(InputStream in, byte[] data) throws IOException {
        long since = System.nanoTime();
        int filled = 0;
        while (filled < data.length) {
            int read = in.read(data, filled, data.length - filled);
            if (read < 0) {
                break;
            }
            filled += read;
            if (System.nanoTime() - since > FILLED_WITHIN) {
                break;
            }
        }
        return filled;
    }

    private static DownloadResponse chunk(long offset, byte[] data, int length) {
        return DownloadResponse.newBuilder()
                .setChunk(Chunk.newBuilder().setOffset(offset).setData(UnsafeByteOperations.unsafeWrap(data, 0, length)))
                .build();
    }
}
