package dragonfly.hdfs;

import io.grpc.Server;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.HealthStatusManager;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.unix.DomainSocketAddress;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** The gRPC server on the socket, with the side services that hosts need. */
final class PluginServer {
    /** A host opens one connection; a second thread would be idle. */
    private static final int EVENT_LOOPS = 1;

    private PluginServer() {}

    static Server start(Path socket, Tls tls, End end) throws IOException {
        Transport transport = Transport.here();
        EventLoopGroup events = new MultiThreadIoEventLoopGroup(EVENT_LOOPS, named("events"), transport.handler());
        Executor calls = Executors.newCachedThreadPool(named("call"));
        HealthStatusManager health = new HealthStatusManager();
        health.setStatus("plugin", ServingStatus.SERVING);
        NettyServerBuilder builder = NettyServerBuilder.forAddress(new DomainSocketAddress(socket.toFile()))
                .channelType(transport.channel())
                .bossEventLoopGroup(events)
                .workerEventLoopGroup(events)
                .executor(calls)
                .permitKeepAliveTime(10, TimeUnit.SECONDS)
                .permitKeepAliveWithoutCalls(true)
                .addService(health.getHealthService())
                .addService(new Controller(end))
                .addService(new ResourceService(calls));
        if (tls != null) {
            builder.sslContext(tls.context());
        }
        return builder.build().start();
    }

    private static ThreadFactory named(String name) {
        AtomicInteger count = new AtomicInteger();
        return body -> {
            Thread thread = new Thread(body, name + "-" + count.incrementAndGet());
            thread.setDaemon(true);
            return thread;
        };
    }
}
