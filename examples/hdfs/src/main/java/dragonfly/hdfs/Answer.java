package dragonfly.hdfs;

import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.stub.StreamObserver;
import java.util.concurrent.Callable;
import java.util.logging.Level;
import java.util.logging.Logger;

/** The end of a call: its one answer, or what went wrong. */
final class Answer {
    private static final Logger LOG = Logger.getLogger("hdfs");

    private Answer() {}

    static <T> void give(StreamObserver<T> observer, Callable<T> call) {
        T answer;
        try {
            answer = call.call();
        } catch (Throwable thrown) {
            observer.onError(failure(thrown));
            return;
        }
        observer.onNext(answer);
        observer.onCompleted();
    }

    static StatusException failure(Throwable thrown) {
        Status status = Failure.status(thrown);
        if (status.getCode() == Status.Code.INTERNAL) {
            LOG.log(Level.SEVERE, "nobody foresaw this", thrown);
        }
        return status.asException();
    }
}
