package dragonfly.hdfs;

import dragonfly.plugin.resource.v1.ResourceOuterClass.Range;
import io.grpc.Status;

/** The bytes that are going to be served: from {@code start} on, {@code length} of them. */
record Span(long start, long length) {
    /** Both numbers of a range are unsigned in the protocol; in Java the large ones look negative. */
    static Span of(Range range, long whole) throws SourceException {
        long start = range.getStart();
        boolean behind = Long.compareUnsigned(start, whole) >= 0;
        if (behind && start != 0) {
            throw new SourceException(Status.Code.OUT_OF_RANGE, "byte " + Long.toUnsignedString(start)
                    + " was asked for, and the file has " + whole + " bytes");
        }
        long rest = whole - start;
        boolean all = !range.hasLength() || Long.compareUnsigned(range.getLength(), rest) > 0;
        return new Span(start, all ? rest : range.getLength());
    }

    long end() {
        return start + length;
    }
}
