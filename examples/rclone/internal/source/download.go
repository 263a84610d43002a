package source

import (
	"context"
	"errors"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "dfget/proto/go/resourcev1"

	"dfget/examples/rclone/internal/remote"
)

type downloadStream = grpc.ServerStreamingServer[pb.DownloadResponse]

// Download streams a resource or a range of it: Opened, then chunks, then End if every byte was that of one version.
func (s *Source) Download(request *pb.DownloadRequest, stream downloadStream) error {
	ctx := stream.Context()
	remotes, object, err := s.find(ctx, request.GetResource())
	if err != nil {
		return err
	}
	facts := metadata(ctx, remotes, object)
	if wanted := request.GetValidator(); !isEmpty(wanted) && !sameVersion(wanted, facts.Validator) {
		return changed(object, "is of another version than the one that was asked for")
	}
	asked, err := plan(request.GetRange(), facts)
	if err != nil {
		return err
	}
	opened, err := open(ctx, object, asked, facts)
	if err != nil {
		return err
	}
	defer opened.body.discard()
	// Some storages say with the body what they are going to serve; that may be newer than what was found before.
	if !servesVersion(ctx, object, facts) {
		return changed(object, "changed while it was opened")
	}
	if err := stream.Send(opened.message()); err != nil {
		return err
	}
	total, err := deliver(ctx, opened, stream)
	if err != nil {
		return remote.Failure(object.Location, err)
	}
	if err := s.verify(ctx, remotes, object, facts.Validator); err != nil {
		return err
	}
	return stream.Send(&pb.DownloadResponse{Event: &pb.DownloadResponse_End{End: &pb.End{Total: total}}})
}

// servesVersion tells whether an opened object still has the facts from before. A length that was unknown then may be
// known now.
func servesVersion(ctx context.Context, object *remote.Object, facts *pb.Metadata) bool {
	if facts.ContentLength != nil && object.Size() != int64(facts.GetContentLength()) {
		return false
	}
	changed, known := object.ModTime(ctx)
	return isEmpty(facts.Validator) || (known && changed.UnixMilli() == facts.Validator.GetLastModified())
}

// verify looks once more whether the storage still has the version that was opened: most storages read the file that
// has the name now, or go on in one that is written meanwhile.
func (s *Source) verify(ctx context.Context, remotes *remote.Remotes, object *remote.Object, before *pb.Validator) error {
	if isEmpty(before) {
		return nil
	}
	unchanged, err := remotes.Unchanged(ctx, object, func(now *remote.Object) bool {
		return sameVersion(before, validatorOf(ctx, now))
	})
	if err != nil {
		return err
	}
	if !unchanged {
		return changed(object, "changed while it was read")
	}
	return nil
}

func changed(object *remote.Object, what string) error {
	return status.Errorf(codes.FailedPrecondition, "%q %s", object.Location, what)
}

// span is a part of a resource. A negative length is up to an end that nobody knows.
type span struct {
	start, length int64
}

// plan finds the span to serve for the range that was asked for. What cannot be served in parts is served from 0.
func plan(asked *pb.Range, facts *pb.Metadata) (span, error) {
	whole := span{length: -1}
	if facts.ContentLength != nil {
		whole.length = int64(facts.GetContentLength())
	}
	start := asked.GetStart()
	switch {
	case asked == nil, start == 0 && asked.Length == nil, !facts.GetSupportRange():
		return whole, nil
	case start >= facts.GetContentLength() && (start > 0 || facts.GetContentLength() > 0):
		return span{}, status.Errorf(codes.OutOfRange, "the range begins at %d, and the resource has %d bytes",
			start, facts.GetContentLength())
	}
	rest := facts.GetContentLength() - start
	if asked.Length != nil {
		rest = min(rest, asked.GetLength())
	}
	return span{start: int64(start), length: int64(rest)}, nil
}

// transfer is an opened body and what was said of it.
type transfer struct {
	span
	facts *pb.Metadata
	body  *body
}

// open opens the span. A server that turns out to know no ranges is asked for the whole.
func open(ctx context.Context, object *remote.Object, asked span, facts *pb.Metadata) (*transfer, error) {
	if asked.length == 0 {
		return &transfer{span: asked, facts: facts, body: newBody(http.NoBody)}, nil
	}
	reader, err := object.Open(ctx, asked.start, asked.length)
	if errors.Is(err, remote.ErrRangeIgnored) {
		facts.SupportRange = false
		asked = span{length: int64(facts.GetContentLength())}
		reader, err = object.Open(ctx, 0, -1)
	}
	if err != nil {
		return nil, err
	}
	return &transfer{span: asked, facts: facts, body: newBody(reader)}, nil
}

func (t *transfer) isWhole() bool {
	return t.start == 0 && (t.length < 0 || uint64(t.length) == t.facts.GetContentLength())
}

func (t *transfer) message() *pb.DownloadResponse {
	opened := &pb.Opened{Status: http.StatusPartialContent, Range: &pb.Range{Start: uint64(t.start)}, Metadata: t.facts}
	if t.isWhole() {
		opened.Status = http.StatusOK
	}
	if t.length >= 0 {
		opened.Range.Length = proto.Uint64(uint64(t.length))
	}
	return &pb.DownloadResponse{Event: &pb.DownloadResponse_Opened{Opened: opened}}
}

// deliver sends the body, and tells how many bytes it had.
func deliver(ctx context.Context, from *transfer, stream downloadStream) (uint64, error) {
	var total int64
	pieces := from.body.pieces(ctx, from.length)
	for {
		piece, more, err := next(ctx, pieces)
		if err != nil {
			return 0, err
		}
		if !more {
			break
		}
		chunk := &pb.Chunk{Offset: uint64(from.start + total), Data: piece}
		if err := stream.Send(&pb.DownloadResponse{Event: &pb.DownloadResponse_Chunk{Chunk: chunk}}); err != nil {
			return 0, err
		}
		total += int64(len(piece))
	}
	if from.length >= 0 && total < from.length {
		return 0, status.Errorf(codes.DataLoss, "the storage ended after %d of %d bytes", total, from.length)
	}
	return uint64(total), from.body.close(ctx, from.isWhole())
}

// next takes the next piece. It does not wait for a reader that hangs when the host has cancelled.
func next(ctx context.Context, pieces <-chan piece) (data []byte, more bool, err error) {
	select {
	case <-ctx.Done():
		return nil, false, ctx.Err()
	case piece, open := <-pieces:
		return piece.data, open, piece.err
	}
}
