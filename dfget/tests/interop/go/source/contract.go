// Package source is a source as a Go author writes it, and what its author and a host must agree on.
package source

import (
	"context"

	contract "dfget/proto/go/resourcev1"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// Name is under which plugin and host know the one thing that a plugin serves. It is never on the wire.
const Name = "resource"

// Handshake is that of PROTOCOL.md.
var Handshake = plugin.HandshakeConfig{
	ProtocolVersion:  1,
	MagicCookieKey:   "DRAGONFLY_PLUGIN_MAGIC_COOKIE",
	MagicCookieValue: "d5d7b8f2c1e94a0f8e53a3b6f4907c2e9a61d08b7c35f24e1b90ad6c8f723e45",
}

// Plugin is both ends of the service, as go-plugin wants them.
type Plugin struct {
	plugin.Plugin
	Impl contract.ResourceClientServer
}

// GRPCServer is the plugin's end.
func (p *Plugin) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	contract.RegisterResourceClientServer(server, p.Impl)
	return nil
}

// GRPCClient is the host's end.
func (p *Plugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return contract.NewResourceClientClient(conn), nil
}
