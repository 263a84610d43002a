package e2e

import (
	"path/filepath"
	"testing"
)

func TestThePluginKeepsTheRulesOfTheProtocolWithEveryStorage(t *testing.T) {
	eachStorage(t, func(t *testing.T, s storage) {
		done := s.run("plugin", "validate", filepath.Join(s.plugins, "d7y-resource-plugin-rclone"), s.url(large),
			"--missing", s.url("nothing here.bin"), "--empty", s.url(empty), "--directory", s.top,
			"--strict", "--patience", "5")
		if done.exit != 0 {
			t.Errorf("exit %d\n%s%s", done.exit, done.stdout, done.stderr)
		}
	})
}
