package dragonfly.hdfs;

import java.io.File;
import java.net.URI;
import java.util.Map;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hdfs.HdfsConfiguration;

/**
 * The options of {@code Init}, checked, with all that can be known of the cluster without asking it.
 *
 * @param configuration Hadoop's own
 * @param user whom to act as, where Hadoop shall not find that out by itself
 * @param crc32 whether HDFS is asked for the CRC of a whole file
 */
record Settings(Configuration configuration, Optional<String> user, boolean crc32) {
    private static final String PREFIX = "conf.";
    private static final String[] FILES = {"core-site.xml", "hdfs-site.xml"};
    private static final String USUAL = "/etc/hadoop/conf";

    static Settings parse(Map<String, String> options, Map<String, String> environment) throws SourceException {
        Configuration configuration = defaults();
        addFiles(configuration, options.get("conf-dir"), environment.get("HADOOP_CONF_DIR"));
        Optional<String> user = Optional.ofNullable(environment.get("HADOOP_USER_NAME"));
        boolean crc32 = false;
        for (Map.Entry<String, String> option : options.entrySet()) {
            String name = option.getKey();
            if (name.equals("user")) {
                user = Optional.of(required(name, option.getValue()));
            } else if (name.equals("digest")) {
                crc32 = digest(option.getValue());
            } else if (name.startsWith(PREFIX) && name.length() > PREFIX.length()) {
                configuration.set(name.substring(PREFIX.length()), option.getValue());
            } else if (!name.equals("conf-dir")) {
                throw SourceException.invalid("the option `" + name
                        + "` is unknown; there are conf-dir, user, digest and conf.KEY, KEY being one of Hadoop's own");
            }
        }
        if (options.containsKey("user") && "kerberos".equalsIgnoreCase(configuration.get("hadoop.security.authentication"))) {
            throw SourceException.invalid("the option `user` is for clusters without Kerberos; with it the ticket says who asks");
        }
        if (crc32) {
            configuration.set("dfs.checksum.combine.mode", "COMPOSITE_CRC");
        }
        return new Settings(configuration, user, crc32);
    }

    /** Hadoop's defaults, and less patience. */
    static Configuration defaults() {
        Configuration configuration = new HdfsConfiguration();
        configuration.addResource("patience.xml");
        return configuration;
    }

    /** The namenode or nameservice of URLs that name none. */
    Optional<String> defaultAuthority() {
        URI uri = URI.create(configuration.getTrimmed("fs.defaultFS", "file:///"));
        return "hdfs".equals(uri.getScheme()) ? Optional.ofNullable(uri.getAuthority()) : Optional.empty();
    }

    private static String required(String name, String value) throws SourceException {
        if (value.isBlank()) {
            throw SourceException.invalid("the option `" + name + "` is empty; leave it out or give it a value");
        }
        return value;
    }

    private static boolean digest(String value) throws SourceException {
        return switch (value) {
            case "crc32" -> true;
            case "none" -> false;
            default -> throw SourceException.invalid("the option `digest` is crc32 or none, not `" + value + "`");
        };
    }

    private static void addFiles(Configuration configuration, String asked, String ofHadoop) throws SourceException {
        File directory = new File(asked != null ? asked : ofHadoop != null ? ofHadoop : USUAL);
        boolean named = asked != null || ofHadoop != null;
        if (named && !(directory.isAbsolute() && directory.isDirectory())) {
            throw SourceException.invalid("the option `conf-dir` is the absolute path of a directory, and `" + directory
                    + "` is none");
        }
        boolean found = false;
        for (String name : FILES) {
            File file = new File(directory, name);
            if (file.exists()) {
                configuration.addResource(new Path(file.toURI()));
                found = true;
            }
        }
        if (named && !found) {
            throw SourceException.invalid("there is neither core-site.xml nor hdfs-site.xml in `" + directory
                    + "`; the option `conf-dir` names the directory that has them");
        }
        read(configuration, directory);
    }

    private static void read(Configuration configuration, File directory) throws SourceException {
        try {
            configuration.size();
        } catch (RuntimeException broken) {
            throw SourceException.invalid("Hadoop cannot read its configuration in `" + directory + "`, see the option `conf-dir`: "
                    + broken.getMessage());
        }
    }
}
