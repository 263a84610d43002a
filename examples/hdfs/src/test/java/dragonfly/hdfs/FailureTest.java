package dragonfly.hdfs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.ConnectException;
import java.net.NoRouteToHostException;
import java.net.SocketTimeoutException;
import java.net.UnknownHostException;
import java.util.stream.Stream;
import org.apache.hadoop.fs.ChecksumException;
import org.apache.hadoop.hdfs.BlockMissingException;
import org.apache.hadoop.ipc.RemoteException;
import org.apache.hadoop.ipc.StandbyException;
import org.apache.hadoop.security.AccessControlException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class FailureTest {
    static Stream<Arguments> failures() {
        return Stream.of(
                Arguments.of(new FileNotFoundException("/a"), Status.Code.NOT_FOUND),
                Arguments.of(new AccessControlException("Permission denied: user=eve"), Status.Code.PERMISSION_DENIED),
                Arguments.of(new AccessControlException("Ancestor /f is not a directory"), Status.Code.NOT_FOUND),
                Arguments.of(
                        new AccessControlException("SIMPLE authentication is not enabled.  Available:[TOKEN, KERBEROS]"),
                        Status.Code.UNAUTHENTICATED),
                Arguments.of(
                        new IOException("x", new AccessControlException("Client cannot authenticate via:[TOKEN, KERBEROS]")),
                        Status.Code.UNAUTHENTICATED),
                Arguments.of(new ConnectException("refused"), Status.Code.UNAVAILABLE),
                Arguments.of(new NoRouteToHostException("no route"), Status.Code.UNAVAILABLE),
                Arguments.of(new SocketTimeoutException("20000 millis"), Status.Code.UNAVAILABLE),
                Arguments.of(new IllegalArgumentException(new UnknownHostException("nn")), Status.Code.UNAVAILABLE),
                Arguments.of(new StandbyException("standby"), Status.Code.UNAVAILABLE),
                Arguments.of(new RemoteException(StandbyException.class.getName(), "standby"), Status.Code.UNAVAILABLE),
                Arguments.of(
                        new RemoteException("org.apache.hadoop.hdfs.server.namenode.SafeModeException", "safe mode"),
                        Status.Code.UNAVAILABLE),
                Arguments.of(new BlockMissingException("/a", "no node", 0), Status.Code.UNAVAILABLE),
                Arguments.of(new ChecksumException("/a", 0), Status.Code.DATA_LOSS),
                Arguments.of(new RemoteException("com.example.NobodyKnows", "what"), Status.Code.INTERNAL),
                Arguments.of(new IOException("what"), Status.Code.INTERNAL),
                Arguments.of(new NullPointerException(), Status.Code.INTERNAL),
                Arguments.of(new StackOverflowError(), Status.Code.INTERNAL));
    }

    @ParameterizedTest
    @MethodSource("failures")
    void each_failure_has_its_code(Throwable thrown, Status.Code code) {
        assertEquals(code, Failure.status(thrown).getCode());
    }

    @Test
    void the_text_has_no_stack_trace_and_a_limit() {
        String trace = "not here\n\tat org.apache.hadoop.hdfs.server.namenode.FSNamesystem.get(FSNamesystem.java:1)";
        String text = Failure.status(new FileNotFoundException(trace)).getDescription();
        assertTrue(text.endsWith("not here"), text);
        assertFalse(Failure.status(new IOException("x".repeat(10_000))).getDescription().length() > 512);
    }
}
