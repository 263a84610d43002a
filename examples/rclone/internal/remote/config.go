package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/config"
	"github.com/rclone/rclone/fs/config/configfile"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"dfget/examples/rclone/internal/first"
)

// usualConfig is where rclone itself looks.
var usualConfig = cmp.Or(first.Config, config.GetConfigPath())

// Prepare sets what holds for the whole process: rclone's log, and how patient and how talkative it is.
func Prepare(log hclog.Logger) {
	fs.SetLogger(logHandler{log})
	global := fs.GetConfig(context.Background())
	global.LogLevel = fs.LogLevelNotice
	// stdin is the life line and no terminal: nobody is there to be asked.
	global.AskPassword = false
	// A unary call has 30 s. What fails for longer is the host's to try again, and it tells the user.
	global.ConnectTimeout = fs.Duration(10 * time.Second)
	global.Timeout = fs.Duration(time.Minute)
	global.LowLevelRetries = 3
	// The time of the upload instead of one that the uploader wrote down: it comes with every listing, and it changes
	// with every upload, so that it tells versions apart.
	global.UseServerModTime = true
}

// loadConfig reads the configuration file into rclone's configuration in memory, which replaces the former one. So the
// file is never written: what rclone wants to save, such as a renewed token, lasts as long as the process. A sandbox
// forbids more, and a download must not fail for that.
func loadConfig(settings Settings) error {
	path := settings.config
	if path == "" {
		path = usualConfig
	}
	former := config.GetConfigPath()
	file, err := readConfig(path, settings.password)
	if errors.Is(err, config.ErrorConfigFileNotFound) && settings.config == "" {
		err = nil
	}
	if err != nil {
		_ = config.SetConfigPath(former)
		return loadFailure(path, settings, err)
	}
	memory := config.Data()
	for _, section := range memory.GetSectionList() {
		memory.DeleteSection(section)
	}
	for _, section := range file.GetSectionList() {
		for _, key := range file.GetKeyList(section) {
			value, _ := file.GetValue(section, key)
			memory.SetValue(section, key, value)
		}
	}
	return nil
}

// readConfig reads one file, without regard to what rclone has in memory.
func readConfig(path, password string) (*configfile.Storage, error) {
	file := new(configfile.Storage)
	if err := config.SetConfigPath(path); err != nil {
		return nil, err
	}
	// The password and, once read, the path are global in rclone, but needed for no longer than the reading.
	config.ClearConfigPassword()
	defer config.ClearConfigPassword()
	if password != "" {
		if err := config.SetConfigPassword(password); err != nil {
			return nil, fmt.Errorf("option config-password: %w", err)
		}
	}
	return file, file.Load()
}

func loadFailure(path string, settings Settings, err error) error {
	switch {
	case errors.Is(err, config.ErrorConfigFileNotFound):
		return status.Errorf(codes.InvalidArgument, "option config: %s does not exist", path)
	case !strings.Contains(err.Error(), "unable to decrypt"):
		return status.Errorf(codes.InvalidArgument, "the rclone configuration %s: %v", path, err)
	case settings.password != "":
		return status.Errorf(codes.Unauthenticated,
			"the rclone configuration %s is encrypted, and not with the password of the option config-password", path)
	default:
		return status.Errorf(codes.Unauthenticated,
			"the rclone configuration %s is encrypted; give its password by the option config-password", path)
	}
}
