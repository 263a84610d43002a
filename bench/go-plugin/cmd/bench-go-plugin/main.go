// Command bench-go-plugin serves files by go-plugin's gRPC, as an author writes it who takes all settings as they come.
package main

import (
	"io"
	"os"
	"strings"

	"dfget/bench/goplugin/contract"
	"dfget/proto/go/resourcev1"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Larger ones than io.Copy's 32 KiB: it is faster, and no author would stay with less.
const chunk = 64 << 10

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: contract.Handshake,
		Plugins:         plugin.PluginSet{contract.Name: &contract.Plugin{Impl: files{}}},
		GRPCServer:      plugin.DefaultGRPCServer,
		Logger:          hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, JSONFormat: true}),
	})
}

type files struct {
	resourcev1.UnimplementedResourceClientServer
}

// Download sends the whole of a file.
func (files) Download(r *resourcev1.DownloadRequest, stream grpc.ServerStreamingServer[resourcev1.DownloadResponse]) error {
	file, err := os.Open(strings.TrimPrefix(r.GetResource().GetUrl(), "file://"))
	if err != nil {
		return status.Error(codes.NotFound, err.Error())
	}
	defer file.Close()
	total, err := send(file, stream)
	if err != nil {
		return err
	}
	end := &resourcev1.DownloadResponse_End{End: &resourcev1.End{Total: total}}
	return stream.Send(&resourcev1.DownloadResponse{Event: end})
}

func send(file io.Reader, stream grpc.ServerStreamingServer[resourcev1.DownloadResponse]) (uint64, error) {
	buffer, offset := make([]byte, chunk), uint64(0)
	for {
		n, err := file.Read(buffer)
		if err == io.EOF {
			return offset, nil
		}
		if err != nil {
			return offset, status.Error(codes.Unavailable, err.Error())
		}
		piece := &resourcev1.Chunk{Offset: offset, Data: buffer[:n]}
		event := &resourcev1.DownloadResponse_Chunk{Chunk: piece}
		if err := stream.Send(&resourcev1.DownloadResponse{Event: event}); err != nil {
			return offset, err
		}
		offset += uint64(n)
	}
}
