package main

import (
	"context"
	"strings"

	"dfget/interop/source"
	contract "dfget/proto/go/resourcev1"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// calls is the service with something odd in it.
func calls(name string, normal *source.Source) contract.ResourceClientServer {
	switch name {
	case "newer":
		return &newer{normal}
	case "logs":
		return &logging{Source: normal}
	case "panics":
		return &panicking{Source: normal}
	}
	return normal
}

// server is go-plugin's, which for some never answers Shutdown.
func server(name string) func([]grpc.ServerOption) *grpc.Server {
	if name != "deaf" && name != "stubborn" {
		return plugin.DefaultGRPCServer
	}
	return func(options []grpc.ServerOption) *grpc.Server {
		return grpc.NewServer(append(options, grpc.UnaryInterceptor(deaf))...)
	}
}

func deaf(ctx context.Context, request any, call *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if strings.HasSuffix(call.FullMethod, "/Shutdown") {
		select {}
	}
	return next(ctx, request)
}

// newer is a plugin from next year: there are fields, features, attributes and events in its answers that nobody knows.
type newer struct{ *source.Source }

func (n *newer) Init(ctx context.Context, request *contract.InitRequest) (*contract.InitResponse, error) {
	answer, err := n.Source.Init(ctx, request)
	if err == nil {
		answer.Attributes["license"] = "MIT"
		answer.Features = []string{"zero-copy", "checkpoints"}
		age(answer)
	}
	return answer, err
}

func (n *newer) GetMetadata(ctx context.Context, r *contract.GetMetadataRequest) (*contract.GetMetadataResponse, error) {
	answer, err := n.Source.GetMetadata(ctx, r)
	age(answer)
	age(answer.GetMetadata())
	return answer, err
}

func (n *newer) Download(r *contract.DownloadRequest, stream grpc.ServerStreamingServer[contract.DownloadResponse]) error {
	return n.Source.Download(r, &ageing{stream})
}

// ageing sends every message with what only next year's hosts know, and before it one that has nothing else.
type ageing struct {
	grpc.ServerStreamingServer[contract.DownloadResponse]
}

func (a *ageing) Send(message *contract.DownloadResponse) error {
	if message.GetOpened() == nil {
		unknown := &contract.DownloadResponse{}
		age(unknown)
		if err := a.ServerStreamingServer.Send(unknown); err != nil {
			return err
		}
	}
	age(message)
	return a.ServerStreamingServer.Send(message)
}

// age adds a field that is not in the contract.
func age(message proto.Message) {
	field := protowire.AppendTag(nil, 999, protowire.BytesType)
	message.ProtoReflect().SetUnknown(protowire.AppendString(field, "from next year"))
}
