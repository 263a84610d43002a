package dragonfly.hdfs;

import io.grpc.Server;
import java.io.IOException;
import java.nio.file.Path;
import java.util.logging.Level;
import java.util.logging.Logger;

/** Starts the plugin in the order of PROTOCOL.md: cookie, socket, handshake line, then work until the host ends it. */
public final class Main {
    private static final Logger LOG = Logger.getLogger("hdfs");

    private Main() {}

    /** Takes no arguments: all that a host has to say is in the environment and in {@code Init}. */
    public static void main(String[] arguments) {
        Host host = Host.of(System.getenv());
        if (!host.startedThis()) {
            System.err.println("""
                    This is a plugin of dfget: it is started by dfget, and does nothing when it is started by hand.
                    Put it into a plugin directory and say: dfget -u hdfs://namenode:port/path""");
            Runtime.getRuntime().halt(1);
        }
        Log.start();
        try {
            start(host);
        } catch (Throwable failure) {
            LOG.log(Level.SEVERE, "the plugin hdfs cannot start: " + failure.getMessage(), failure);
            Runtime.getRuntime().halt(1);
        }
    }

    private static void start(Host host) throws Exception {
        Tls tls = host.clientCertificate().isPresent() ? Tls.trusting(host.clientCertificate().get()) : null;
        Path socket = SocketFile.name(host.socketDirectory());
        End end = new End(socket);
        Server server = PluginServer.start(socket, tls, end);
        host.socketGroup().ifPresent(group -> share(socket, group));
        end.stops(server);
        if (host.lifeLine()) {
            LifeLine.watch(end);
        }
        Handshake.print(Handshake.line(socket, tls == null ? "" : tls.certificate(), host.multiplexing()));
        server.awaitTermination();
    }

    private static void share(Path socket, String group) {
        try {
            SocketFile.give(socket, group);
        } catch (IOException failure) {
            throw new IllegalStateException("the socket cannot be given to the group " + group, failure);
        }
    }
}
