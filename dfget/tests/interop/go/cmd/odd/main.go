// Command odd is a plugin made with go-plugin that does one thing as no plugin should: the name under which it is
// started says which.
//
//   - start.go: what goes wrong before the handshake line, or in it
//   - calls.go: what it answers
//   - logs.go: what it writes to stderr
//   - tcp.go: gRPC without go-plugin, which listens on TCP on Windows alone
package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"dfget/interop/source"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
)

// Nothing lives longer: a test that fails must not leave a process for ever.
const fuse = 120 * time.Second

func main() {
	time.AfterFunc(fuse, func() { os.Exit(99) })
	name := strings.TrimPrefix(filepath.Base(os.Args[0]), "d7y-resource-plugin-")
	log := hclog.New(&hclog.LoggerOptions{Name: "odd", Level: hclog.Trace, JSONFormat: true})
	normal := &source.Source{Log: log}
	if strings.HasPrefix(name, "tcp") {
		serveTCP(name, normal)
		return
	}
	before(name)
	config := &plugin.ServeConfig{
		HandshakeConfig: source.Handshake,
		Plugins:         plugin.PluginSet{source.Name: &source.Plugin{Impl: calls(name, normal)}},
		GRPCServer:      server(name),
		Logger:          log,
	}
	versions(name, config)
	plugin.Serve(config)
}
