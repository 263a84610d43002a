package e2e

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rclone/rclone/fs/config/obscure"
)

// program finds a server, or skips the test. Where the gate says so, a missing one is a failure.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/usr/local/sbin"} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	missing(t, fmt.Sprintf("%s: there is no program %s", t.Name(), name))
	return ""
}

func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("DFGET_TEST_REQUIRE") == "1" {
		t.Fatal(why)
	}
	fmt.Println("skipped: " + why)
	t.Skip(why)
}

func writeFile(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// perConnection serves each connection by a process of its own that has it for stdin and stdout, as inetd does. So the
// port is one that is certainly free.
func perConnection(t *testing.T, command func() *exec.Cmd) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go serveConnection(t, connection.(*net.TCPConn), command())
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

func serveConnection(t *testing.T, connection *net.TCPConn, server *exec.Cmd) {
	file, err := connection.File()
	_ = connection.Close()
	if err != nil {
		return
	}
	server.Stdin, server.Stdout = file, file
	if err := server.Start(); err != nil {
		panic(err)
	}
	_ = file.Close()
	// It ends with its connection, which ends with the plugin. To kill it would leave its own children behind.
	t.Cleanup(func() {
		late := time.AfterFunc(5*time.Second, func() { _ = server.Process.Kill() })
		defer late.Stop()
		_ = server.Wait()
	})
}

// startSSH runs OpenSSH with keys of its own, and answers two remotes: box, and stranger, whose key it does not know.
func startSSH(t *testing.T) string {
	t.Helper()
	sshd, keygen := program(t, "sshd"), program(t, "ssh-keygen")
	if os.Getuid() == 0 {
		// Its packages make it at boot. sshd wants it for the process that gives up root's rights.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	keys := map[string]string{}
	for _, name := range []string{"host", "user", "stranger"} {
		keys[name] = filepath.Join(dir, name)
		if text, err := exec.Command(keygen, "-q", "-t", "ed25519", "-N", "", "-f", keys[name]).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	config := writeFile(t, filepath.Join(dir, "sshd_config"), fmt.Sprintf(`
HostKey %s
AuthorizedKeysFile %s.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PermitUserEnvironment no
MaxStartups 100
LogLevel QUIET
Subsystem sftp internal-sftp
`, keys["host"], keys["user"]), 0o600)
	port := perConnection(t, func() *exec.Cmd { return exec.Command(sshd, "-i", "-f", config) })
	public, err := os.ReadFile(keys["host"] + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	known := writeFile(t, filepath.Join(dir, "known_hosts"), fmt.Sprintf("[127.0.0.1]:%s %s", port, public), 0o600)
	who, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	section := "[%s]\ntype = sftp\nhost = 127.0.0.1\nport = " + port + "\nuser = " + who.Username +
		"\nknown_hosts_file = " + known + "\nkey_file = %s\n"
	return fmt.Sprintf(section, "box", keys["user"]) + fmt.Sprintf(section, "stranger", keys["stranger"])
}

// startApache runs Apache with WebDAV and basic authentication for a directory, and the same as plain pages, and
// answers the remotes dav, davstranger with a wrong password, web and webstranger.
func startApache(t *testing.T, root string) string {
	t.Helper()
	apache := program(t, "apache2")
	const attempts = 5
	for range attempts {
		if port := tryApache(t, apache, root); port != "" {
			return apacheRemotes(t, port)
		}
	}
	t.Fatalf("apache2 found no port in %d attempts", attempts)
	return ""
}

func apacheRemotes(t *testing.T, port string) string {
	t.Helper()
	dav := "[%s]\ntype = webdav\nurl = http://127.0.0.1:" + port + "/dav\nvendor = other\nuser = ada\npass = %s\n"
	web := "[%s]\ntype = http\nurl = http://ada:%s@127.0.0.1:" + port + "/web\n"
	return fmt.Sprintf(dav, "dav", obscure.MustObscure("love'lace")) +
		fmt.Sprintf(dav, "davstranger", obscure.MustObscure("byron")) +
		fmt.Sprintf(web, "web", "love%27lace") + fmt.Sprintf(web, "webstranger", "byron")
}

// tryApache answers the port, or nothing if somebody else took it meanwhile: Apache cannot choose one itself.
func tryApache(t *testing.T, apache, root string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	_ = listener.Close()
	dir := sharedDir(t)
	sum := sha1.Sum([]byte("love'lace"))
	writeFile(t, filepath.Join(dir, "users"), "ada:{SHA}"+base64.StdEncoding.EncodeToString(sum[:])+"\n", 0o644)
	var modules strings.Builder
	for _, name := range []string{"mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic",
		"alias", "autoindex", "mime", "dav", "dav_fs"} {
		fmt.Fprintf(&modules, "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", name, name)
	}
	config := writeFile(t, filepath.Join(dir, "apache.conf"), fmt.Sprintf(`%[1]s
ServerName localhost
ServerRoot %[2]s
DefaultRuntimeDir %[2]s
PidFile %[2]s/pid
Mutex sem
Listen 127.0.0.1:%[3]s
User www-data
Group www-data
ErrorLog /dev/stderr
TypesConfig /dev/null
DavLockDB %[2]s/locks
Alias /dav %[4]s
Alias /web %[4]s
<Location />
  AuthType Basic
  AuthName test
  AuthUserFile %[2]s/users
  Require valid-user
</Location>
<Location /dav>
  Dav On
</Location>
<Location /web>
  Options +Indexes
  IndexOptions FancyIndexing NameWidth=* Charset=UTF-8
</Location>
`, modules.String(), dir, port, root), 0o644)
	server := exec.Command(apache, "-f", config, "-D", "FOREGROUND")
	messages, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Signal(os.Interrupt); _ = server.Wait() })
	lines := bufio.NewScanner(messages)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "resuming normal operations") {
			go func() {
				for lines.Scan() { // Apache must not wait for a reader.
				}
			}()
			return port
		}
		t.Log(lines.Text())
	}
	return ""
}

// startFTP runs vsftpd for a directory, and answers the remotes mirror and mirrorstranger.
func startFTP(t *testing.T, root string) string {
	t.Helper()
	if os.Getuid() != 0 {
		missing(t, t.Name()+": vsftpd has to be started by root")
	}
	vsftpd := program(t, "vsftpd")
	dir := t.TempDir()
	jail := filepath.Join(sharedDir(t), "empty")
	if err := os.Mkdir(jail, 0o755); err != nil {
		t.Fatal(err)
	}
	config := writeFile(t, filepath.Join(dir, "vsftpd.conf"), fmt.Sprintf(`listen=NO
listen_ipv6=NO
anonymous_enable=YES
no_anon_password=YES
local_enable=NO
anon_root=%s
secure_chroot_dir=%s
hide_ids=YES
utf8_filesystem=YES
`, root, jail), 0o600)
	port := perConnection(t, func() *exec.Cmd { return exec.Command(vsftpd, config) })
	section := "[%s]\ntype = ftp\nhost = 127.0.0.1\nport = " + port + "\nuser = %s\npass = " + obscure.MustObscure("x") + "\n"
	return fmt.Sprintf(section, "mirror", "anonymous") + fmt.Sprintf(section, "mirrorstranger", "ada")
}
