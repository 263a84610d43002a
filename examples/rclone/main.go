// d7y-resource-plugin-rclone is a source plugin for dfget: it serves the resources of rclone's remotes.
package main

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/rclone/rclone/lib/atexit"
	"google.golang.org/grpc"

	pb "dfget/proto/go/resourcev1"

	"dfget/examples/rclone/internal/remote"
	"dfget/examples/rclone/internal/source"
)

// Set by the Makefile.
var (
	buildCommit = "unknown"
	buildTime   = "unknown"
)

// handshake is that of PROTOCOL.md. The cookie is a courtesy to people who run the file by hand, not a secret.
var handshake = plugin.HandshakeConfig{
	ProtocolVersion:  1,
	MagicCookieKey:   "DRAGONFLY_PLUGIN_MAGIC_COOKIE",
	MagicCookieValue: "d5d7b8f2c1e94a0f8e53a3b6f4907c2e9a61d08b7c35f24e1b90ad6c8f723e45",
}

func main() {
	log := hclog.New(&hclog.LoggerOptions{Name: "rclone", Level: hclog.Info, Output: os.Stderr, JSONFormat: true})
	if err := checkClientCertificate(); err != nil {
		log.Error(err.Error())
		os.Exit(1)
	}
	// A terminal sends SIGINT to the host and its plugins alike, and when to end is the host's decision. rclone would end
	// the process at the first one, and go-plugin ignores it only from some time after the handshake line on.
	atexit.IgnoreSignals()
	signal.Ignore(os.Interrupt)
	remote.Prepare(log)

	served := &servedPlugin{service: source.New(source.Build{Commit: buildCommit, Time: buildTime}, log)}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: handshake,
		Plugins:         plugin.PluginSet{"resource": served},
		GRPCServer:      newServer,
		Logger:          log,
	})
	// go-plugin returns in the same way whether it served and was asked to end, or could not even listen.
	if !served.started {
		os.Exit(1)
	}
}

// checkClientCertificate refuses what go-plugin would log and then serve with a TLS that nobody can speak.
func checkClientCertificate() error {
	text := os.Getenv("PLUGIN_CLIENT_CERT")
	if text == "" {
		return nil
	}
	if block, _ := pem.Decode([]byte(text)); block == nil || block.Type != "CERTIFICATE" {
		return errors.New("PLUGIN_CLIENT_CERT holds no certificate in PEM; the host has to send one, or leave it empty")
	}
	return nil
}

func newServer(options []grpc.ServerOption) *grpc.Server {
	options = append(options,
		grpc.ChainUnaryInterceptor(recoverUnary),
		grpc.ChainStreamInterceptor(recoverStream),
		// A chunk goes to the socket in one write instead of sixteen.
		grpc.WriteBufferSize(source.ChunkSize),
	)
	return grpc.NewServer(options...)
}

// servedPlugin registers the one service that go-plugin does not bring along.
type servedPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	service pb.ResourceClientServer
	started bool
}

func (p *servedPlugin) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	pb.RegisterResourceClientServer(server, p.service)
	endWithHost(server)
	p.started = true
	return nil
}

func (p *servedPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, fmt.Errorf("this program serves %s, it does not call it", pb.ResourceClient_ServiceDesc.ServiceName)
}
