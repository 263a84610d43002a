package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"dfget/interop/source"
	contract "dfget/proto/go/resourcev1"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// A plugin has a second after Shutdown; go-plugin kills it after two.
const inTime = 1500 * time.Millisecond

// Settings are the command line.
type Settings struct {
	mtls, multiplex                       bool
	group, versions, scheme, option, path string
}

// Session is a plugin that runs.
type Session struct {
	Settings
	client   *plugin.Client
	protocol plugin.ClientProtocol
	resource contract.ResourceClientClient
	printed  synced
	pid      int
	log      io.Writer

	lock    sync.Mutex
	address net.Addr
	conns   []net.Conn
}

// NewSession starts nothing yet.
func NewSession(settings Settings, log io.Writer) *Session {
	session := &Session{Settings: settings, log: log}
	config := session.config(log)
	config.Cmd = exec.Command(settings.path)
	session.client = plugin.NewClient(config)
	return session
}

// config is what every Go host writes, but for the dialer, which notes the connections so that a step can break them.
func (s *Session) config(log io.Writer) *plugin.ClientConfig {
	versions := map[int]plugin.PluginSet{}
	for _, text := range strings.Split(s.versions, ",") {
		version, err := strconv.Atoi(text)
		if err != nil {
			panic(err)
		}
		versions[version] = plugin.PluginSet{source.Name: &source.Plugin{}}
	}
	return &plugin.ClientConfig{
		HandshakeConfig:     plugin.HandshakeConfig{MagicCookieKey: source.Handshake.MagicCookieKey, MagicCookieValue: source.Handshake.MagicCookieValue},
		VersionedPlugins:    versions,
		AllowedProtocols:    []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:            s.mtls,
		GRPCBrokerMultiplex: s.multiplex,
		UnixSocketConfig:    &plugin.UnixSocketConfig{Group: s.group},
		SyncStdout:          &s.printed,
		Logger:              hclog.New(&hclog.LoggerOptions{Name: "host", Level: hclog.Trace, Output: log, DisableTime: true}),
		GRPCDialOptions:     []grpc.DialOption{grpc.WithContextDialer(s.dial)},
	}
}

func (s *Session) dial(context.Context, string) (net.Conn, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	conn, err := net.Dial(s.address.Network(), s.address.String())
	if err == nil {
		s.conns = append(s.conns, conn)
	}
	return conn, err
}

// Start brings the plugin up to its first call.
func (s *Session) Start() error {
	address, err := s.client.Start()
	if err != nil {
		return err
	}
	s.address = address
	s.pid, _ = strconv.Atoi(s.client.ID())
	return s.connect()
}

func (s *Session) connect() error {
	protocol, err := s.client.Client()
	if err != nil {
		return err
	}
	raw, err := protocol.Dispense(source.Name)
	if err != nil {
		return err
	}
	s.protocol, s.resource = protocol, raw.(contract.ResourceClientClient)
	return nil
}

// Kill ends the plugin, and tells how it went.
func (s *Session) Kill(log *bytes.Buffer) string {
	begun := time.Now()
	s.client.Kill()
	took := time.Since(begun)
	how, when, socket := "gracefully", "in time", "unknown"
	if strings.Contains(log.String(), "failed to exit gracefully") {
		how = "by SIGKILL"
	}
	if took > inTime {
		when = "in " + took.String()
	}
	if s.address != nil {
		socket = "gone"
		if _, err := os.Stat(s.address.String()); err == nil {
			socket = "left"
		}
	}
	return fmt.Sprintf("kill: %s, %s, exited=%v, socket %s", how, when, s.client.Exited(), socket)
}

// synced is a buffer for several goroutines.
type synced struct {
	lock sync.Mutex
	text bytes.Buffer
}

func (s *synced) Write(bytes []byte) (int, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.text.Write(bytes)
}

func (s *synced) String() string {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.text.String()
}
