package dragonfly.hdfs;

import java.util.List;
import java.util.logging.ConsoleHandler;
import java.util.logging.Level;
import java.util.logging.LogManager;
import java.util.logging.Logger;

/** The log on stderr, for this plugin and for the libraries, which all end up in java.util.logging. */
final class Log {
    /** Held, or the collector takes their levels with them. */
    private static final List<Logger> QUIET = List.of(
            // Says at each start that there is no native library: there is none in this plugin.
            Logger.getLogger("org.apache.hadoop.util.NativeCodeLoader"),
            // A Unix domain socket has no keep-alive, and grpc-netty asks for it.
            Logger.getLogger("io.netty.bootstrap.ServerBootstrap"),
            // Tells each failure that the caller is told as well, with a stack trace.
            Logger.getLogger("org.apache.hadoop.hdfs.DFSClient"),
            Logger.getLogger("org.apache.hadoop.ipc.Client"));

    private Log() {}

    static void start() {
        LogManager.getLogManager().reset();
        ConsoleHandler handler = new ConsoleHandler();
        handler.setFormatter(new HclogFormatter());
        handler.setLevel(Level.INFO);
        Logger.getLogger("").addHandler(handler);
        Logger.getLogger("").setLevel(Level.INFO);
        Logger.getLogger("io.grpc").setLevel(Level.WARNING);
        QUIET.forEach(logger -> logger.setLevel(Level.SEVERE));
    }
}
