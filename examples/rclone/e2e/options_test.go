package e2e

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/config"
	"github.com/rclone/rclone/fs/config/obscure"
)

func TestAMisspeltOptionIsNamed(t *testing.T) {
	newHost(t).fails(24, []string{`"cnofig"`}, "rclone://box/a", "--opt", "cnofig=/x")
}

func TestAParameterThatTheTypeDoesNotHaveIsNamed(t *testing.T) {
	newHost(t).fails(24, []string{"remote.prot", "sftp"},
		"rclone://box/a", "--opt", "remote.type=sftp", "--opt", "remote.prot=2222")
}

func TestAnUnknownRemoteIsNamedWithTheConfigurationFile(t *testing.T) {
	h := newHost(t)
	h.fails(24, []string{`"box"`, h.config("")}, "rclone://box/a")
}

func TestAConfigurationFileThatDoesNotExistIsNamed(t *testing.T) {
	newHost(t).fails(24, []string{"/nowhere/rclone.conf"}, "rclone://box/a", "--opt", "config=/nowhere/rclone.conf")
}

func TestAnotherConfigurationFileIsUsed(t *testing.T) {
	h, tree := newHost(t), newTree(t)
	path := writeFile(t, filepath.Join(h.home, "other.conf"), "[tree]\ntype = alias\nremote = "+tree+"\n", 0o600)
	h.succeeds("rclone://tree/"+large, "--opt", "config="+path, "-O", "output")
	sameFile(t, filepath.Join(tree, large), filepath.Join(h.home, "output"))
	h.succeeds("--overwrite", "rclone://tree/"+large, "--opt", "config=~/other.conf", "-O", "output")
	h.fails(24, []string{"other.conf", "relative"}, "rclone://tree/x", "--opt", "config=other.conf")
}

func TestARemoteNeedsNoConfigurationFile(t *testing.T) {
	h, tree := newHost(t), newTree(t)
	h.succeeds("rclone://any/"+large, "--opt", "remote.type=alias", "--opt", "remote.remote="+tree, "-O", "output")
	sameFile(t, filepath.Join(tree, large), filepath.Join(h.home, "output"))
}

func TestAParameterOverridesTheConfigurationFile(t *testing.T) {
	h, tree := newHost(t), newTree(t)
	h.config(startApache(t, tree))
	right := "remote.pass=" + obscure.MustObscure("love'lace")
	h.succeeds("rclone://davstranger/"+large, "--opt", right, "-O", "output")
	sameFile(t, filepath.Join(tree, large), filepath.Join(h.home, "output"))
	h.fails(24, []string{"remote.pass", "rclone obscure"}, "rclone://dav/"+large, "--opt", "remote.pass=in clear!")
}

func TestAnEncryptedConfigurationNeedsItsPassword(t *testing.T) {
	h, tree := newHost(t), newTree(t)
	path := h.config(encrypted(t, "[tree]\ntype = alias\nremote = "+tree+"\n", "moria"))
	h.fails(21, []string{path, "config-password"}, "rclone://tree/"+large, "-O", "output")
	h.fails(21, []string{path, "config-password"}, "rclone://tree/"+large, "-O", "output", "--opt", "config-password=mordor")
	h.succeeds("rclone://tree/"+large, "-O", "output", "--opt", "config-password=moria")
	sameFile(t, filepath.Join(tree, large), filepath.Join(h.home, "output"))
}

func encrypted(t *testing.T, text, password string) string {
	t.Helper()
	fs.GetConfig(context.Background()).AskPassword = false
	if err := config.SetConfigPassword(password); err != nil {
		t.Fatal(err)
	}
	defer config.ClearConfigPassword()
	var out bytes.Buffer
	if err := config.Encrypt(strings.NewReader(text), &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestAServerWithAnotherHostKeyIsNotTrusted(t *testing.T) {
	h, tree := newHost(t), newTree(t)
	text := startSSH(t)
	known := writeFile(t, filepath.Join(h.home, "known_hosts"), "", 0o600)
	h.config(text)
	h.fails(21, []string{"key"}, "rclone://box/"+tree+"/"+large, "--opt", "remote.known_hosts_file="+known, "-O", "output")
}

func TestAnUnreachableServerIsUnavailable(t *testing.T) {
	h := newHost(t)
	h.config("[box]\ntype = sftp\nhost = 127.0.0.1\nport = 1\nuser = ada\npass = " + obscure.MustObscure("x") + "\n")
	h.fails(22, []string{"refused"}, "--tries", "1", "rclone://box/a", "-O", "output")
}

func TestAWrongDigestIsFound(t *testing.T) {
	h, tree := newHost(t), newTree(t)
	h.config("[tree]\ntype = alias\nremote = " + tree + "\n")
	h.fails(30, nil, "--digest", "sha256:"+strings.Repeat("0", 64), "rclone://tree/"+large, "-O", "output")
	h.succeeds("--digest", "sha256:"+digest(t, filepath.Join(tree, large)), "rclone://tree/"+large, "-O", "output")
}

func TestTheUsersConfigurationIsNotWritten(t *testing.T) {
	h, tree := newHost(t), newTree(t)
	// Of a remote without shell_type rclone would save what it found out.
	path := h.config(startSSH(t))
	before := digest(t, path)
	h.succeeds("--sandbox", "off", "rclone://box/"+tree+"/"+large, "-O", "output")
	if digest(t, path) != before {
		t.Error("the configuration file was written")
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("something was left beside the configuration file: %v", entries)
	}
}

func TestNoConfigurationDirectoryIsMade(t *testing.T) {
	h, tree := newHost(t), newTree(t)
	h.succeeds("--sandbox", "off", "rclone://any/"+large, "--opt", "remote.type=alias", "--opt", "remote.remote="+tree,
		"-O", "output")
	if _, err := os.Stat(filepath.Join(h.home, ".config")); err == nil {
		t.Error("the plugin made .config in the user's home")
	}
}

func TestThePluginSpeaksTLSWhereItIsAsked(t *testing.T) {
	h, tree := newHost(t), newTree(t)
	h.config("[tree]\ntype = alias\nremote = " + tree + "\n")
	h.succeeds("--plugin-mtls", "rclone://tree/"+large, "-O", "output")
	sameFile(t, filepath.Join(tree, large), filepath.Join(h.home, "output"))
}

func TestThePluginDescribesItself(t *testing.T) {
	done := newHost(t).succeeds("plugin", "info", "rclone")
	for _, word := range []string{"scheme: rclone", "rclone: 1.", "sftp", "webdav", "buildCommit", "buildTime"} {
		if !strings.Contains(done.stdout, word) {
			t.Errorf("no %q in\n%s", word, done.stdout)
		}
	}
}

func TestSecretsAreNotTold(t *testing.T) {
	h := newHost(t)
	secret := obscure.MustObscure("love'lace")
	for _, args := range [][]string{
		{"rclone://box/a", "--opt", "remote.type=nix", "--opt", "remote.pass=" + secret},
		{"rclone://box/a", "--opt", "remote.type=sftp", "--opt", "remote.host=127.0.0.1", "--opt", "remote.port=1", "--opt", "remote.pass=" + secret},
		{"rclone://ada:" + secret + "@box/a"},
		{"rclone://box/a", "--opt", "remote.type=webdav", "--opt", "remote.url=http://ada:" + secret + "@127.0.0.1:1/", "--opt", "remote.pass=" + secret},
	} {
		done := h.run(append(args, "-vv", "--tries", "1", "-O", "output")...)
		if done.exit == 0 || strings.Contains(done.stderr+done.stdout, secret) {
			t.Errorf("exit %d: %s", done.exit, done.stderr)
		}
	}
}
