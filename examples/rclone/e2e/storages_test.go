package e2e

import (
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// storage is a remote of a running server, as a test sees it.
type storage struct {
	*host
	tree string
	// top is the URL of the tree's top, which ends with a slash.
	top string
	// stranger is the same with credentials that do not hold; empty if there are none.
	stranger string
}

// eachStorage runs a test for every kind of server.
func eachStorage(t *testing.T, test func(t *testing.T, s storage)) {
	t.Run("local", func(t *testing.T) {
		h, tree := newHost(t), newTree(t)
		h.config("[disk]\ntype = local\n")
		test(t, storage{host: h, tree: tree, top: "rclone://disk/" + tree + "/"})
	})
	t.Run("sftp", func(t *testing.T) {
		h, tree := newHost(t), newTree(t)
		h.config(startSSH(t))
		test(t, storage{h, tree, "rclone://box/" + tree + "/", "rclone://stranger/" + tree + "/"})
	})
	t.Run("webdav", func(t *testing.T) {
		h, tree := newHost(t), newTree(t)
		h.config(startApache(t, tree))
		test(t, storage{h, tree, "rclone://dav/", "rclone://davstranger/"})
	})
	t.Run("http", func(t *testing.T) {
		h, tree := newHost(t), newTree(t)
		h.config(startApache(t, tree))
		test(t, storage{h, tree, "rclone://web/", "rclone://webstranger/"})
	})
	t.Run("ftp", func(t *testing.T) {
		h, tree := newHost(t), newTree(t)
		h.config(startFTP(t, tree))
		test(t, storage{h, tree, "rclone://mirror/", "rclone://mirrorstranger/"})
	})
}

// url is that of a file of the tree.
func (s storage) url(path string) string {
	return s.top + (&url.URL{Path: path}).EscapedPath()
}

func (s storage) file(path string) string { return filepath.Join(s.tree, path) }

func (s storage) output() string { return filepath.Join(s.home, "output") }

func TestAFileOfSeveralMiBArrivesWhole(t *testing.T) {
	eachStorage(t, func(t *testing.T, s storage) {
		s.succeeds(s.url(large), "-O", s.output())
		sameFile(t, s.file(large), s.output())
	})
}

func TestAFileArrivesInPieces(t *testing.T) {
	eachStorage(t, func(t *testing.T, s storage) {
		s.succeeds("-n", "4", "--piece-length", "1M", s.url(large), "-O", s.output())
		sameFile(t, s.file(large), s.output())
	})
}

func TestAPartArrivesAlone(t *testing.T) {
	eachStorage(t, func(t *testing.T, s storage) {
		s.succeeds("--range", "3000000-3999999", s.url(large), "-O", s.output())
		content, err := os.ReadFile(s.file(large))
		if err != nil {
			t.Fatal(err)
		}
		wanted := writeFile(t, filepath.Join(s.home, "wanted"), string(content[3000000:4000000]), 0o600)
		sameFile(t, wanted, s.output())
	})
}

func TestADownloadGoesOnWhenThePluginIsKilled(t *testing.T) {
	eachStorage(t, func(t *testing.T, s storage) {
		// More than dfget may have taken, and has room for, in the second until the first progress.
		writeRandom(t, s.file("huge.bin"), 56<<20)
		killed := false
		events := s.events(func(dfget int, e event) {
			if e.name() == "progress" && !killed {
				killed = true
				s.killPlugin(dfget)
			}
		}, "--limit-rate", "20M", "-n", "1", s.url("huge.bin"), "-O", s.output())
		first(t, events, "plugin_restarted")
		// Not from 0: the validator held, and the storage serves parts.
		if again := first(t, events, "retried"); again["offset"] == 0.0 {
			t.Errorf("it began anew: %v", again)
		}
		sameFile(t, s.file("huge.bin"), s.output())
	})
}

func TestAnEmptyFileArrives(t *testing.T) {
	eachStorage(t, func(t *testing.T, s storage) {
		s.succeeds(s.url(empty), "-O", s.output())
		sameFile(t, s.file(empty), s.output())
	})
}

func TestOddNamesAreFound(t *testing.T) {
	eachStorage(t, func(t *testing.T, s storage) {
		for _, name := range []string{odd, unicode} {
			s.succeeds("--overwrite", s.url(name), "-O", s.output())
			sameFile(t, s.file(name), s.output())
		}
	})
}

func TestATreeArrivesAsItIs(t *testing.T) {
	eachStorage(t, func(t *testing.T, s storage) {
		s.succeeds("-r", s.top, "-O", s.output())
		if wanted, got := digests(t, s.tree), digests(t, s.output()); !maps.Equal(wanted, got) {
			t.Errorf("got %v, wanted %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(wanted)))
		}
	})
}

func TestAListingHasNamesAndLengths(t *testing.T) {
	eachStorage(t, func(t *testing.T, s storage) {
		lengths := map[string]any{}
		for _, e := range s.events(nil, "-l", s.top) {
			if e.name() == "entry" {
				lengths[e["path"].(string)] = e["length"]
			}
		}
		if lengths[empty] == nil && strings.HasPrefix(s.top, "rclone://web/") {
			lengths[empty] = 0.0 // Apache tells no length of an empty file when it is asked for the header alone.
		}
		wanted := map[string]any{large: 9449529.0, empty: 0.0, odd: 1000.0, "deep": nil, "ünïcödé": nil}
		if !maps.Equal(lengths, wanted) {
			t.Errorf("got %v, wanted %v", lengths, wanted)
		}
	})
}

func TestAListingAndADownloadAgreeOnTheVersion(t *testing.T) {
	eachStorage(t, func(t *testing.T, s storage) {
		s.succeeds("-R", s.url(large), "-O", s.output())
		// With the time that the download told, nothing is to be done by the listing.
		if err := os.MkdirAll(filepath.Join(s.home, "tree"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(s.output(), filepath.Join(s.home, "tree", large)); err != nil {
			t.Fatal(err)
		}
		events := s.events(nil, "-r", s.top, "--include", large, "-O", filepath.Join(s.home, "tree"))
		first(t, events, "up_to_date")
	})
}

func TestWhatDoesNotExistIsNotFound(t *testing.T) {
	eachStorage(t, func(t *testing.T, s storage) {
		s.fails(20, []string{"nothing here.bin"}, s.url("nothing here.bin"), "-O", s.output())
		s.fails(20, nil, s.url("nowhere/at/all"), "-O", s.output())
		s.fails(20, nil, "-l", s.url("nowhere"))
	})
}

func TestADirectoryIsNoResource(t *testing.T) {
	eachStorage(t, func(t *testing.T, s storage) {
		s.fails(24, []string{"is a directory"}, s.url("deep/"), "-O", s.output())
		if strings.HasPrefix(s.top, "rclone://web/") {
			return // Its server answers a page for the directory.
		}
		s.fails(24, []string{"is a directory"}, s.url("deep"), "-O", s.output())
	})
}

func TestAFileIsNoDirectory(t *testing.T) {
	eachStorage(t, func(t *testing.T, s storage) {
		s.fails(24, []string{"is a file"}, "-l", s.url(large))
	})
}

func TestWrongCredentialsAreTold(t *testing.T) {
	eachStorage(t, func(t *testing.T, s storage) {
		if s.stranger == "" {
			return
		}
		s.fails(21, nil, s.stranger+large, "-O", s.output())
		s.fails(21, nil, "-l", s.stranger)
	})
}
