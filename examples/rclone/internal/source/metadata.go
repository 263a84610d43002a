package source

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	pb "dfget/proto/go/resourcev1"

	"dfget/examples/rclone/internal/remote"
)

// What PROTOCOL.md has the two short calls say of what is unknown.
const (
	unknownLength       = -2
	unknownLastModified = -1
)

// GetMetadata tells what the storage answers without reading the resource.
func (s *Source) GetMetadata(ctx context.Context, request *pb.GetMetadataRequest) (*pb.GetMetadataResponse, error) {
	remotes, object, err := s.find(ctx, request.GetResource())
	if err != nil {
		return nil, err
	}
	return &pb.GetMetadataResponse{Metadata: metadata(ctx, remotes, object)}, nil
}

// GetContentLength is one fact of GetMetadata.
func (s *Source) GetContentLength(ctx context.Context, request *pb.GetContentLengthRequest) (*pb.GetContentLengthResponse, error) {
	_, object, err := s.find(ctx, request.GetResource())
	if err != nil {
		return nil, err
	}
	if object.Size() < 0 {
		return &pb.GetContentLengthResponse{ContentLength: unknownLength}, nil
	}
	return &pb.GetContentLengthResponse{ContentLength: object.Size()}, nil
}

// IsSupportRange is one fact of GetMetadata.
func (s *Source) IsSupportRange(ctx context.Context, request *pb.IsSupportRangeRequest) (*pb.IsSupportRangeResponse, error) {
	remotes, object, err := s.find(ctx, request.GetResource())
	if err != nil {
		return nil, err
	}
	return &pb.IsSupportRangeResponse{SupportRange: remotes.Ranges(ctx, object)}, nil
}

// GetLastModified is one fact of GetMetadata.
func (s *Source) GetLastModified(ctx context.Context, request *pb.GetLastModifiedRequest) (*pb.GetLastModifiedResponse, error) {
	_, object, err := s.find(ctx, request.GetResource())
	if err != nil {
		return nil, err
	}
	if changed, known := object.ModTime(ctx); known {
		return &pb.GetLastModifiedResponse{LastModified: changed.UnixMilli()}, nil
	}
	return &pb.GetLastModifiedResponse{LastModified: unknownLastModified}, nil
}

// IsExpired says yes where it cannot be told.
func (s *Source) IsExpired(ctx context.Context, request *pb.IsExpiredRequest) (*pb.IsExpiredResponse, error) {
	_, object, err := s.find(ctx, request.GetResource())
	if err != nil {
		return nil, err
	}
	return &pb.IsExpiredResponse{Expired: !sameVersion(request.GetValidator(), validatorOf(ctx, object))}, nil
}

func metadata(ctx context.Context, remotes *remote.Remotes, object *remote.Object) *pb.Metadata {
	facts := &pb.Metadata{
		SupportRange: remotes.Ranges(ctx, object),
		Validator:    validatorOf(ctx, object),
		ContentType:  object.ContentType(ctx),
	}
	if size := object.Size(); size >= 0 {
		facts.ContentLength = proto.Uint64(uint64(size))
	}
	digests := object.Digests(ctx)
	for _, algorithm := range slices.Sorted(maps.Keys(digests)) {
		facts.Digests = append(facts.Digests, &pb.Digest{Algorithm: algorithm, Hex: digests[algorithm]})
	}
	return facts
}

func validatorOf(ctx context.Context, object *remote.Object) *pb.Validator {
	changed, known := object.ModTime(ctx)
	if !known {
		return nil
	}
	return validator(object.Size(), changed)
}

// validator is made of what every storage tells in metadata and listings alike, the size and the time of the last
// change as fine as there is one. rclone hands on no ETag of HTTP. A size alone would be none: a resource that was
// replaced by one of equal length would be resumed with a mix of the two.
func validator(size int64, changed time.Time) *pb.Validator {
	return &pb.Validator{
		Etag:         fmt.Sprintf(`"%x-%x"`, size, changed.UnixNano()),
		LastModified: proto.Int64(changed.UnixMilli()),
	}
}

// sameVersion compares as PROTOCOL.md has it: by ETag where both have one, else by time where both have one.
func sameVersion(a, b *pb.Validator) bool {
	if a.GetEtag() != "" && b.GetEtag() != "" {
		return a.GetEtag() == b.GetEtag()
	}
	return a != nil && b != nil && a.LastModified != nil && b.LastModified != nil &&
		a.GetLastModified() == b.GetLastModified()
}

// isEmpty tells that a validator names no version at all.
func isEmpty(v *pb.Validator) bool {
	return v.GetEtag() == "" && (v == nil || v.LastModified == nil)
}
