package remote

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/rclone/rclone/fs/fspath"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Scheme is the one that this plugin serves.
const Scheme = "rclone"

// Location is what a URL names, in rclone's terms.
type Location struct {
	// Remote is the name of a section of the configuration file.
	Remote string
	// Rooted says that the path begins at the root of the storage (remote:/path) and not where the remote begins
	// (remote:path), which of sftp is the home directory.
	Rooted bool
	// Path is decoded, without slashes around it; empty is the top.
	Path string
	// Directory says that the URL ends with a slash: it can be listed, but is no object.
	Directory bool
}

// ParseLocation takes a URL apart. rclone://box/a/b is box:a/b, and rclone://box//a/b is box:/a/b.
func ParseLocation(raw string) (Location, error) {
	scheme, rest, found := strings.Cut(raw, "://")
	if !found || !strings.EqualFold(scheme, Scheme) {
		return Location{}, refused("the URL does not begin with rclone://")
	}
	if strings.ContainsAny(rest, "?#") {
		return Location{}, refused("the URL has a query or a fragment; in a name ? is %3F and # is %23")
	}
	name, path, hasPath := strings.Cut(rest, "/")
	name, err := url.PathUnescape(name)
	// The name is not repeated: whoever takes it for a host may have put a password before it.
	if err != nil || fspath.CheckConfigName(name) != nil {
		return Location{}, refused("what follows rclone:// is no name of a remote; " +
			"write rclone://REMOTE/PATH with a remote of your rclone configuration")
	}
	location := Location{Remote: name, Directory: !hasPath || path == "" || strings.HasSuffix(path, "/")}
	path, location.Rooted = strings.CutPrefix(path, "/")
	location.Path, err = decodePath(strings.TrimSuffix(path, "/"))
	return location, err
}

// decodePath undoes the percent-encoding segment by segment, so that no encoded character becomes a separator.
func decodePath(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		name, err := url.PathUnescape(segment)
		switch {
		case err != nil:
			return "", refused("the URL has a % that is not followed by two digits; a % in a name is %25")
		case name == "":
			return "", refused("the path of the URL has an empty segment; one // is allowed, behind the remote")
		case name == "." || name == "..":
			return "", refused("the path of the URL has a segment that is . or ..")
		case strings.ContainsAny(name, "/\x00"):
			return "", refused("a name in the URL has a / or NUL; rclone writes them ／ and ␀ in names")
		case !utf8.ValidString(name):
			return "", refused("a name in the URL is not UTF-8; rclone writes odd bytes in names as ‛ and two digits")
		}
		segments[i] = name
	}
	return strings.Join(segments, "/"), nil
}

// String is rclone's way to write it, for messages.
func (l Location) String() string {
	if l.Rooted {
		return l.Remote + ":/" + l.Path
	}
	return l.Remote + ":" + l.Path
}

func refused(text string) error {
	return status.Error(codes.InvalidArgument, text)
}
