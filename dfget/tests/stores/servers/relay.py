"""What stands between dfget and a server: it passes every byte on, and takes down which requests there were."""

import socket
import threading


class Relay:
    """Listens on a port of its own. A request keeps its Host, so that signatures hold."""

    def __init__(self, upstream):
        self.upstream = upstream
        self.requests = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.upstream))
        except OSError:
            client.close()
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        heads = Heads(self.requests)
        threading.Thread(target=pump, args=(client, server, heads.take), daemon=True).start()
        pump(server, client, lambda data: None)


def pump(source, target, look):
    try:
        while data := source.recv(1 << 18):
            look(data)
            target.sendall(data)
    except OSError:
        pass
    for end, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        try:
            end.shutdown(how)
        except OSError:
            pass


class Heads:
    """Finds the heads of the requests in what a client sends."""

    def __init__(self, found):
        self.found = found
        self.text = b""
        self.body = 0
        self.tunnel = False

    def take(self, data):
        self.text += data
        while self.text and not self.tunnel:
            skipped = min(self.body, len(self.text))
            self.text, self.body = self.text[skipped:], self.body - skipped
            head, end, rest = self.text.partition(b"\r\n\r\n")
            if not end:
                return
            self.text = rest
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            self.body = int(headers.get("content-length", 0))
            method, target, _ = first.split(" ", 2)
            self.tunnel = method == "CONNECT"
            self.found.append({"method": method, "target": target, "headers": headers})
