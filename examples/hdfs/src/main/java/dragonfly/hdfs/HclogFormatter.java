package dragonfly.hdfs;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.logging.Formatter;
import java.util.logging.Level;
import java.util.logging.LogRecord;

/** One JSON object a line, as hclog writes it. All its values are strings: a go-plugin host panics at others. */
final class HclogFormatter extends Formatter {
    /** So that a line stays below the 64 KiB beyond which a host drops the rest, each character escaped or not. */
    private static final int LONGEST = 10_000;

    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'").withZone(ZoneOffset.UTC);

    @Override
    public String format(LogRecord record) {
        StringBuilder line = new StringBuilder("{");
        member(line, "@level", level(record.getLevel()));
        member(line.append(','), "@message", String.valueOf(formatMessage(record)));
        member(line.append(','), "@module", String.valueOf(record.getLoggerName()));
        member(line.append(','), "@timestamp", TIME.format(record.getInstant()));
        if (record.getThrown() != null && record.getLevel().intValue() >= Level.SEVERE.intValue()) {
            member(line.append(','), "stack", trace(record.getThrown()));
        } else if (record.getThrown() != null) {
            member(line.append(','), "error", record.getThrown().toString());
        }
        return line.append("}\n").toString();
    }

    private static String level(Level level) {
        int value = level.intValue();
        if (value >= Level.SEVERE.intValue()) {
            return "error";
        } else if (value >= Level.WARNING.intValue()) {
            return "warn";
        } else if (value >= Level.INFO.intValue()) {
            return "info";
        }
        return value >= Level.FINE.intValue() ? "debug" : "trace";
    }

    private static String trace(Throwable thrown) {
        StringWriter text = new StringWriter();
        thrown.printStackTrace(new PrintWriter(text));
        return text.toString();
    }

    private static void member(StringBuilder line, String name, String value) {
        line.append('"').append(name).append("\":\"");
        value.chars().limit(LONGEST).forEach(character -> escaped(line, (char) character));
        line.append('"');
    }

    private static void escaped(StringBuilder line, char character) {
        if (character == '"' || character == '\\') {
            line.append('\\').append(character);
        } else if (character < ' ' || Character.isSurrogate(character)) {
            line.append(String.format("\\u%04x", (int) character));
        } else {
            line.append(character);
        }
    }
}
