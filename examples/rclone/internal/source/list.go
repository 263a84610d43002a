package source

import (
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "dfget/proto/go/resourcev1"

	"dfget/examples/rclone/internal/remote"
)

// batch is how many entries a message has at most: with the longest names it is still far below the 4 MiB of a message.
const batch = 500

// List streams one level of a directory, as the storage pages it.
func (s *Source) List(request *pb.ListRequest, stream grpc.ServerStreamingServer[pb.ListResponse]) error {
	remotes, location, err := s.locate(request.GetResource())
	if err != nil {
		return err
	}
	return remotes.List(stream.Context(), location, func(entries []remote.Entry) error {
		for part := range slices.Chunk(entries, batch) {
			message := &pb.ListResponse{Entries: make([]*pb.Entry, len(part))}
			for i, entry := range part {
				message.Entries[i] = listed(entry)
			}
			if err := stream.Send(message); err != nil {
				return err
			}
		}
		return nil
	})
}

func listed(entry remote.Entry) *pb.Entry {
	if entry.Directory {
		return &pb.Entry{Name: entry.Name, Directory: true}
	}
	facts := &pb.Metadata{SupportRange: entry.Ranges}
	if entry.Size >= 0 {
		facts.ContentLength = proto.Uint64(uint64(entry.Size))
	}
	if !entry.Changed.IsZero() {
		facts.Validator = validator(entry.Size, entry.Changed)
	}
	return &pb.Entry{Name: entry.Name, Metadata: facts}
}
