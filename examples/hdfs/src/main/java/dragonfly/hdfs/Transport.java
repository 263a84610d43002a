package dragonfly.hdfs;

import io.netty.channel.IoHandlerFactory;
import io.netty.channel.ServerChannel;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollServerDomainSocketChannel;
import io.netty.channel.kqueue.KQueue;
import io.netty.channel.kqueue.KQueueIoHandler;
import io.netty.channel.kqueue.KQueueServerDomainSocketChannel;

/** Netty's native transport of this system: only that one can listen on a Unix domain socket. */
record Transport(IoHandlerFactory handler, Class<? extends ServerChannel> channel) {
    static Transport here() {
        boolean mac = System.getProperty("os.name").startsWith("Mac");
        Throwable missing = mac ? KQueue.unavailabilityCause() : Epoll.unavailabilityCause();
        if (missing != null) {
            throw new IllegalStateException("netty has no native transport for " + System.getProperty("os.name") + " on "
                    + System.getProperty("os.arch") + ": " + missing.getMessage(), missing);
        }
        return mac
                ? new Transport(KQueueIoHandler.newFactory(), KQueueServerDomainSocketChannel.class)
                : new Transport(EpollIoHandler.newFactory(), EpollServerDomainSocketChannel.class);
    }
}
