package dragonfly.hdfs;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dragonfly.plugin.resource.v1.ResourceOuterClass.Validator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class VersionTest {
    private static final Version VERSION = new Version(16386, 1700000000123L, 255);

    @Test
    void the_etag_is_of_all_three() {
        assertEquals("\"4002-18bcfe5687b-ff\"", VERSION.validator().getEtag());
    }

    @ParameterizedTest
    @CsvSource({
        "'\"4002-18bcfe5687b-ff\"', , true",
        "'\"4002-18bcfe5687b-ff\"', 1, true",
        "'\"4002-18bcfe5687b-fe\"', 1700000000123, false",
        "'', 1700000000123, true",
        "'', 1700000000124, false",
        "'', , false",
    })
    void an_etag_decides_and_else_the_time(String etag, Long modified, boolean fits) {
        Validator.Builder validator = Validator.newBuilder().setEtag(etag);
        if (modified != null) {
            validator.setLastModified(modified);
        }
        assertEquals(fits, VERSION.fits(validator.build()));
    }
}
