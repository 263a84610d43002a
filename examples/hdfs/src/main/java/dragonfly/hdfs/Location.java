package dragonfly.hdfs;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.apache.hadoop.fs.Path;

/**
 * What an {@code hdfs://} URL names.
 *
 * @param authority a namenode with its port or a nameservice; empty: that of {@code fs.defaultFS}
 * @param path absolute, decoded
 */
record Location(String authority, String path) {
    private static final Pattern AUTHORITY = Pattern.compile("[A-Za-z0-9._-]*(:[0-9]{1,5})?|\\[[0-9A-Fa-f:.]+\\](:[0-9]{1,5})?");

    static Location parse(String url) throws SourceException {
        if (!url.regionMatches(true, 0, "hdfs://", 0, 7)) {
            throw SourceException.invalid("a URL for HDFS is hdfs://namenode:port/path");
        }
        String rest = url.substring(7);
        int slash = rest.indexOf('/');
        String authority = slash < 0 ? rest : rest.substring(0, slash);
        if (authority.contains("@")) {
            throw SourceException.invalid("HDFS has no user in its URLs; write --opt user=NAME instead");
        } else if (!AUTHORITY.matcher(authority).matches()) {
            throw SourceException.invalid("`" + authority + "` is neither a namenode, with or without a port, nor a nameservice");
        }
        return new Location(authority, slash < 0 ? "/" : path(rest.substring(slash)));
    }

    private static String path(String escaped) throws SourceException {
        if (escaped.contains("?") || escaped.contains("#")) {
            throw SourceException.invalid(
                    "HDFS has no query and no fragment; in a file name write %3F for ? and %23 for #");
        }
        List<String> names = new ArrayList<>();
        for (String segment : escaped.split("/")) {
            String name = decoded(segment);
            if (!name.isEmpty() && !name.equals(".")) {
                names.add(checked(name));
            }
        }
        return "/" + String.join("/", names);
    }

    private static String checked(String name) throws SourceException {
        if (name.equals("..")) {
            throw SourceException.invalid("`..` is refused in a path; write the path without it");
        } else if (name.contains("/") || name.contains("\0") || name.contains(":")) {
            throw SourceException.invalid("no name in HDFS has a / or a : or a NUL in it");
        }
        return name;
    }

    /** As RFC 3986 has it, so that a + is a plus sign; the bytes are UTF-8. A lone % stands for itself. */
    private static String decoded(String segment) throws SourceException {
        byte[] bytes = segment.getBytes(StandardCharsets.UTF_8);
        ByteArrayOutputStream out = new ByteArrayOutputStream(bytes.length);
        for (int at = 0; at < bytes.length; at++) {
            boolean escape = bytes[at] == '%' && at + 2 < bytes.length && digit(bytes[at + 1]) >= 0 && digit(bytes[at + 2]) >= 0;
            out.write(escape ? digit(bytes[at + 1]) << 4 | digit(bytes[at + 2]) : bytes[at]);
            at += escape ? 2 : 0;
        }
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(out.toByteArray())).toString();
        } catch (CharacterCodingException broken) {
            throw SourceException.invalid("names in HDFS are UTF-8, and `" + segment + "` is not");
        }
    }

    private static int digit(byte character) {
        return Character.digit(character, 16);
    }

    Path inHdfs() {
        return new Path(null, null, path);
    }

    @Override
    public String toString() {
        return "hdfs://" + authority + path;
    }
}
