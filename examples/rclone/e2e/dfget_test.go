package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// host is dfget as one test uses it: with a home directory of its own, and the plugin of ../dist.
type host struct {
	t       *testing.T
	dfget   string
	plugins string
	home    string
}

func newHost(t *testing.T) *host {
	t.Helper()
	plugins, err := filepath.Abs("../dist")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(plugins, "d7y-resource-plugin-rclone")); err != nil {
		t.Fatalf("%v; `make build` makes it", err)
	}
	return &host{t: t, dfget: findDfget(t), plugins: plugins, home: t.TempDir()}
}

func findDfget(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("DFGET"); path != "" {
		return path
	}
	for _, build := range []string{"release", "debug"} {
		path := filepath.Join("../../../target", build, "dfget")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Fatal("no dfget: build it with `cargo build --release` in the repository, or name it in the variable DFGET")
	return ""
}

// config writes the user's rclone configuration.
func (h *host) config(text string) string {
	h.t.Helper()
	path := filepath.Join(h.home, ".config/rclone/rclone.conf")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return path
}

func (h *host) command(args ...string) *exec.Cmd {
	common := []string{"--config=", "--no-progress", "--plugin-dir", h.plugins, "--trust-plugin-dir", h.plugins}
	command := exec.Command(h.dfget, append(common, args...)...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + h.home, "LANG=C.UTF-8"}
	command.Dir = h.home
	return command
}

// outcome is what one run of dfget left.
type outcome struct {
	exit           int
	stdout, stderr string
}

// run runs dfget to its end, and finds out that no plugin outlives it.
func (h *host) run(args ...string) outcome {
	h.t.Helper()
	command := h.command(args...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	h.nothingLeft()
	return outcome{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// succeeds runs dfget and wants exit 0.
func (h *host) succeeds(args ...string) outcome {
	h.t.Helper()
	done := h.run(args...)
	if done.exit != 0 {
		h.t.Fatalf("dfget %q: exit %d\n%s", args, done.exit, done.stderr)
	}
	return done
}

// fails runs dfget and wants this exit status, with these words in the message.
func (h *host) fails(exit int, words []string, args ...string) {
	h.t.Helper()
	done := h.run(args...)
	if done.exit != exit {
		h.t.Fatalf("dfget %q: exit %d, wanted %d\n%s", args, done.exit, exit, done.stderr)
	}
	for _, word := range words {
		if !strings.Contains(done.stderr, word) {
			h.t.Errorf("dfget %q does not say %q:\n%s", args, word, done.stderr)
		}
	}
}

// nothingLeft wants no plugin of this test's home to be there a second after dfget's end.
func (h *host) nothingLeft() {
	h.t.Helper()
	deadline := time.Now().Add(time.Second)
	for len(h.pluginPids(0)) > 0 {
		if time.Now().After(deadline) {
			h.t.Fatalf("plugins outlived dfget: %v", h.pluginPids(0))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// pluginPids are the processes of this test that run the plugin; of one parent, unless that is 0.
func (h *host) pluginPids(parent int) []int {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	var found []int
	for _, process := range processes {
		executable, _ := os.Readlink(filepath.Join(process, "exe"))
		environment, _ := os.ReadFile(filepath.Join(process, "environ"))
		if !strings.HasPrefix(executable, h.plugins) || !bytes.Contains(environment, []byte("HOME="+h.home+"\x00")) {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(process))
		if parent == 0 || parentOf(process) == parent {
			found = append(found, pid)
		}
	}
	return found
}

func parentOf(process string) int {
	status, _ := os.ReadFile(filepath.Join(process, "status"))
	_, rest, _ := strings.Cut(string(status), "PPid:")
	line, _, _ := strings.Cut(rest, "\n")
	pid, _ := strconv.Atoi(strings.TrimSpace(line))
	return pid
}

// event is a line of --json.
type event map[string]any

func (e event) name() string {
	name, _ := e["event"].(string)
	return name
}

// events runs dfget with --json. Each event is shown to look while dfget runs.
func (h *host) events(look func(dfget int, e event), args ...string) []event {
	h.t.Helper()
	command := h.command(append([]string{"--json"}, args...)...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		h.t.Fatal(err)
	}
	var events []event
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var next event
		if err := json.Unmarshal(lines.Bytes(), &next); err != nil {
			h.t.Fatalf("%v: %s", err, lines.Bytes())
		}
		events = append(events, next)
		if look != nil {
			look(command.Process.Pid, next)
		}
	}
	if err := command.Wait(); err != nil {
		h.t.Fatalf("%v\n%s", err, stderr.String())
	}
	h.nothingLeft()
	return events
}

// first is the first event of a name.
func first(t *testing.T, events []event, name string) event {
	t.Helper()
	for _, e := range events {
		if e.name() == name {
			return e
		}
	}
	t.Fatalf("no event %q in %v", name, events)
	return nil
}

// killPlugin kills the plugin that dfget has started.
func (h *host) killPlugin(dfget int) {
	h.t.Helper()
	pids := h.pluginPids(dfget)
	if len(pids) != 1 {
		h.t.Fatalf("dfget %d has the plugins %v, wanted one", dfget, pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		h.t.Fatal(err)
	}
}
