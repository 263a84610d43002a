package dragonfly.hdfs;

import io.grpc.stub.ServerCallStreamObserver;
import java.util.concurrent.Executor;
import java.util.concurrent.FutureTask;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * A stream of messages to the host, written by a thread of its own. That thread waits where the connection takes no
 * more, and is interrupted when the host cancels, also in the middle of reading from a datanode.
 */
final class Outlet<T> {
    private static final Logger LOG = Logger.getLogger("hdfs");

    /** Bytes that may wait in memory for the connection: enough for the storage and the host to work side by side. */
    private static final int AHEAD = 2 << 20;

    /** What fills the stream. It ends well or with the exception that the host is told. */
    interface Body<T> {
        void write(Outlet<T> outlet) throws Exception;
    }

    private final ServerCallStreamObserver<T> observer;

    private Outlet(ServerCallStreamObserver<T> observer) {
        this.observer = observer;
    }

    static <T> void open(ServerCallStreamObserver<T> observer, Executor executor, Body<T> body) {
        Outlet<T> outlet = new Outlet<>(observer);
        FutureTask<Void> task = new FutureTask<>(() -> outlet.run(body), null);
        observer.setOnReadyThreshold(AHEAD);
        observer.setOnReadyHandler(outlet::wake);
        observer.setOnCancelHandler(() -> task.cancel(true));
        executor.execute(task);
    }

    /** Returns when there is room for the next message. */
    void send(T message) throws InterruptedException {
        synchronized (this) {
            while (!observer.isReady()) {
                wait();
            }
        }
        observer.onNext(message);
    }

    private synchronized void wake() {
        notifyAll();
    }

    private void run(Body<T> body) {
        try {
            body.write(this);
            observer.onCompleted();
        } catch (Throwable thrown) {
            fail(thrown);
        }
    }

    private void fail(Throwable thrown) {
        if (observer.isCancelled()) {
            LOG.log(Level.FINE, "cancelled", thrown);
            return;
        }
        observer.onError(Answer.failure(thrown));
    }
}
