// Command debugged is a plugin that its author has started, in go-plugin's test mode. It prints what a host must know,
// and serves until it is terminated.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"dfget/interop/source"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
)

// address is a net.Addr as JSON has it; go-plugin leaves that to the author.
type address struct{ Network, String string }

type reattach struct {
	Protocol        plugin.Protocol
	ProtocolVersion int
	Pid             int
	Test            bool
	Addr            address
}

func main() {
	name := strings.TrimPrefix(filepath.Base(os.Args[0]), "d7y-resource-plugin-")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	configs, closed := make(chan *plugin.ReattachConfig), make(chan struct{})
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.Trace})
	go plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: source.Handshake,
		Plugins:         plugin.PluginSet{source.Name: &source.Plugin{Impl: &source.Source{Log: log}}},
		GRPCServer:      plugin.DefaultGRPCServer,
		Test:            &plugin.ServeTestConfig{Context: ctx, ReattachConfigCh: configs, CloseCh: closed},
	})
	config := <-configs
	text, err := json.Marshal(map[string]reattach{name: {
		config.Protocol, config.ProtocolVersion, config.Pid, config.Test,
		address{config.Addr.Network(), config.Addr.String()},
	}})
	if err != nil {
		panic(err)
	}
	fmt.Printf("DFGET_REATTACH_PLUGINS='%s'\n", text)
	<-closed
}
