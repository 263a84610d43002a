package dragonfly.hdfs;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * What the host says in the environment (PROTOCOL.md, "Environment").
 *
 * @param startedThis whether there is a host at all, and not a person
 * @param socketDirectory where the socket has to be
 * @param clientCertificate the host's certificate in PEM, where it wants AutoMTLS
 * @param socketGroup the group that may connect
 * @param multiplexing whether the handshake line has a seventh field
 * @param lifeLine whether stdin ends with the host
 */
record Host(
        boolean startedThis,
        Path socketDirectory,
        Optional<String> clientCertificate,
        Optional<String> socketGroup,
        boolean multiplexing,
        boolean lifeLine) {

    private static final String COOKIE = "d5d7b8f2c1e94a0f8e53a3b6f4907c2e9a61d08b7c35f24e1b90ad6c8f723e45";

    static Host of(Map<String, String> environment) {
        return new Host(
                COOKIE.equals(environment.get("DRAGONFLY_PLUGIN_MAGIC_COOKIE")),
                Path.of(set(environment, "PLUGIN_UNIX_SOCKET_DIR").orElse(System.getProperty("java.io.tmpdir"))),
                set(environment, "PLUGIN_CLIENT_CERT"),
                set(environment, "PLUGIN_UNIX_SOCKET_GROUP"),
                set(environment, "PLUGIN_MULTIPLEX_GRPC").isPresent(),
                "stdin".equals(environment.get("DRAGONFLY_PLUGIN_LIFE_LINE")));
    }

    private static Optional<String> set(Map<String, String> environment, String name) {
        return Optional.ofNullable(environment.get(name)).filter(value -> !value.isEmpty());
    }
}
