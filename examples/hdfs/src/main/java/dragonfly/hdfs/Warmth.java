package dragonfly.hdfs;

/** Hadoop's classes, loaded while the host is still busy with the handshake. */
final class Warmth {
    private Warmth() {}

    static void spread() {
        Thread thread = new Thread(Warmth::load, "warmth");
        thread.setDaemon(true);
        thread.start();
    }

    private static void load() {
        Settings.defaults().size();
    }
}
