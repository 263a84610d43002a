// Package remote is rclone as this plugin needs it: remotes are opened, objects found, errors put into gRPC's words.
package remote

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/cache"
	"github.com/rclone/rclone/fs/config"
	"github.com/rclone/rclone/fs/config/obscure"
	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// rclone's configuration is one for the whole process. Whoever opens a remote reads it, whoever configures writes it.
var (
	configLock sync.RWMutex
	configured *Remotes
)

// Remotes opens the remotes of one configuration, each at most once.
type Remotes struct {
	settings Settings
	opening  singleflight.Group
	lock     sync.Mutex
	open     map[string]fs.Fs
	// ranges has the resources that had to be probed.
	ranges map[string]bool
}

// Configure reads the configuration file. If it fails, the former configuration stays.
func Configure(settings Settings) (*Remotes, error) {
	configLock.Lock()
	defer configLock.Unlock()
	if err := loadConfig(settings); err != nil {
		return nil, err
	}
	// Remotes that rclone opened by itself, beneath an alias or crypt, are those of the former configuration.
	cache.Clear()
	configured = &Remotes{settings: settings, open: map[string]fs.Fs{}, ranges: map[string]bool{}}
	return configured, nil
}

// at is the remote of a location, opened from its top so that one connection serves all its objects. It is given up
// when ctx ends; the opening itself goes on for whoever comes next.
func (r *Remotes) at(ctx context.Context, location Location) (fs.Fs, error) {
	key := Location{Remote: location.Remote, Rooted: location.Rooted}.String()
	r.lock.Lock()
	opened, found := r.open[key]
	r.lock.Unlock()
	if found {
		return opened, nil
	}
	result := r.opening.DoChan(key, func() (any, error) { return r.connect(key, location) })
	select {
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	case opened := <-result:
		if opened.Err != nil {
			return nil, opened.Err
		}
		return opened.Val.(fs.Fs), nil
	}
}

func (r *Remotes) connect(key string, location Location) (fs.Fs, error) {
	configLock.RLock()
	defer configLock.RUnlock()
	if configured != r {
		return nil, status.Error(codes.Aborted, "the plugin was configured anew meanwhile; try again")
	}
	connection := r.settings.connection(location)
	if err := r.settings.check(connection, location); err != nil {
		return nil, err
	}
	// Not the context of a call: rclone keeps it as long as the remote.
	opened, err := fs.NewFs(context.Background(), connection)
	if err != nil {
		return nil, connectFailure(location, err)
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	r.open[key] = opened
	return opened, nil
}

// check finds what rclone would not report, or not in words that name the option.
func (s Settings) check(connection string, location Location) error {
	info, _, _, parameters, err := fs.ConfigFs(connection)
	switch {
	case errors.Is(err, fs.ErrorNotFoundInConfigFile):
		return status.Errorf(codes.InvalidArgument, "no remote %q in the rclone configuration %s; "+
			"`rclone listremotes` shows those there are, and the option config names another file",
			location.Remote, config.GetConfigPath())
	case err != nil:
		kind := s.overrides["type"]
		if kind == "" {
			kind, _ = config.FileGetValue(location.Remote, "type")
		}
		return status.Errorf(codes.InvalidArgument, "remote %q is of type %q, which this plugin was built without; it has %s",
			location.Remote, kind, strings.Join(Types(), ", "))
	}
	for _, key := range slices.Sorted(maps.Keys(s.overrides)) {
		if err := checkParameter(info, key, s.overrides[key]); err != nil {
			return err
		}
	}
	if info.Name == "local" && !location.Rooted {
		return status.Errorf(codes.InvalidArgument, "%q is relative to a working directory, which a plugin does not have; "+
			"write rclone://%s//%s", location, location.Remote, location.Path)
	}
	ask, _ := parameters.Get("ask_password")
	if password, _ := parameters.Get("pass"); ask == "true" && password == "" {
		return status.Errorf(codes.Unauthenticated, "remote %q has ask_password, and nobody is there to be asked; "+
			"give the option remote.pass", location.Remote)
	}
	return nil
}

// checkParameter refuses what would silently be without effect, and passwords in clear text, of which rclone says
// little. The value is not repeated.
func checkParameter(info *fs.RegInfo, key, value string) error {
	if key == "type" || strings.HasPrefix(key, "override.") || strings.HasPrefix(key, "global.") {
		return nil
	}
	parameter := info.Options.Get(key)
	if parameter == nil {
		return status.Errorf(codes.InvalidArgument, "option %s%s: a remote of type %s has no parameter %s",
			overridePrefix, key, info.Name, key)
	}
	if _, err := obscure.Reveal(value); parameter.IsPassword && err != nil {
		return status.Errorf(codes.InvalidArgument, "option %s%s: not obscured; give what `rclone obscure` prints",
			overridePrefix, key)
	}
	return nil
}

// Types are the types of remotes that this plugin was built with.
func Types() []string {
	var names []string
	for _, info := range fs.Registry {
		names = append(names, info.Name)
	}
	slices.Sort(names)
	return names
}

func connectFailure(location Location, err error) error {
	return statusOf(err, fmt.Sprintf("opening the remote %q", location.Remote), codes.InvalidArgument)
}
