package dragonfly.hdfs;

import io.grpc.Status;

/** What this plugin itself finds wrong, with the code for the host and the text for the user. */
final class SourceException extends Exception {
    private static final long serialVersionUID = 1;

    private final transient Status status;

    SourceException(Status.Code code, String text) {
        super(text);
        status = code.toStatus().withDescription(text);
    }

    Status status() {
        return status;
    }

    static SourceException invalid(String text) {
        return new SourceException(Status.Code.INVALID_ARGUMENT, text);
    }

    static SourceException changed(Location location) {
        return new SourceException(Status.Code.FAILED_PRECONDITION,
                location + " is not the version any more that was asked for; it was written, replaced or moved");
    }
}
