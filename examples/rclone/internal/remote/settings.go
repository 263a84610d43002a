package remote

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// overridePrefix begins the options that stand for a parameter of the remote.
const overridePrefix = "remote."

// Settings are the options of Init, checked as far as that needs no file.
type Settings struct {
	// config is the path of the configuration file; empty means rclone's usual one.
	config string
	// password decrypts it.
	password string
	// overrides go before what the configuration file says of the remote that the URL names.
	overrides map[string]string
}

// ParseSettings checks the options that the user gave. An unknown one is refused: a misspelt option that is silently
// without effect is worse.
func ParseSettings(options map[string]string) (Settings, error) {
	settings := Settings{overrides: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		value := options[name]
		switch key, isOverride := strings.CutPrefix(name, overridePrefix); {
		case isOverride && isParameter(key):
			settings.overrides[key] = value
		case name == "config":
			path, err := absolute(value)
			if err != nil {
				return Settings{}, err
			}
			settings.config = path
		case name == "config-password":
			settings.password = value
		default:
			return Settings{}, status.Errorf(codes.InvalidArgument,
				"unknown option %q; there are config, config-password and remote.<parameter>", name)
		}
	}
	return settings, nil
}

// isParameter tells whether rclone takes the key for the name of a parameter.
func isParameter(key string) bool {
	return key != "" && strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") == ""
}

// absolute makes a path that does not depend on the working directory, which is the host's affair.
func absolute(path string) (string, error) {
	if rest, found := strings.CutPrefix(path, "~/"); found {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", status.Errorf(codes.InvalidArgument, "option config: %q: %v", path, err)
		}
		return filepath.Join(home, rest), nil
	}
	if !filepath.IsAbs(path) {
		return "", status.Errorf(codes.InvalidArgument,
			"option config: %q is relative; give the absolute path of the file, or one that begins with ~/", path)
	}
	return path, nil
}

// connection is rclone's connection string for the remote of a location: what fs.NewFs takes. It may hold secrets.
func (s Settings) connection(at Location) string {
	var text strings.Builder
	text.WriteString(at.Remote)
	for _, key := range slices.Sorted(maps.Keys(s.overrides)) {
		fmt.Fprintf(&text, ",%s='%s'", key, strings.ReplaceAll(s.overrides[key], "'", "''"))
	}
	text.WriteByte(':')
	if at.Rooted {
		text.WriteByte('/')
	}
	return text.String()
}
