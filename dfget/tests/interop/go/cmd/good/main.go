// Command good is a plugin as any author writes one with go-plugin: nothing in it is there for dfget's sake.
package main

import (
	"dfget/interop/source"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
)

func main() {
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, JSONFormat: true})
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: source.Handshake,
		Plugins:         plugin.PluginSet{source.Name: &source.Plugin{Impl: &source.Source{Log: log}}},
		GRPCServer:      plugin.DefaultGRPCServer,
		Logger:          log,
	})
}
