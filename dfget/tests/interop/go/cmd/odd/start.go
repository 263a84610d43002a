package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"dfget/interop/source"

	"github.com/hashicorp/go-plugin"
)

// before does what is to be done before go-plugin starts.
func before(name string) {
	switch name {
	case "banner":
		fmt.Println("odd plugin 1.0, loading its configuration")
		fmt.Println("ready")
	case "certificate":
		// So go-plugin makes one, whatever the host said.
		_, pem := certificate()
		os.Setenv("PLUGIN_CLIENT_CERT", string(pem))
	case "no-certificate":
		os.Unsetenv("PLUGIN_CLIENT_CERT")
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
	case "grandchild", "daemon":
		child := exec.Command("sleep", "60")
		child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: name == "daemon"}
		if err := child.Start(); err != nil {
			panic(err)
		}
	case "panics-at-once":
		panic("no tape in the drive")
	}
}

// versions sets which versions of the application protocol the plugin knows.
func versions(name string, config *plugin.ServeConfig) {
	known := map[string][]int{"knows2": {2}, "knows12": {1, 2}, "knows23": {2, 3}}[name]
	if known == nil {
		return
	}
	config.VersionedPlugins = map[int]plugin.PluginSet{}
	for _, version := range known {
		config.VersionedPlugins[version] = config.Plugins
	}
	config.Plugins = nil
	config.HandshakeConfig = plugin.HandshakeConfig{
		MagicCookieKey:   source.Handshake.MagicCookieKey,
		MagicCookieValue: source.Handshake.MagicCookieValue,
	}
}
