package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "dfget/proto/go/resourcev1"
)

var handshake = plugin.HandshakeConfig{
	ProtocolVersion:  1,
	MagicCookieKey:   "DRAGONFLY_PLUGIN_MAGIC_COOKIE",
	MagicCookieValue: "d5d7b8f2c1e94a0f8e53a3b6f4907c2e9a61d08b7c35f24e1b90ad6c8f723e45",
}

const cookie = "DRAGONFLY_PLUGIN_MAGIC_COOKIE=d5d7b8f2c1e94a0f8e53a3b6f4907c2e9a61d08b7c35f24e1b90ad6c8f723e45"

// atOnce is how long a plugin has to end.
const atOnce = time.Second

func executable(t *testing.T) string {
	t.Helper()
	return filepath.Join(newHost(t).plugins, "d7y-resource-plugin-rclone")
}

// process is a plugin that a test has started by itself, as a host in some other language would.
type process struct {
	*exec.Cmd
	t      *testing.T
	stdin  io.Closer
	stdout *bufio.Reader
	stderr *strings.Builder
	line   string
	ended  chan error
}

// start starts the plugin and waits for its handshake line, or for its end without one.
func start(t *testing.T, environment ...string) *process {
	t.Helper()
	home := t.TempDir()
	command := exec.Command(executable(t))
	command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home}, environment...)
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout = writer
	p := &process{Cmd: command, t: t, stdin: stdin, stdout: bufio.NewReader(stdout), stderr: new(strings.Builder), ended: make(chan error, 1)}
	command.Stderr = p.stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	t.Cleanup(func() { _ = command.Process.Kill() })
	go func() { p.ended <- command.Wait() }()
	p.line, _ = p.stdout.ReadString('\n')
	return p
}

// started is a plugin that has come up in a directory of its own.
func started(t *testing.T, environment ...string) *process {
	t.Helper()
	dir := sharedDir(t)
	p := start(t, append(environment, cookie, "PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_UNIX_SOCKET_DIR="+dir)...)
	if !strings.HasPrefix(p.line, "1|1|unix|"+dir+"/plugin") || !strings.HasSuffix(p.line, "|grpc|\n") {
		t.Fatalf("handshake line %q", p.line)
	}
	return p
}

// serves wants the plugin to answer Init.
func (p *process) serves() {
	p.t.Helper()
	connection, err := grpc.NewClient("unix:"+strings.Split(p.line, "|")[3],
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("localhost"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	if _, err := pb.NewResourceClientClient(connection).Init(context.Background(), &pb.InitRequest{Scheme: "rclone"}); err != nil {
		p.t.Fatal(err)
	}
}

// ends wants the plugin to end at once, and to have said nothing more on stdout.
func (p *process) ends() {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(atOnce):
		p.t.Fatal("the plugin is still there")
	}
	if rest, _ := io.ReadAll(p.stdout); len(rest) > 0 {
		p.t.Errorf("on stdout: %q", rest)
	}
}

func TestThePluginEndsWithItsLifeLine(t *testing.T) {
	p := started(t, "DRAGONFLY_PLUGIN_LIFE_LINE=stdin")
	p.serves()
	_ = p.stdin.Close()
	p.ends()
}

func TestStdinTellsNothingWithoutTheVariable(t *testing.T) {
	p := started(t)
	_ = p.stdin.Close()
	p.serves()
	_ = p.Process.Signal(syscall.SIGTERM)
	p.ends()
}

func TestThePluginIgnoresSIGINT(t *testing.T) {
	p := started(t)
	_ = p.Process.Signal(syscall.SIGINT)
	p.serves()
	_ = p.Process.Signal(syscall.SIGTERM)
	p.ends()
}

func TestTheSocketGoesWithThePlugin(t *testing.T) {
	p := started(t)
	_ = p.Process.Signal(syscall.SIGTERM)
	p.ends()
	if _, err := os.Lstat(strings.Split(p.line, "|")[3]); err == nil {
		t.Error("the socket is still there")
	}
}

func TestTheLogIsJSONThatAGoHostSurvives(t *testing.T) {
	p := started(t)
	p.serves()
	_ = p.Process.Signal(syscall.SIGTERM)
	p.ends()
	lines := strings.Split(strings.TrimSpace(p.stderr.String()), "\n")
	for _, line := range lines {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for _, key := range []string{"@level", "@message", "@timestamp"} {
			if _, ok := event[key].(string); !ok {
				t.Errorf("%s is no string in %s", key, line)
			}
		}
	}
}

// exitsInsteadOfStarting wants a status other than 0, no handshake line, and the reason on stderr.
func exitsInsteadOfStarting(t *testing.T, reason string, environment ...string) {
	t.Helper()
	p := start(t, environment...)
	p.ends()
	if p.ProcessState.ExitCode() != 1 || p.line != "" {
		t.Errorf("exit %d, stdout %q", p.ProcessState.ExitCode(), p.line)
	}
	if !strings.Contains(p.stderr.String(), reason) {
		t.Errorf("stderr does not say %q: %s", reason, p.stderr)
	}
}

func TestByHandThePluginSaysWhatItIs(t *testing.T) {
	exitsInsteadOfStarting(t, "This binary is a plugin")
}

func TestAPluginThatCannotListenSaysSo(t *testing.T) {
	exitsInsteadOfStarting(t, "/nowhere", cookie, "PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_UNIX_SOCKET_DIR=/nowhere")
}

func TestACertificateThatIsNoneIsRefused(t *testing.T) {
	exitsInsteadOfStarting(t, "PLUGIN_CLIENT_CERT", cookie, "PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_CLIENT_CERT=none")
}

// goHost is what a host made with go-plugin has for this plugin.
type goHost struct {
	plugin.NetRPCUnsupportedPlugin
}

func (goHost) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (goHost) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, connection *grpc.ClientConn) (any, error) {
	return pb.NewResourceClientClient(connection), nil
}

func TestAGoPluginHostCanUseIt(t *testing.T) {
	for name, mtls := range map[string]bool{"plain": false, "AutoMTLS": true} {
		t.Run(name, func(t *testing.T) {
			tree := newTree(t)
			host := plugin.NewClient(&plugin.ClientConfig{
				HandshakeConfig:  handshake,
				Plugins:          plugin.PluginSet{"resource": goHost{}},
				Cmd:              exec.Command(executable(t)),
				AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
				AutoMTLS:         mtls,
				Logger:           hclog.NewNullLogger(),
			})
			defer host.Kill()
			resource := dispense(t, host)
			ctx := context.Background()
			options := map[string]string{"remote.type": "alias", "remote.remote": tree}
			if _, err := resource.Init(ctx, &pb.InitRequest{Scheme: "rclone", Options: options}); err != nil {
				t.Fatal(err)
			}
			answer, err := resource.GetContentLength(ctx, &pb.GetContentLengthRequest{Resource: &pb.Resource{Url: "rclone://any/" + large}})
			if err != nil || answer.GetContentLength() != 9449529 {
				t.Errorf("%v, %v", answer, err)
			}
			host.Kill()
			if !host.Exited() {
				t.Error("the plugin is still there")
			}
		})
	}
}

func dispense(t *testing.T, host *plugin.Client) pb.ResourceClientClient {
	t.Helper()
	client, err := host.Client()
	if err != nil {
		t.Fatal(err)
	}
	resource, err := client.Dispense("resource")
	if err != nil {
		t.Fatal(err)
	}
	return resource.(pb.ResourceClientClient)
}
