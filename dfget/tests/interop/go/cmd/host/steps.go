package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	contract "dfget/proto/go/resourcev1"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
)

// How long anything may take that needs no time.
const patience = 10 * time.Second

var steps = map[string]func(*Session, string) (string, error){
	"version":  version,
	"ping":     ping,
	"socket":   socket,
	"describe": describe,
	"init":     initialize,
	"calls":    calls,
	"list":     list,
	"download": download,
	"hold":     hold,
	"cancel":   cancel,
	"printed":  printed,
	"redial":   redial,
	"reattach": reattach,
}

func version(s *Session, _ string) (string, error) {
	return fmt.Sprint(s.client.NegotiatedVersion()), nil
}

func ping(s *Session, _ string) (string, error) {
	return "pong", s.protocol.Ping()
}

// socket tells who may connect.
func socket(s *Session, _ string) (string, error) {
	found, err := os.Stat(s.address.String())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, group %d", found.Mode(), found.Sys().(*syscall.Stat_t).Gid), nil
}

func describe(s *Session, _ string) (string, error) {
	answer, err := s.resource.Init(context.Background(), &contract.InitRequest{Scheme: s.scheme, Host: "host/1", Describe: true})
	return fmt.Sprintf("%s %s", answer.GetAttributes()["type"], answer.GetAttributes()["name"]), err
}

func initialize(s *Session, _ string) (string, error) {
	options := map[string]string{}
	if key, value, ok := strings.Cut(s.option, "="); ok {
		options[key] = value
	}
	answer, err := s.resource.Init(context.Background(), &contract.InitRequest{Scheme: s.scheme, Host: "host/1", Options: options})
	return answer.GetAttributes()["scheme"], err
}

// calls makes all of those that answer one message, and sees whether they agree.
func calls(s *Session, url string) (string, error) {
	ctx, done := context.WithTimeout(context.Background(), patience)
	defer done()
	resource := &contract.Resource{Url: url}
	all, err := s.resource.GetMetadata(ctx, &contract.GetMetadataRequest{Resource: resource})
	if err != nil {
		return "", err
	}
	length, err := s.resource.GetContentLength(ctx, &contract.GetContentLengthRequest{Resource: resource})
	if err != nil {
		return "", err
	}
	ranges, err := s.resource.IsSupportRange(ctx, &contract.IsSupportRangeRequest{Resource: resource})
	if err != nil {
		return "", err
	}
	modified, err := s.resource.GetLastModified(ctx, &contract.GetLastModifiedRequest{Resource: resource})
	if err != nil {
		return "", err
	}
	fresh, err := s.resource.IsExpired(ctx, &contract.IsExpiredRequest{Resource: resource, Validator: all.GetMetadata().GetValidator()})
	if err != nil {
		return "", err
	}
	stale, err := s.resource.IsExpired(ctx, &contract.IsExpiredRequest{Resource: resource, Validator: &contract.Validator{Etag: "other"}})
	if err != nil {
		return "", err
	}
	validator := all.GetMetadata().GetValidator()
	told := validator.LastModified == nil && modified.GetLastModified() == -1 || validator.GetLastModified() == modified.GetLastModified()
	agree := all.GetMetadata().GetContentLength() == uint64(length.GetContentLength()) && told && ranges.GetSupportRange() == all.GetMetadata().GetSupportRange()
	return fmt.Sprintf("%d bytes, ranges=%v, agree=%v, expired=%v, of another version expired=%v",
		length.GetContentLength(), ranges.GetSupportRange(), agree, fresh.GetExpired(), stale.GetExpired()), nil
}

func list(s *Session, url string) (string, error) {
	stream, err := s.resource.List(context.Background(), &contract.ListRequest{Resource: &contract.Resource{Url: url}})
	if err != nil {
		return "", err
	}
	var names []string
	for {
		page, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			slices.Sort(names)
			return strings.Join(names, " "), nil
		}
		if err != nil {
			return refusal(err), nil
		}
		for _, entry := range page.GetEntries() {
			names = append(names, entry.GetName())
		}
	}
}

// download checks what PROTOCOL.md says of the order of messages. An error of the plugin's is a result.
func download(s *Session, url string) (string, error) {
	stream, err := s.resource.Download(context.Background(), &contract.DownloadRequest{Resource: &contract.Resource{Url: url}})
	if err != nil {
		return "", err
	}
	var received uint64
	hash, ended := sha256.New(), false
	for first := true; ; first = false {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) && ended {
			return fmt.Sprintf("%d bytes, sha256 %x", received, hash.Sum(nil)), nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return refusal(err), nil
		}
		chunk := message.GetChunk()
		switch {
		case err != nil || ended || first != (message.GetOpened() != nil) || chunk != nil && chunk.GetOffset() != received:
			return "", fmt.Errorf("after %d bytes came %v %v", received, message, err)
		case message.GetEnd() != nil && message.GetEnd().GetTotal() != received:
			return "", fmt.Errorf("End has %d bytes, and %d came", message.GetEnd().GetTotal(), received)
		}
		hash.Write(chunk.GetData())
		received, ended = received+uint64(len(chunk.GetData())), message.GetEnd() != nil
	}
}

// refusal is what the plugin says, which is an answer, too.
func refusal(err error) string {
	return fmt.Sprintf("%s: %s", status.Code(err), status.Convert(err).Message())
}

// begin opens a download and takes its first bytes.
func begin(ctx context.Context, s *Session, url string) (grpc.ServerStreamingClient[contract.DownloadResponse], error) {
	stream, err := s.resource.Download(ctx, &contract.DownloadRequest{Resource: &contract.Resource{Url: url}})
	for err == nil {
		var message *contract.DownloadResponse
		message, err = stream.Recv()
		if len(message.GetChunk().GetData()) > 0 {
			return stream, nil
		}
	}
	return nil, err
}

// hold leaves a download open that nobody reads.
func hold(s *Session, url string) (string, error) {
	_, err := begin(context.Background(), s, url)
	return "open", err
}

// cancel ends a download in its middle, and waits until the plugin has let go of the file.
func cancel(s *Session, url string) (string, error) {
	ctx, done := context.WithCancel(context.Background())
	stream, err := begin(ctx, s, url)
	if err != nil {
		done()
		return "", err
	}
	if !s.reads() {
		done()
		return "", errors.New("the plugin reads no file")
	}
	done()
	for err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Canceled {
		return "", err
	}
	for begun := time.Now(); s.reads(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Second {
			return "", errors.New("after a second the plugin still reads")
		}
	}
	return "let go", nil
}

// reads tells whether the plugin has a file open beneath its root.
func (s *Session) reads() bool {
	_, root, _ := strings.Cut(s.option, "=")
	open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.pid))
	for _, descriptor := range open {
		if path, err := os.Readlink(descriptor); err == nil && strings.HasPrefix(path, root+"/") {
			return true
		}
	}
	return false
}

// printed waits for so many lines of what the plugin's code printed.
func printed(s *Session, lines string) (string, error) {
	wanted, err := strconv.Atoi(lines)
	if err != nil {
		return "", err
	}
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(time.Millisecond) {
		if text := s.printed.String(); strings.Count(text, "\n") >= wanted {
			return fmt.Sprintf("%q", text), nil
		}
	}
	return "", fmt.Errorf("%q", s.printed.String())
}

// redial breaks the connection, as after half an hour without a call, and makes a call.
func redial(s *Session, url string) (string, error) {
	s.lock.Lock()
	before := len(s.conns)
	for _, conn := range s.conns {
		conn.Close()
	}
	s.lock.Unlock()
	ctx, done := context.WithTimeout(context.Background(), patience)
	defer done()
	// A call that is made before the client has noticed goes out on what is broken, and is not made again.
	if conn := s.protocol.(*plugin.GRPCClient).Conn; !conn.WaitForStateChange(ctx, connectivity.Ready) {
		return "", errors.New("the client has not noticed that its connection is gone")
	}
	resource := &contract.Resource{Url: url}
	answer, err := s.resource.GetContentLength(ctx, &contract.GetContentLengthRequest{Resource: resource}, grpc.WaitForReady(true))
	s.lock.Lock()
	defer s.lock.Unlock()
	return fmt.Sprintf("%d bytes, dialled again=%v", answer.GetContentLength(), len(s.conns) > before), err
}

// reattach goes on with a client of its own, as another process would; it is the one that ends the plugin.
func reattach(s *Session, _ string) (string, error) {
	config := s.config(s.log)
	config.Reattach = s.client.ReattachConfig()
	config.Reattach.ProtocolVersion = s.client.NegotiatedVersion()
	config.VersionedPlugins, config.Plugins = nil, config.VersionedPlugins[1]
	s.client = plugin.NewClient(config)
	if err := s.Start(); err != nil {
		return "", err
	}
	return ping(s, "")
}
