package dragonfly.hdfs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SettingsTest {
    private static final String RETRIES = "ipc.client.connect.max.retries";

    @TempDir
    private Path directory;

    private static Settings parse(Map<String, String> options) throws SourceException {
        return Settings.parse(options, Map.of());
    }

    private void site(String file, String key, String value) throws Exception {
        Files.writeString(directory.resolve(file), "<configuration><property><name>" + key + "</name><value>" + value
                + "</value></property></configuration>");
    }

    @Test
    void patience_is_less_than_that_of_hadoop() throws Exception {
        assertEquals(2, parse(Map.of()).configuration().getInt(RETRIES, -1));
    }

    @Test
    void a_site_file_wins_over_patience_and_an_option_over_the_site_file() throws Exception {
        site("core-site.xml", RETRIES, "7");
        Map<String, String> options = Map.of("conf-dir", directory.toString());
        assertEquals(7, parse(options).configuration().getInt(RETRIES, -1));
        Map<String, String> both = Map.of("conf-dir", directory.toString(), "conf." + RETRIES, "9");
        assertEquals(9, parse(both).configuration().getInt(RETRIES, -1));
    }

    @Test
    void both_site_files_are_read() throws Exception {
        site("core-site.xml", "fs.defaultFS", "hdfs://mine");
        site("hdfs-site.xml", "dfs.nameservices", "mine");
        Settings settings = parse(Map.of("conf-dir", directory.toString()));
        assertEquals(Optional.of("mine"), settings.defaultAuthority());
        assertEquals("mine", settings.configuration().get("dfs.nameservices"));
    }

    @Test
    void the_variables_of_hadoop_count_where_they_are_passed_on() throws Exception {
        site("core-site.xml", RETRIES, "7");
        Settings settings = Settings.parse(
                Map.of(), Map.of("HADOOP_CONF_DIR", directory.toString(), "HADOOP_USER_NAME", "ada"));
        assertEquals(7, settings.configuration().getInt(RETRIES, -1));
        assertEquals(Optional.of("ada"), settings.user());
    }

    @Test
    void without_a_default_there_is_no_namenode() throws Exception {
        assertEquals(Optional.empty(), parse(Map.of("conf.fs.defaultFS", "s3a://bucket")).defaultAuthority());
    }

    @ParameterizedTest
    @CsvSource({"confdir, /etc", "conf., x", "user, ' '", "digest, md5", "conf-dir, etc", "conf-dir, /no/such/directory"})
    void what_makes_no_sense_is_refused_with_the_name_of_the_option(String name, String value) {
        SourceException refused = assertThrows(SourceException.class, () -> parse(Map.of(name, value)));
        assertEquals(Status.Code.INVALID_ARGUMENT, refused.status().getCode());
        assertTrue(refused.getMessage().contains("`" + name + "`"), refused.getMessage());
    }

    @Test
    void a_user_is_refused_where_a_ticket_says_who_asks() {
        Map<String, String> options = Map.of("user", "ada", "conf.hadoop.security.authentication", "kerberos");
        String message = assertThrows(SourceException.class, () -> parse(options)).getMessage();
        assertTrue(message.contains("`user`"), message);
    }

    @Test
    void a_directory_without_site_files_is_refused() {
        Map<String, String> options = Map.of("conf-dir", directory.toString());
        String message = assertThrows(SourceException.class, () -> parse(options)).getMessage();
        assertTrue(message.contains("`conf-dir`"), message);
    }

    @Test
    void a_site_file_that_is_no_xml_is_refused() throws Exception {
        Files.writeString(directory.resolve("core-site.xml"), "<configuration><property>");
        Map<String, String> options = Map.of("conf-dir", directory.toString());
        String message = assertThrows(SourceException.class, () -> parse(options)).getMessage();
        assertTrue(message.contains("core-site.xml"), message);
    }
}
