// Command bench-go-host starts a plugin with go-plugin's Client, takes one file from it, and writes that down:
//
//	bench-go-host [-mtls] PLUGIN FILE OUTPUT
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"

	"dfget/bench/goplugin/contract"
	"dfget/proto/go/resourcev1"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
)

func main() {
	mtls := flag.Bool("mtls", false, "AutoMTLS")
	flag.Parse()
	if flag.NArg() != 3 {
		fmt.Fprintln(os.Stderr, "usage: bench-go-host [-mtls] PLUGIN FILE OUTPUT")
		os.Exit(2)
	}
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  contract.Handshake,
		Plugins:          plugin.PluginSet{contract.Name: &contract.Plugin{}},
		Cmd:              exec.Command(flag.Arg(0)),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         *mtls,
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Warn}),
	})
	err := download(client, flag.Arg(1), flag.Arg(2))
	client.Kill()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func download(client *plugin.Client, file, path string) error {
	protocol, err := client.Client()
	if err != nil {
		return err
	}
	files, err := protocol.Dispense(contract.Name)
	if err != nil {
		return err
	}
	output, err := os.Create(path)
	if err != nil {
		return err
	}
	defer output.Close()
	if err := receive(files.(resourcev1.ResourceClientClient), file, output); err != nil {
		return err
	}
	return output.Close()
}

func receive(files resourcev1.ResourceClientClient, file string, output io.Writer) error {
	request := &resourcev1.DownloadRequest{Resource: &resourcev1.Resource{Url: "file://" + file}}
	stream, err := files.Download(context.Background(), request)
	if err != nil {
		return err
	}
	for {
		message, err := stream.Recv()
		if err == io.EOF {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if message.GetEnd() != nil {
			return nil
		}
		if _, err := output.Write(message.GetChunk().GetData()); err != nil {
			return err
		}
	}
}
