package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"
	_ "github.com/rclone/rclone/backend/alias"
	_ "github.com/rclone/rclone/backend/crypt"
	_ "github.com/rclone/rclone/backend/http"
	_ "github.com/rclone/rclone/backend/local"
	_ "github.com/rclone/rclone/backend/s3"
	_ "github.com/rclone/rclone/backend/webdav"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	pb "dfget/proto/go/resourcev1"

	"dfget/examples/rclone/internal/remote"
)

func TestMain(m *testing.M) {
	remote.Prepare(hclog.NewNullLogger())
	os.Exit(m.Run())
}

// client is a host that has not called Init yet.
type client struct {
	pb.ResourceClientClient
	t *testing.T
}

func connect(t *testing.T) client {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	pb.RegisterResourceClientServer(server, New(Build{}, hclog.NewNullLogger()))
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	connection, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return client{pb.NewResourceClientClient(connection), t}
}

// configured is a host that has called Init; the options are names and values in turn.
func configured(t *testing.T, options ...string) client {
	t.Helper()
	c := connect(t)
	values := map[string]string{}
	for i := 0; i < len(options); i += 2 {
		values["remote."+options[i]] = options[i+1]
	}
	if _, err := c.Init(context.Background(), &pb.InitRequest{Scheme: "rclone", Options: values}); err != nil {
		t.Fatal(err)
	}
	return c
}

// directory is a host whose remote x is a directory.
func directory(t *testing.T) (client, string) {
	t.Helper()
	dir := t.TempDir()
	return configured(t, "type", "alias", "remote", dir), dir
}

func write(t *testing.T, content string, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func resource(path string) *pb.Resource {
	return &pb.Resource{Url: "rclone://x/" + path}
}

func part(start uint64, length ...uint64) *pb.Range {
	r := &pb.Range{Start: start}
	if len(length) > 0 {
		r.Length = proto.Uint64(length[0])
	}
	return r
}

// downloaded is what came of a download, checked for what must hold of every one.
type downloaded struct {
	opened *pb.Opened
	body   []byte
	err    error
}

func (d downloaded) code() codes.Code { return status.Code(d.err) }

func (c client) download(request *pb.DownloadRequest) downloaded {
	c.t.Helper()
	stream, err := c.Download(context.Background(), request)
	if err != nil {
		c.t.Fatal(err)
	}
	var got downloaded
	var end *pb.End
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			got.err = err
			return got
		}
		if end != nil {
			c.t.Fatalf("%v after End", message)
		}
		end = c.take(&got, message)
	}
	if end == nil {
		c.t.Fatal("OK without End")
	}
	if end.GetTotal() != uint64(len(got.body)) {
		c.t.Errorf("End{%d} after %d bytes", end.GetTotal(), len(got.body))
	}
	if length := got.opened.GetRange().Length; length != nil && *length != uint64(len(got.body)) {
		c.t.Errorf("%d bytes were announced, %d came", *length, len(got.body))
	}
	return got
}

func (c client) take(got *downloaded, message *pb.DownloadResponse) *pb.End {
	c.t.Helper()
	switch event := message.GetEvent().(type) {
	case *pb.DownloadResponse_Opened:
		if got.opened != nil {
			c.t.Fatal("Opened twice")
		}
		got.opened = event.Opened
	case *pb.DownloadResponse_Chunk:
		if want := got.opened.GetRange().GetStart() + uint64(len(got.body)); event.Chunk.GetOffset() != want {
			c.t.Fatalf("a chunk at %d instead of %d", event.Chunk.GetOffset(), want)
		}
		if len(event.Chunk.GetData()) == 0 {
			c.t.Fatal("a chunk without data")
		}
		got.body = append(got.body, event.Chunk.GetData()...)
	case *pb.DownloadResponse_End:
		return event.End
	}
	return nil
}

// wants compares a download with the bytes that were expected, and where they begin.
func (d downloaded) wants(t *testing.T, start uint64, body []byte) {
	t.Helper()
	if d.err != nil {
		t.Fatal(d.err)
	}
	if d.opened.GetRange().GetStart() != start || !bytes.Equal(d.body, body) {
		t.Errorf("%s from %d, wanted %s from %d", short(d.body), d.opened.GetRange().GetStart(), short(body), start)
	}
}

func short(body []byte) string {
	if len(body) > 20 {
		return fmt.Sprintf("%d bytes", len(body))
	}
	return fmt.Sprintf("%q", body)
}

func wantsCode(t *testing.T, err error, code codes.Code) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("%v, wanted %v", err, code)
	}
}
