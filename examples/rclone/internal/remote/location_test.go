package remote

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestURLsAreLocations(t *testing.T) {
	for url, wanted := range map[string]Location{
		"rclone://box/a/b":        {Remote: "box", Path: "a/b"},
		"rclone://box//a/b":       {Remote: "box", Path: "a/b", Rooted: true},
		"RCLONE://box/a":          {Remote: "box", Path: "a"},
		"rclone://box":            {Remote: "box", Directory: true},
		"rclone://box/":           {Remote: "box", Directory: true},
		"rclone://box//":          {Remote: "box", Directory: true, Rooted: true},
		"rclone://box/a/":         {Remote: "box", Path: "a", Directory: true},
		"rclone://my%20box/a%20b": {Remote: "my box", Path: "a b"},
		"rclone://box/%3F%23%25":  {Remote: "box", Path: "?#%"},
		"rclone://box/ü%C3%BC":    {Remote: "box", Path: "üü"},
		"rclone://box/a+b":        {Remote: "box", Path: "a+b"},
		"rclone://box/...":        {Remote: "box", Path: "..."},
	} {
		got, err := ParseLocation(url)
		if err != nil || got != wanted {
			t.Errorf("%s: %+v, %v; wanted %+v", url, got, err, wanted)
		}
	}
}

func TestOtherURLsAreRefused(t *testing.T) {
	for url, word := range map[string]string{
		"http://box/a":        "rclone://",
		"rclone:box/a":        "rclone://",
		"rclone:///a":         "REMOTE",
		"rclone://ada:x@b/a":  "REMOTE",
		"rclone://:sftp/a":    "REMOTE",
		"rclone://box,a=b/a":  "REMOTE",
		"rclone://box/a?b":    "%3F",
		"rclone://box/a#b":    "%23",
		"rclone://box/a%zz":   "%25",
		"rclone://box/a//b":   "empty",
		"rclone://box///b":    "empty",
		"rclone://box/../b":   "..",
		"rclone://box/%2e%2e": "..",
		"rclone://box/a%2Fb":  "／",
		"rclone://box/a%00b":  "␀",
		"rclone://box/%ff":    "UTF-8",
	} {
		_, err := ParseLocation(url)
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v, wanted %q", url, err, word)
		}
	}
}

func TestParametersAreQuoted(t *testing.T) {
	settings, err := ParseSettings(map[string]string{"remote.user": "o'neil, \"a\":b", "remote.host": "h"})
	if err != nil {
		t.Fatal(err)
	}
	got := settings.connection(Location{Remote: "box", Rooted: true, Path: "not in it"})
	if wanted := `box,host='h',user='o''neil, "a":b':/`; got != wanted {
		t.Errorf("%s, wanted %s", got, wanted)
	}
}

func TestOptionsThatMakeNoSenseAreNamed(t *testing.T) {
	for _, name := range []string{"confg", "remote.", "remote.a,b", "remote.a b", "remote", ""} {
		_, err := ParseSettings(map[string]string{name: "x"})
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), `"`+name+`"`) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
