"""A real HDFS of Hadoop's own, spoken to over its WebHDFS.

Files get there by WebHDFS, as its documentation shows it with curl.
"""

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import process

# Whoever starts it is its superuser.
OWNER = "root"


class WebHdfs:
    def __init__(self, home, programs):
        self.port = process.free_port()
        source = Path(__file__).parent / "hdfs/Cluster.java"
        memory = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command = ["java", *memory, "-cp", f"{programs}/hdfs/*", str(source), str(home / "data"), str(self.port)]
        who = process.environment(HADOOP_USER_NAME=OWNER)
        self.process = process.start(command, self.port, home / "log", env=who, cwd=home)
        # The namenode answers before there is a datanode.
        process.wait_until((home / "data/ready").stat)

    def facts(self, endpoint):
        base = endpoint.replace("http:", "hdfs:") + "/"
        return {"base": base, "options": {"user-name": OWNER}, "variables": {}}

    def bucket(self, bucket, permission="755"):
        """A directory, so that tests do not meet."""
        self._ask("PUT", f"/{bucket}", "MKDIRS", permission=permission)

    def put(self, bucket, key, file):
        place = self._ask("PUT", f"/{bucket}/{key}", "CREATE", overwrite="true", noredirect="true")["Location"]
        # Hadoop leaves letters in its Location as they are.
        place = quote(place, safe="%:/?&=+")
        with open(file, "rb") as body:
            urllib.request.urlopen(urllib.request.Request(place, body.read(), method="PUT")).close()

    def tree(self, bucket, prefix, directory):
        files = [path for path in Path(directory).rglob("*") if path.is_file()]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda path: self.put(bucket, prefix + str(path.relative_to(directory)), path), files))
        return len(files)

    def _ask(self, method, path, operation, **query):
        query = "".join(f"&{name}={quote(value)}" for name, value in query.items())
        url = f"http://127.0.0.1:{self.port}/webhdfs/v1{quote(path)}?op={operation}&user.name={OWNER}{query}"
        with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
            return json.load(answer)
