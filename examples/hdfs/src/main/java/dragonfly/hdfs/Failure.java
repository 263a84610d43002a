package dragonfly.hdfs;

import io.grpc.Status;
import java.io.EOFException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.net.UnknownHostException;
import java.nio.channels.ClosedChannelException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.security.sasl.SaslException;
import org.apache.hadoop.fs.ChecksumException;
import org.apache.hadoop.fs.ParentNotDirectoryException;
import org.apache.hadoop.fs.PathIsNotDirectoryException;
import org.apache.hadoop.security.AccessControlException;
import org.apache.hadoop.hdfs.BlockMissingException;
import org.apache.hadoop.ipc.RemoteException;
import org.apache.hadoop.ipc.RetriableException;
import org.apache.hadoop.ipc.StandbyException;
import org.apache.hadoop.security.KerberosAuthException;
import org.apache.hadoop.security.token.SecretManager;

/** Hadoop's exceptions as gRPC statuses. What is not in the table is INTERNAL, whatever it is. */
final class Failure {
    private static final int LONGEST = 500;

    /** Hadoop names the authentication that it wants in these, and throws the same class as for a lack of rights. */
    private static final List<String> NOT_WHO_BUT_HOW =
            List.of("SIMPLE authentication is not enabled", "Client cannot authenticate", "fall back to SIMPLE auth");

    /** And this one for a path that goes through a file. */
    private static final List<String> NO_SUCH_PATH = List.of("is not a directory");

    /** The first class that fits decides, so subclasses come first. */
    private static final Map<Class<? extends Throwable>, Status.Code> CODES = new LinkedHashMap<>();

    static {
        CODES.put(FileNotFoundException.class, Status.Code.NOT_FOUND);
        // A path that goes through a file.
        CODES.put(ParentNotDirectoryException.class, Status.Code.NOT_FOUND);
        CODES.put(PathIsNotDirectoryException.class, Status.Code.INVALID_ARGUMENT);
        CODES.put(AccessControlException.class, Status.Code.PERMISSION_DENIED);
        CODES.put(KerberosAuthException.class, Status.Code.UNAUTHENTICATED);
        CODES.put(SaslException.class, Status.Code.UNAUTHENTICATED);
        CODES.put(SecretManager.InvalidToken.class, Status.Code.UNAUTHENTICATED);
        CODES.put(ChecksumException.class, Status.Code.DATA_LOSS);
        // All datanodes with a replica may be down, which passes.
        CODES.put(BlockMissingException.class, Status.Code.UNAVAILABLE);
        CODES.put(StandbyException.class, Status.Code.UNAVAILABLE);
        CODES.put(RetriableException.class, Status.Code.UNAVAILABLE);
        CODES.put(UnknownHostException.class, Status.Code.UNAVAILABLE);
        CODES.put(SocketTimeoutException.class, Status.Code.UNAVAILABLE);
        CODES.put(SocketException.class, Status.Code.UNAVAILABLE);
        CODES.put(ClosedChannelException.class, Status.Code.UNAVAILABLE);
        CODES.put(InterruptedIOException.class, Status.Code.UNAVAILABLE);
        CODES.put(EOFException.class, Status.Code.UNAVAILABLE);
    }

    private Failure() {}

    static Status status(Throwable thrown) {
        if (thrown instanceof SourceException own) {
            return own.status();
        } else if (thrown instanceof InterruptedException) {
            return Status.CANCELLED.withDescription("the call was cancelled");
        }
        Throwable cause = unwrapped(thrown);
        return code(cause).toStatus().withDescription(text(cause));
    }

    /** The exception that the namenode threw, or what Hadoop's client wraps into one that says nothing itself. */
    private static Throwable unwrapped(Throwable thrown) {
        if (thrown instanceof RemoteException remote) {
            return remote.unwrapRemoteException();
        }
        boolean wrapper = thrown.getClass() == IOException.class
                || thrown instanceof UncheckedIOException
                || thrown instanceof IllegalArgumentException;
        return wrapper && thrown.getCause() instanceof IOException cause ? unwrapped(cause) : thrown;
    }

    private static Status.Code code(Throwable thrown) {
        if (thrown instanceof AccessControlException && says(thrown, NOT_WHO_BUT_HOW)) {
            return Status.Code.UNAUTHENTICATED;
        } else if (thrown instanceof AccessControlException && says(thrown, NO_SUCH_PATH)) {
            return Status.Code.NOT_FOUND;
        } else if (className(thrown).endsWith(".SafeModeException")) {
            return Status.Code.UNAVAILABLE;
        }
        return CODES.entrySet().stream()
                .filter(entry -> entry.getKey().isInstance(thrown))
                .map(Map.Entry::getValue)
                .findFirst()
                .orElse(Status.Code.INTERNAL);
    }

    /** A class of the namenode's that its clients do not have stays within the exception that brought it. */
    private static String className(Throwable thrown) {
        return thrown instanceof RemoteException remote ? remote.getClassName() : thrown.getClass().getName();
    }

    private static boolean says(Throwable thrown, List<String> parts) {
        String message = String.valueOf(thrown.getMessage());
        return parts.stream().anyMatch(message::contains);
    }

    /** The first line: a namenode sends its stack trace behind it. Hadoop adds the address of a wiki. */
    private static String text(Throwable thrown) {
        String message = thrown.getMessage() == null ? "" : thrown.getMessage().lines().findFirst().orElse("");
        message = message.replaceFirst("; For more details see:.*", "");
        String text = "HDFS says " + thrown.getClass().getSimpleName() + ": " + message;
        return text.length() > LONGEST ? text.substring(0, LONGEST) : text;
    }
}
