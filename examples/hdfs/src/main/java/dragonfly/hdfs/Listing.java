package dragonfly.hdfs;

import dragonfly.plugin.resource.v1.ResourceOuterClass.Entry;
import dragonfly.plugin.resource.v1.ResourceOuterClass.ListResponse;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.RemoteIterator;

/** One call of {@code List}. The namenode is asked for the next part when the host has taken the last. */
final class Listing implements Outlet.Body<ListResponse> {
    private static final int ENTRIES = 500;

    private final Storage storage;
    private final Location location;

    Listing(Storage storage, Location location) {
        this.storage = storage;
        this.location = location;
    }

    @Override
    public void write(Outlet<ListResponse> outlet) throws Exception {
        if (!storage.status(location).isDirectory()) {
            throw SourceException.invalid(location + " is a file, and only directories can be listed");
        }
        RemoteIterator<FileStatus> entries = storage.cluster(location).listStatusIterator(location.inHdfs());
        ListResponse.Builder batch = ListResponse.newBuilder();
        while (entries.hasNext()) {
            batch.addEntries(entry(entries.next()));
            if (batch.getEntriesCount() == ENTRIES) {
                outlet.send(batch.build());
                batch.clear();
            }
        }
        if (batch.getEntriesCount() > 0) {
            outlet.send(batch.build());
        }
    }

    private static Entry entry(FileStatus status) {
        Entry.Builder entry = Entry.newBuilder().setName(status.getPath().getName()).setDirectory(status.isDirectory());
        if (status.isFile()) {
            entry.setMetadata(Version.of(status).metadata());
        }
        return entry.build();
    }
}
