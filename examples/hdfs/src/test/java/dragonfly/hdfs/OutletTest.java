package dragonfly.hdfs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class OutletTest {
    /** A connection that takes so many messages and no more until it is told to. */
    private static final class Connection extends ServerCallStreamObserver<Integer> {
        private final List<Integer> sent = new CopyOnWriteArrayList<>();
        private final CountDownLatch full = new CountDownLatch(1);
        private final CountDownLatch over = new CountDownLatch(1);
        private volatile int room;
        private volatile boolean cancelled;
        private volatile Throwable error;
        private volatile Runnable onReady;
        private volatile Runnable onCancel;

        Connection(int room) {
            this.room = room;
        }

        void makeRoom(int more) {
            room += more;
            onReady.run();
        }

        void cancel() {
            cancelled = true;
            onCancel.run();
        }

        @Override
        public boolean isReady() {
            if (sent.size() >= room) {
                full.countDown();
            }
            return sent.size() < room;
        }

        @Override
        public void onNext(Integer message) {
            sent.add(message);
        }

        @Override
        public void onError(Throwable thrown) {
            error = thrown;
            over.countDown();
        }

        @Override
        public void onCompleted() {
            over.countDown();
        }

        @Override
        public boolean isCancelled() {
            return cancelled;
        }

        @Override
        public void setOnReadyHandler(Runnable handler) {
            onReady = handler;
        }

        @Override
        public void setOnCancelHandler(Runnable handler) {
            onCancel = handler;
        }

        @Override
        public void setOnReadyThreshold(int bytes) {}

        @Override
        public void setCompression(String compression) {}

        @Override
        public void disableAutoInboundFlowControl() {}

        @Override
        public void request(int count) {}

        @Override
        public void setMessageCompression(boolean enable) {}
    }

    private final ExecutorService executor = Executors.newCachedThreadPool();

    @AfterEach
    void end() {
        executor.shutdownNow();
    }

    @Test
    void the_writer_waits_where_the_connection_takes_no_more() throws Exception {
        Connection connection = new Connection(3);
        Outlet.open(connection, executor, outlet -> {
            for (int number = 0; number < 5; number++) {
                outlet.send(number);
            }
        });
        assertTrue(connection.full.await(10, TimeUnit.SECONDS));
        assertEquals(List.of(0, 1, 2), connection.sent);
        connection.makeRoom(10);
        assertTrue(connection.over.await(10, TimeUnit.SECONDS));
        assertEquals(List.of(0, 1, 2, 3, 4), connection.sent);
    }

    @Test
    void a_cancelled_call_interrupts_a_writer_that_waits_for_its_storage() throws Exception {
        Connection connection = new Connection(3);
        CountDownLatch reading = new CountDownLatch(1);
        CountDownLatch interrupted = new CountDownLatch(1);
        Outlet.open(connection, executor, outlet -> {
            reading.countDown();
            try {
                new CountDownLatch(1).await();
            } catch (InterruptedException asked) {
                interrupted.countDown();
                throw asked;
            }
        });
        assertTrue(reading.await(10, TimeUnit.SECONDS));
        connection.cancel();
        assertTrue(interrupted.await(1, TimeUnit.SECONDS));
    }

    @Test
    void a_cancelled_call_interrupts_a_writer_that_waits_for_the_host() throws Exception {
        Connection connection = new Connection(0);
        CountDownLatch interrupted = new CountDownLatch(1);
        Outlet.open(connection, executor, outlet -> {
            try {
                outlet.send(0);
            } catch (InterruptedException asked) {
                interrupted.countDown();
                throw asked;
            }
        });
        assertTrue(connection.full.await(10, TimeUnit.SECONDS));
        connection.cancel();
        assertTrue(interrupted.await(1, TimeUnit.SECONDS));
        assertEquals(List.of(), connection.sent);
    }

    @Test
    void whatever_is_thrown_ends_the_stream_as_internal() throws Exception {
        Connection connection = new Connection(3);
        Outlet.open(connection, executor, outlet -> {
            outlet.send(0);
            throw new StackOverflowError();
        });
        assertTrue(connection.over.await(10, TimeUnit.SECONDS));
        assertEquals(Status.Code.INTERNAL, Status.fromThrowable(connection.error).getCode());
    }
}
