// Command host starts a plugin as any Go program does, with go-plugin's Client, and does with it what its arguments
// say, step by step. What comes of each step is a line on stdout; the log of go-plugin, with what the plugin logs, is on
// stderr. It ends with 1 at the first step that fails.
//
//	host [-mtls] [-multiplex] [-group ID] [-versions 1,2] [-scheme NAME] [-option KEY=VALUE] PLUGIN STEP[=URL]...
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// go-plugin's Kill waits for ever for a plugin that does not answer.
const fuse = 60 * time.Second

func main() {
	time.AfterFunc(fuse, func() { os.Exit(99) })
	settings := Settings{}
	flag.BoolVar(&settings.mtls, "mtls", false, "AutoMTLS")
	flag.BoolVar(&settings.multiplex, "multiplex", false, "ask for broker multiplexing")
	flag.StringVar(&settings.group, "group", "", "to which the socket is to belong")
	flag.StringVar(&settings.versions, "versions", "1", "which this host speaks")
	flag.StringVar(&settings.scheme, "scheme", "good", "of Init")
	flag.StringVar(&settings.option, "option", "", "of Init")
	flag.Parse()
	settings.path = flag.Arg(0)
	log := &bytes.Buffer{}
	session := NewSession(settings, io.MultiWriter(os.Stderr, log))
	err := run(session, flag.Args()[1:])
	fmt.Println(session.Kill(log))
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func run(session *Session, names []string) error {
	if err := session.Start(); err != nil {
		return err
	}
	for _, name := range names {
		name, url, _ := strings.Cut(name, "=")
		step := steps[name]
		if step == nil {
			return fmt.Errorf("there is no step %s", name)
		}
		result, err := step(session, url)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Printf("%s: %s\n", name, result)
	}
	return nil
}
