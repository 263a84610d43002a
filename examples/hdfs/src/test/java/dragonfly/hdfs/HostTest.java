package dragonfly.hdfs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class HostTest {
    @Test
    void without_the_cookie_or_with_another_one_it_is_a_person() {
        assertFalse(Host.of(Map.of()).startedThis());
        assertFalse(Host.of(Map.of("DRAGONFLY_PLUGIN_MAGIC_COOKIE", "x")).startedThis());
        assertTrue(Host.of(Map.of("DRAGONFLY_PLUGIN_MAGIC_COOKIE", Plugin.COOKIE)).startedThis());
    }

    @Test
    void an_empty_variable_is_as_an_absent_one() {
        Host host = Host.of(Map.of("PLUGIN_CLIENT_CERT", "", "PLUGIN_MULTIPLEX_GRPC", "", "PLUGIN_UNIX_SOCKET_DIR", ""));
        assertEquals(Optional.empty(), host.clientCertificate());
        assertFalse(host.multiplexing());
        assertEquals(Path.of(System.getProperty("java.io.tmpdir")), host.socketDirectory());
    }

    @Test
    void only_the_word_stdin_makes_a_life_line() {
        assertFalse(Host.of(Map.of()).lifeLine());
        assertFalse(Host.of(Map.of("DRAGONFLY_PLUGIN_LIFE_LINE", "3")).lifeLine());
        assertTrue(Host.of(Map.of("DRAGONFLY_PLUGIN_LIFE_LINE", "stdin")).lifeLine());
    }

    @Test
    void the_line_has_a_seventh_field_only_where_it_is_asked_for() {
        assertEquals("1|1|unix|/a/plugin1|grpc|\n", Handshake.line(Path.of("/a/plugin1"), "", false));
        assertEquals("1|1|unix|/a/plugin1|grpc|xyz|false\n", Handshake.line(Path.of("/a/plugin1"), "xyz", true));
    }

    @Test
    void a_path_that_no_socket_can_have_is_refused() {
        Path deep = Path.of("/" + "d".repeat(100));
        assertThrows(IllegalArgumentException.class, () -> SocketFile.name(deep));
    }
}
