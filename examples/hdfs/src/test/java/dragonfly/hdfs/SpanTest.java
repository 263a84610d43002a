package dragonfly.hdfs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dragonfly.plugin.resource.v1.ResourceOuterClass.Range;
import io.grpc.Status;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SpanTest {
    private static Range range(long start, Long length) {
        Range.Builder range = Range.newBuilder().setStart(start);
        return length == null ? range.build() : range.setLength(length).build();
    }

    /** -1 is what the largest unsigned number looks like. */
    @ParameterizedTest
    @CsvSource({
        "0, , 10, 0, 10", "0, 10, 10, 0, 10", "0, 4, 10, 0, 4", "3, , 10, 3, 7", "3, 4, 10, 3, 4", "3, 70, 10, 3, 7",
        "9, 1, 10, 9, 1", "3, -1, 10, 3, 7", "3, 0, 10, 3, 0", "0, , 0, 0, 0", "0, 5, 0, 0, 0",
    })
    void a_range_is_cut_to_the_file(long start, Long length, long whole, long servedStart, long served) throws Exception {
        assertEquals(new Span(servedStart, served), Span.of(range(start, length), whole));
    }

    @ParameterizedTest
    @CsvSource({"10, 10", "11, 10", "1, 0", "-1, 10"})
    void a_start_at_or_behind_the_end_is_out_of_range(long start, long whole) {
        SourceException refused = assertThrows(SourceException.class, () -> Span.of(range(start, null), whole));
        assertEquals(Status.Code.OUT_OF_RANGE, refused.status().getCode());
    }

    @Test
    void no_range_is_the_whole() throws Exception {
        assertEquals(new Span(0, 10), Span.of(Range.getDefaultInstance(), 10));
    }
}
