package dragonfly.hdfs;

import dragonfly.plugin.resource.v1.ResourceOuterClass.Metadata;
import dragonfly.plugin.resource.v1.ResourceOuterClass.Validator;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.hdfs.protocol.HdfsFileStatus;

/**
 * What tells one version of a file from another. HDFS gives each file that is created a number of its own and can only
 * append to or cut a file, which changes its length; the time alone can be set back.
 */
record Version(long inode, long modified, long length) {
    static Version of(FileStatus status) {
        return new Version(((HdfsFileStatus) status).getFileId(), status.getModificationTime(), status.getLen());
    }

    Validator validator() {
        return Validator.newBuilder().setEtag(etag()).setLastModified(modified).build();
    }

    Metadata.Builder metadata() {
        return Metadata.newBuilder().setContentLength(length).setSupportRange(true).setValidator(validator());
    }

    boolean fits(Validator validator) {
        if (!validator.getEtag().isEmpty()) {
            return validator.getEtag().equals(etag());
        }
        return validator.hasLastModified() && validator.getLastModified() == modified;
    }

    private String etag() {
        return String.format("\"%x-%x-%x\"", inode, modified, length);
    }
}
