package main

import (
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
)

// lastBreath is how long an orderly stop may take. The host allows 1 s before it kills.
const lastBreath = 500 * time.Millisecond

// endWithHost ends the server on SIGTERM and at the end of the life line: go-plugin has neither. It ends on
// GRPCController.Shutdown by itself.
func endWithHost(server *grpc.Server) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	lost := lifeLine()
	go func() {
		select {
		case <-asked:
		case <-lost:
		}
		time.AfterFunc(lastBreath, func() { os.Exit(0) })
		server.Stop()
	}()
}

// lifeLine is closed when the host is gone. It never is where stdin tells nothing: without the variable stdin may be
// anything, and a shell gives /dev/null to what it starts in the background.
func lifeLine() <-chan struct{} {
	lost := make(chan struct{})
	if os.Getenv("DRAGONFLY_PLUGIN_LIFE_LINE") != "stdin" || !isPipe(os.Stdin) {
		return lost
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(lost)
	}()
	return lost
}

func isPipe(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}
