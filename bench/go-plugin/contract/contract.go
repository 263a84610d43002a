// Package contract is what the host and the plugin of the bench agree on, as go-plugin wants it written down.
package contract

import (
	"context"

	"dfget/proto/go/resourcev1"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// Name is under which both know the one thing that the plugin serves.
const Name = "files"

// Handshake is of this pair alone: neither end is one of dfget's.
var Handshake = plugin.HandshakeConfig{
	ProtocolVersion:  1,
	MagicCookieKey:   "BENCH_GO_PLUGIN",
	MagicCookieValue: "files",
}

// Plugin is both ends of the service.
type Plugin struct {
	plugin.Plugin
	Impl resourcev1.ResourceClientServer
}

// GRPCServer is the plugin's end.
func (p *Plugin) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	resourcev1.RegisterResourceClientServer(server, p.Impl)
	return nil
}

// GRPCClient is the host's end.
func (p *Plugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return resourcev1.NewResourceClientClient(conn), nil
}
