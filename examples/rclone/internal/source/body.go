package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ChunkSize is the data of a chunk. Of 1.4 GiB through dfget to /dev/null, host and plugin together took in CPU seconds,
// as the medians of four runs: 3.1 with 128 KiB, 2.5 with 256 KiB, 2.4 with this, and 2.4 with 1 MiB.
const ChunkSize = 512 << 10

// fillTime is how long a chunk may wait for more bytes. The bytes of a slow storage are progress, too.
const fillTime = 200 * time.Millisecond

// body reads what rclone opened. Some of rclone's readers know no context and may hang in Read or Close, so both
// happen beside the call, which can leave at once.
type body struct {
	reader io.ReadCloser
	once   sync.Once
	closed chan struct{}
	err    error
}

func newBody(reader io.ReadCloser) *body {
	return &body{reader: reader, closed: make(chan struct{})}
}

// piece is some bytes, or the error that ended the reading.
type piece struct {
	data []byte
	err  error
}

// pieces reads up to length bytes, or up to the end if it is negative, one piece ahead of who takes them. The channel
// is closed after the last one, or when ctx ends.
func (b *body) pieces(ctx context.Context, length int64) <-chan piece {
	out := make(chan piece)
	give := func(next piece) bool {
		select {
		case out <- next:
			return next.err == nil
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		defer close(out)
		for length != 0 {
			data, err := b.fill(length)
			if length > 0 {
				length -= int64(len(data))
			}
			if len(data) > 0 && !give(piece{data: data}) {
				return
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					give(piece{err: err})
				}
				return
			}
		}
	}()
	return out
}

// fill reads one piece. Its memory is not used again: gRPC may still hold it.
func (b *body) fill(length int64) (data []byte, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("a bug in the plugin: %v", cause)
		}
	}()
	size := int64(ChunkSize)
	if length > 0 {
		size = min(size, length)
	}
	data = make([]byte, size)
	filled := 0
	for begin := time.Now(); filled < len(data) && time.Since(begin) < fillTime && err == nil; {
		var n int
		n, err = b.reader.Read(data[filled:])
		filled += n
	}
	return data[:filled], err
}

// close ends the reading and tells what the storage says of it: some report only then that a transfer failed. Of the
// whole it makes sure that nothing comes behind the announced end.
func (b *body) close(ctx context.Context, whole bool) error {
	ended := make(chan error, 1)
	go func() {
		var more [1]byte
		if n, _ := io.ReadFull(b.reader, more[:]); whole && n > 0 {
			ended <- errLonger
			return
		}
		b.discard()
		<-b.closed
		ended <- b.err
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// errLonger is a resource that grew since its length was asked for.
var errLonger = status.Error(codes.FailedPrecondition, "the storage has more bytes than it announced")

// discard closes the reader, and does not wait for it. It may be called more than once.
func (b *body) discard() {
	b.once.Do(func() {
		go func() {
			defer close(b.closed)
			b.err = b.reader.Close()
		}()
	})
}
