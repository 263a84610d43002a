package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"dfget/interop/source"
	contract "dfget/proto/go/resourcev1"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
)

// What is on the file descriptor: go-plugin puts a pipe of its own into os.Stderr.
var stderr = os.Stderr

// Lines that nearly are what hclog writes. A host made with go-plugin panics at some of them.
const malformed = `{"@level":5,"@message":"a number for a level","@timestamp":"2021-12-13T08:53:04.000000Z"}
{"@level":"info","@message":{"an":"object"},"@timestamp":"2021-12-13T08:53:04.000000Z"}
{"@level":"info","@message":"a number for a time","@timestamp":1639385584}
{"@level":"info","@message":"cut off
{"message":"no hclog at all"}
[1,2
null
`

// logging writes each kind of line before it serves.
type logging struct{ *source.Source }

func (l *logging) Download(r *contract.DownloadRequest, stream grpc.ServerStreamingServer[contract.DownloadResponse]) error {
	l.Log.Trace("a trace")
	l.Log.Debug("a debug line")
	l.Log.Info("a line for information", "count", 3, "path", "/a b", "list", []string{"x", "y"})
	l.Log.Warn("a warning", "error", errors.New("the tape is old"))
	l.Log.Named("sub").Error("an error", "stack", hclog.Stacktrace())
	fmt.Fprintln(stderr, "[WARN] a line of another logger")
	fmt.Fprint(stderr, malformed)
	fmt.Println(strings.Repeat("x", 3000))
	fmt.Fprintln(os.Stderr, "[ERROR] written to os.Stderr")
	return l.Source.Download(r, stream)
}

// panicking ends as Go programs end.
type panicking struct{ *source.Source }

func (p *panicking) Download(*contract.DownloadRequest, grpc.ServerStreamingServer[contract.DownloadResponse]) error {
	panic("no tape in the drive")
}
