package dragonfly.hdfs;

import java.io.IOException;
import java.io.InputStream;
import java.util.Map;
import java.util.Properties;

/** What the plugin says of itself. */
final class Attributes {
    static final String NAME = "hdfs";

    private Attributes() {}

    static Map<String, String> all() throws IOException {
        Properties build = new Properties();
        try (InputStream in = Attributes.class.getResourceAsStream("/build.properties")) {
            build.load(in);
        }
        return Map.of(
                "type", "resource",
                "name", NAME,
                "scheme", NAME,
                "vendor", "d7y",
                "version", build.getProperty("version"),
                "hadoop", build.getProperty("hadoop"),
                "buildCommit", build.getProperty("commit"),
                "buildTime", build.getProperty("time"));
    }
}
