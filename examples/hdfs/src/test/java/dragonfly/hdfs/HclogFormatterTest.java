package dragonfly.hdfs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import org.junit.jupiter.api.Test;

class HclogFormatterTest {
    private static String line(Level level, String message, Throwable thrown) {
        LogRecord record = new LogRecord(level, message);
        record.setLoggerName("hdfs");
        record.setInstant(Instant.parse("2021-12-13T08:53:04.000007Z"));
        record.setThrown(thrown);
        return new HclogFormatter().format(record);
    }

    @Test
    void a_line_is_what_hclog_writes() {
        assertEquals(
                "{\"@level\":\"warn\",\"@message\":\"a \\\"b\\\" \\\\ \\u000a\",\"@module\":\"hdfs\","
                        + "\"@timestamp\":\"2021-12-13T08:53:04.000007Z\"}\n",
                line(Level.WARNING, "a \"b\" \\ \n", null));
    }

    @Test
    void every_value_is_a_string_whatever_is_logged() {
        JsonObject line = JsonParser.parseString(line(Level.SEVERE, null, new Exception("x\u0001"))).getAsJsonObject();
        for (String name : line.keySet()) {
            JsonElement value = line.get(name);
            assertTrue(value.isJsonPrimitive() && value.getAsJsonPrimitive().isString(), name);
        }
        assertTrue(line.get("stack").getAsString().contains("HclogFormatterTest"));
    }

    @Test
    void a_line_stays_below_64_kib() {
        String line = line(Level.INFO, "\u0001".repeat(1_000_000), null);
        assertTrue(line.getBytes(StandardCharsets.UTF_8).length < 65536);
        assertTrue(line.endsWith("}\n"));
    }
}
