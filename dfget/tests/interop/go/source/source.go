package source

import (
	"context"
	"fmt"

	contract "dfget/proto/go/resourcev1"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Bytes of a chunk: within the 64 KiB to 1 MiB of PROTOCOL.md.
const chunk = 256 * 1024

// Source serves made-up bytes. It logs with hclog, and prints, as authors do.
type Source struct {
	contract.UnimplementedResourceClientServer
	Log hclog.Logger
}

// Init tells that it is whatever scheme it was installed as.
func (s *Source) Init(_ context.Context, request *contract.InitRequest) (*contract.InitResponse, error) {
	for key := range request.GetOptions() {
		return nil, status.Errorf(codes.InvalidArgument, "there is no option `%s`", key)
	}
	return &contract.InitResponse{Attributes: map[string]string{
		"type": "resource", "name": request.GetScheme(), "scheme": request.GetScheme(), "vendor": "go",
	}}, nil
}

// GetMetadata tells all in one.
func (s *Source) GetMetadata(_ context.Context, r *contract.GetMetadataRequest) (*contract.GetMetadataResponse, error) {
	return &contract.GetMetadataResponse{Metadata: metadata(r.GetResource())}, nil
}

// GetContentLength tells how many bytes.
func (s *Source) GetContentLength(_ context.Context, r *contract.GetContentLengthRequest) (*contract.GetContentLengthResponse, error) {
	return &contract.GetContentLengthResponse{ContentLength: int64(metadata(r.GetResource()).GetContentLength())}, nil
}

// IsSupportRange is always so.
func (s *Source) IsSupportRange(context.Context, *contract.IsSupportRangeRequest) (*contract.IsSupportRangeResponse, error) {
	return &contract.IsSupportRangeResponse{SupportRange: true}, nil
}

// IsExpired compares the ETag.
func (s *Source) IsExpired(_ context.Context, r *contract.IsExpiredRequest) (*contract.IsExpiredResponse, error) {
	current := metadata(r.GetResource()).GetValidator().GetEtag()
	return &contract.IsExpiredResponse{Expired: r.GetValidator().GetEtag() != current}, nil
}

// GetLastModified does not know.
func (s *Source) GetLastModified(context.Context, *contract.GetLastModifiedRequest) (*contract.GetLastModifiedResponse, error) {
	return &contract.GetLastModifiedResponse{LastModified: -1}, nil
}

// List has two files.
func (s *Source) List(_ *contract.ListRequest, stream grpc.ServerStreamingServer[contract.ListResponse]) error {
	return stream.Send(&contract.ListResponse{Entries: []*contract.Entry{{Name: "a"}, {Name: "b"}}})
}

// Download streams a range.
func (s *Source) Download(r *contract.DownloadRequest, stream grpc.ServerStreamingServer[contract.DownloadResponse]) error {
	content, about := ContentOf(r.GetResource().GetUrl()), metadata(r.GetResource())
	if etag := r.GetValidator().GetEtag(); etag != "" && etag != about.GetValidator().GetEtag() {
		return status.Error(codes.FailedPrecondition, "it has changed")
	}
	start, end := r.GetRange().GetStart(), content.Size
	if start > end || start == end && start > 0 {
		return status.Errorf(codes.OutOfRange, "it has %d bytes", content.Size)
	}
	if wanted := r.GetRange(); wanted != nil && wanted.Length != nil {
		end = min(end, start+wanted.GetLength())
	}
	s.Log.Info("serving", "from", start, "to", end)
	fmt.Println("printed by the plugin")
	length := end - start
	opened := &contract.Opened{Status: 200, Range: &contract.Range{Start: start, Length: &length}, Metadata: about}
	if err := stream.Send(&contract.DownloadResponse{Event: &contract.DownloadResponse_Opened{Opened: opened}}); err != nil {
		return err
	}
	for at := start; at < end; at += chunk {
		piece := &contract.Chunk{Offset: at, Data: content.Bytes(at, min(end, at+chunk))}
		if err := stream.Send(&contract.DownloadResponse{Event: &contract.DownloadResponse_Chunk{Chunk: piece}}); err != nil {
			return err
		}
	}
	return stream.Send(&contract.DownloadResponse{Event: &contract.DownloadResponse_End{End: &contract.End{Total: length}}})
}

func metadata(resource *contract.Resource) *contract.Metadata {
	content := ContentOf(resource.GetUrl())
	return &contract.Metadata{
		ContentLength: &content.Size,
		SupportRange:  true,
		Validator:     &contract.Validator{Etag: content.Etag()},
	}
}
