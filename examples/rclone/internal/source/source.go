// Package source is the service ResourceClient of PROTOCOL.md over rclone's remotes.
package source

import (
	"context"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "dfget/proto/go/resourcev1"

	"dfget/examples/rclone/internal/remote"
)

// Build is what the Makefile knows of this executable.
type Build struct {
	Commit, Time string
}

// Source answers the calls. It keeps nothing of a resource: whatever a call needs is in the call.
type Source struct {
	pb.UnimplementedResourceClientServer
	build   Build
	log     hclog.Logger
	remotes atomic.Pointer[remote.Remotes]
}

// New makes a source that waits for Init.
func New(build Build, log hclog.Logger) *Source {
	return &Source{build: build, log: log}
}

// Init takes the options. Calls that are running keep the configuration that they began with.
func (s *Source) Init(_ context.Context, request *pb.InitRequest) (*pb.InitResponse, error) {
	if request.GetScheme() != remote.Scheme {
		return nil, status.Errorf(codes.InvalidArgument, "this plugin serves the scheme %q, not %q",
			remote.Scheme, request.GetScheme())
	}
	answer := &pb.InitResponse{Attributes: s.attributes()}
	if request.GetDescribe() {
		return answer, nil
	}
	settings, err := remote.ParseSettings(request.GetOptions())
	if err != nil {
		return nil, err
	}
	remotes, err := remote.Configure(settings)
	if err != nil {
		return nil, err
	}
	s.remotes.Store(remotes)
	s.log.Info("configured", "host", request.GetHost())
	return answer, nil
}

func (s *Source) attributes() map[string]string {
	return map[string]string{
		"type":        "resource",
		"name":        remote.Scheme,
		"scheme":      remote.Scheme,
		"vendor":      "dfget examples",
		"buildCommit": s.build.Commit,
		"buildTime":   s.build.Time,
		"rclone":      rcloneVersion(),
		"remoteTypes": strings.Join(remote.Types(), ","),
	}
}

// rcloneVersion is that of the module: what rclone says of itself is meant for its own releases.
func rcloneVersion() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/rclone/rclone" {
			return strings.TrimPrefix(module.Version, "v")
		}
	}
	return "unknown"
}

// configured are the remotes of the last Init that succeeded.
func (s *Source) configured() (*remote.Remotes, error) {
	if remotes := s.remotes.Load(); remotes != nil {
		return remotes, nil
	}
	return nil, status.Error(codes.InvalidArgument, "Init has not succeeded yet")
}

// locate takes the resource of a request apart. Its header is for storages that have one; rclone's remotes have their
// own in the configuration.
func (s *Source) locate(resource *pb.Resource) (*remote.Remotes, remote.Location, error) {
	remotes, err := s.configured()
	if err != nil {
		return nil, remote.Location{}, err
	}
	if resource == nil {
		return nil, remote.Location{}, status.Error(codes.InvalidArgument, "the request has no resource")
	}
	location, err := remote.ParseLocation(resource.GetUrl())
	return remotes, location, err
}

func (s *Source) find(ctx context.Context, resource *pb.Resource) (*remote.Remotes, *remote.Object, error) {
	remotes, location, err := s.locate(resource)
	if err != nil {
		return nil, nil, err
	}
	object, err := remotes.Find(ctx, location)
	return remotes, object, err
}
