package dragonfly.hdfs;

import dragonfly.plugin.resource.v1.ResourceOuterClass.Digest;
import dragonfly.plugin.resource.v1.ResourceOuterClass.Metadata;
import io.grpc.Status;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.security.PrivilegedExceptionAction;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.apache.hadoop.fs.FileChecksum;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.hdfs.DistributedFileSystem;
import org.apache.hadoop.security.UserGroupInformation;

/** The clusters, each with one client of Hadoop's that all calls share. They are never closed: the process ends soon. */
final class Storage {
    private static final Logger LOG = Logger.getLogger("hdfs");

    private final Settings settings;
    private final Map<String, DistributedFileSystem> clusters = new HashMap<>();

    Storage(Settings settings) throws SourceException {
        this.settings = settings;
        try {
            UserGroupInformation.setConfiguration(settings.configuration());
        } catch (IllegalArgumentException unusable) {
            throw SourceException.invalid("Hadoop cannot log in as hadoop.security.authentication says, see /etc/krb5.conf: "
                    + unusable.getMessage());
        }
    }

    DistributedFileSystem cluster(Location location) throws IOException, InterruptedException, SourceException {
        String authority = location.authority();
        if (authority.isEmpty()) {
            authority = settings.defaultAuthority().orElseThrow(() -> SourceException.invalid(
                    "the URL names no namenode, and fs.defaultFS names none either; write hdfs://namenode:port/path, or"
                            + " name the directory of core-site.xml with --opt conf-dir=DIR"));
        }
        synchronized (clusters) {
            DistributedFileSystem known = clusters.get(authority);
            if (known == null) {
                known = connect(URI.create("hdfs://" + authority));
                clusters.put(authority, known);
            }
            return known;
        }
    }

    /** Not by FileSystem.get, which looks for and loads all file systems that there are. No round trip is made here. */
    private DistributedFileSystem connect(URI uri) throws IOException, InterruptedException {
        return user().doAs((PrivilegedExceptionAction<DistributedFileSystem>) () -> {
            DistributedFileSystem cluster = new DistributedFileSystem();
            cluster.initialize(uri, settings.configuration());
            return cluster;
        });
    }

    private UserGroupInformation user() throws IOException {
        // HADOOP_USER_NAME may be set where Kerberos decides; the option is refused there.
        boolean named = settings.user().isPresent() && !UserGroupInformation.isSecurityEnabled();
        return named
                ? UserGroupInformation.createRemoteUser(settings.user().get())
                : UserGroupInformation.getLoginUser();
    }

    /** Of a file. What is no file is refused. */
    FileStatus file(Location location) throws IOException, InterruptedException, SourceException {
        FileStatus status = status(location);
        if (!status.isFile()) {
            throw SourceException.invalid(location + " is a directory; -l lists it, -r downloads what is in it");
        }
        return status;
    }

    FileStatus status(Location location) throws IOException, InterruptedException, SourceException {
        try {
            return cluster(location).getFileStatus(location.inHdfs());
        } catch (FileNotFoundException missing) {
            throw new SourceException(Status.Code.NOT_FOUND, "there is no " + location);
        }
    }

    Metadata metadata(Location location, FileStatus status) throws IOException, InterruptedException, SourceException {
        Metadata.Builder metadata = Version.of(status).metadata();
        crc32(location, status).ifPresent(metadata::addDigests);
        return metadata.build();
    }

    /**
     * HDFS puts the CRCs of the blocks together without reading them. What comes of it is the CRC-32 of the file only
     * where the file has that type of checksum, and where what is stored is what is read: not in an encryption zone.
     */
    private Optional<Digest> crc32(Location location, FileStatus status)
            throws InterruptedException, SourceException {
        if (!settings.crc32() || status.isEncrypted() || status.getLen() == 0) {
            return Optional.empty();
        }
        try {
            FileChecksum checksum = cluster(location).getFileChecksum(location.inHdfs());
            if (checksum != null && checksum.getAlgorithmName().equals("COMPOSITE-CRC32")) {
                String hex = HexFormat.of().formatHex(checksum.getBytes());
                return Optional.of(Digest.newBuilder().setAlgorithm("crc32").setHex(hex).build());
            }
            LOG.info(location + " has no CRC-32 to announce, but " + (checksum == null ? "no checksum" : checksum.getAlgorithmName()));
        } catch (IOException failure) {
            LOG.log(Level.WARNING, "HDFS does not tell the checksum of " + location, failure);
        }
        return Optional.empty();
    }
}
