package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// The files that every storage serves, by their paths.
const (
	large   = "large.bin"
	empty   = "empty"
	odd     = "with space & 100%25 #1;+.txt"
	unicode = "ünïcödé/日本 語.txt"
)

// newTree makes the files of a storage, of random bytes, in a directory that other users may read.
func newTree(t *testing.T) string {
	t.Helper()
	root := sharedDir(t)
	for path, length := range map[string]int{
		large: 9<<20 + 12345, empty: 0, odd: 1000, unicode: 2000, "deep/er/est/file": 3000, "deep/other": 70000,
	} {
		writeRandom(t, filepath.Join(root, path), length)
	}
	return root
}

func writeRandom(t *testing.T, path string, length int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	content := make([]byte, length)
	_, _ = rand.Read(content)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// sharedDir is a temporary directory for servers that give up root's rights: T.TempDir is closed to others.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rclone-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func digest(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// sameFile wants two files of the same bytes.
func sameFile(t *testing.T, wanted, got string) {
	t.Helper()
	if digest(t, wanted) != digest(t, got) {
		t.Errorf("%s differs from %s", got, wanted)
	}
}

// digests are those of all files beneath a directory, by their paths.
func digests(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			relative, _ := filepath.Rel(root, path)
			found[relative] = digest(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
