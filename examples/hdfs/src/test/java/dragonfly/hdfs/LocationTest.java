package dragonfly.hdfs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.grpc.Status;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class LocationTest {
    @ParameterizedTest
    @CsvSource({
        "hdfs://nn:8020/a/b, nn:8020, /a/b",
        "HDFS://nn/a, nn, /a",
        "hdfs:///a, '', /a",
        "hdfs://nn, nn, /",
        "hdfs://nn/a//./b/, nn, /a/b",
        "hdfs://my_cluster/a%20b+c, my_cluster, /a b+c",
        "hdfs://[::1]:8020/a, [::1]:8020, /a",
        "hdfs://nn/100%25/%2541, nn, /100%/%41",
        "hdfs://nn/100%, nn, /100%",
        "hdfs://nn/gr%C3%B6%C3%9Fe/größe, nn, /größe/größe",
        "hdfs://nn/q%3Fx%23y, nn, /q?x#y",
    })
    void names_are_decoded_once(String url, String authority, String path) throws Exception {
        assertEquals(new Location(authority, path), Location.parse(url));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "hdfs:/a", "hdfs:a", "http://nn/a", "hdfs://nn/a?b", "hdfs://nn/a#b", "hdfs://nn/../a", "hdfs://nn/%2e%2e/a",
        "hdfs://nn/a%2Fb", "hdfs://nn/a%00", "hdfs://nn/a:b", "hdfs://nn/%FF", "hdfs://n n/a", "hdfs://nn:port/a", "",
    })
    void what_cannot_be_in_hdfs_is_refused(String url) {
        SourceException refused = assertThrows(SourceException.class, () -> Location.parse(url));
        assertEquals(Status.Code.INVALID_ARGUMENT, refused.status().getCode());
    }

    @Test
    void a_user_in_the_url_is_refused_and_not_repeated() {
        SourceException refused = assertThrows(SourceException.class, () -> Location.parse("hdfs://ada:geheim@nn/a"));
        assertFalse(refused.getMessage().contains("geheim"));
    }

    @Test
    void a_path_of_hadoop_has_the_same_name() throws Exception {
        assertEquals("/a b/%41/größe", Location.parse("hdfs://nn/a%20b/%2541/größe").inHdfs().toUri().getPath());
    }
}
