"""What the plugin of each language reads the same two files from, and the words by which dfget is told so.

Each is a `with` block that yields functions, by what serves: the name of a file → the arguments of dfget. `plugin` is the
plugin; where dfget itself can read from the same storage, there is another. What a machine lacks is a Lacking."""

import base64
import contextlib
import hashlib
import json
import shutil
import signal
import subprocess
import tarfile
import time

from ground import HERE
from nginx import Nginx, find as find_nginx

EXAMPLES = HERE.parent / "examples"
START_LIMIT = 300  # seconds for HDFS to be there
BLOCK = 4 << 20


class Lacking(Exception):
    """This machine has not what a plugin needs."""


def need(program):
    found = shutil.which(program)
    if not found:
        raise Lacking(f"{program} not found")
    return found


def dist(name, executable):
    """Where the example's own Makefile leaves its plugin."""
    plugin = EXAMPLES / name / "dist" / executable
    if not plugin.exists():
        raise Lacking(f"examples/{name}/dist/{executable} is not there: `make -C examples/{name} build`")
    return plugin.parent


@contextlib.contextmanager
def share(served, scratch):
    """Rust: the file itself."""
    yield {"plugin": lambda name: [f"share:///{name}", "--opt", f"root={served}"]}


@contextlib.contextmanager
def rclone(served, scratch):
    """Go: the file itself, by rclone's local backend."""
    config = scratch / "rclone.conf"
    config.write_text("[here]\ntype = local\n")
    config.chmod(0o600)
    yield {"plugin": lambda name: [f"rclone://here/{served / name}", "--opt", f"config={config}"]}


@contextlib.contextmanager
def tar(served, scratch):
    """Python: the only member of an archive that is not compressed, by fsspec's TarFileSystem."""
    for file in list(served.iterdir()):
        with tarfile.open(scratch / f"{file.name}.tar", "w") as archive:
            archive.add(file, arcname=file.name)
    yield {"plugin": lambda name: [f"tar://{scratch / name}.tar!/{name}"]}


@contextlib.contextmanager
def npm(served, scratch):
    """Node: a tarball of a registry, which is an nginx that serves its documents and the files."""
    need("node")
    program = find_nginx()
    if not program:
        raise Lacking("nginx not found")
    root = scratch / "registry"
    root.mkdir()
    with Nginx(program, root, scratch / "nginx") as server:
        for file in served.iterdir():
            (root / f"{file.name}.tgz").symlink_to(file)
            (root / f"bench-{file.name}").write_text(packument(file, server.url(f"{file.name}.tgz")))
        yield {
            "plugin": lambda name: [f"npm://127.0.0.1:{server.port}/bench-{name}@1.0.0"],
            "dfget's http": lambda name: [server.url(f"{name}.tgz")],
        }


def packument(file, url):
    """What a registry says of a package with one version, for which nobody looks into the tarball."""
    name, whole = f"bench-{file.name}", hashlib.sha512()
    with open(file, "rb") as content:
        while piece := content.read(BLOCK):
            whole.update(piece)
    integrity = "sha512-" + base64.b64encode(whole.digest()).decode()
    version = {"name": name, "version": "1.0.0", "dist": {"tarball": url, "integrity": integrity}}
    return json.dumps({"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}})


@contextlib.contextmanager
def hdfs(served, scratch):
    """Java: a file of a real HDFS, of one namenode and one datanode in another process."""
    java = need("java")
    classpath = test_classpath(scratch)
    with cluster(java, classpath, scratch / "hdfs") as port:
        uri = f"hdfs://localhost:{port}"
        for file in served.iterdir():
            put(java, classpath, file, f"{uri}/{file.name}")
        # Else dfget would read HDFS by itself.
        plugin = EXAMPLES / "hdfs" / "dist" / LANGUAGES["hdfs"][1]
        yield {"plugin": lambda name: ["--plugin", f"hdfs={plugin}", f"{uri}/{name}"]}


def put(java, classpath, file, url):
    argv = [java, "-cp", classpath, "org.apache.hadoop.fs.FsShell", "-put", str(file), url]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise Lacking(f"HDFS does not take {file.name}: {done.stderr.strip()[:500]}")


def test_classpath(scratch):
    """Hadoop's own cluster for tests is a dependency of the example's tests; nothing is fetched here."""
    project, file = EXAMPLES / "hdfs" / "pom.xml", scratch / "classpath"
    goal = ["dependency:build-classpath", "-Dmdep.includeScope=test", f"-Dmdep.outputFile={file}"]
    done = subprocess.run([need("mvn"), "-q", "-o", "-f", str(project), *goal], capture_output=True, text=True)
    if done.returncode != 0 or not file.exists():
        raise Lacking("the HDFS of its tests is not there: `make -C examples/hdfs test` fetches it")
    # Without a configuration of its own Hadoop's shell does not run.
    conf = scratch / "conf"
    conf.mkdir()
    for name in ("core-site.xml", "hdfs-site.xml"):
        (conf / name).write_text("<configuration/>\n")
    return f"{conf}:{file.read_text().strip()}"


@contextlib.contextmanager
def cluster(java, classpath, home):
    home.mkdir()
    details = home / "details"
    argv = [java, "-Djava.net.preferIPv4Stack=true", "-cp", classpath, "org.apache.hadoop.test.MiniDFSClusterManager"]
    argv += ["-datanodes", "1", "-format", "-writeDetails", str(details), "-D", "dfs.replication=1"]
    with open(home / "log", "wb") as log:
        process = subprocess.Popen(argv, cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield namenode(process, details, home / "log")
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def namenode(process, details, log):
    """The port, once the cluster serves."""
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            return json.loads(details.read_text())["namenode_port"]
        time.sleep(0.1)
    raise Lacking(f"HDFS does not start: {log.read_text(errors='replace').strip()[-300:]}")


# By the name of the example: its language, the executable that serves the scheme, what it reads.
LANGUAGES = {
    "rclone": ("Go", "d7y-resource-plugin-rclone", rclone, "a local file"),
    "fsspec": ("Python", "d7y-resource-plugin-tar", tar, "a member of a local tar file"),
    "npm": ("Node", "d7y-resource-plugin-npm", npm, "from nginx by HTTP"),
    "hdfs": ("Java", "d7y-resource-plugin-hdfs", hdfs, "from an HDFS with one datanode"),
}
