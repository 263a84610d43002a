"""What stands between dfget and a server: it passes every byte on, and takes down which requests there were. What no server
does when asked to, it answers itself.
"""

import socket
import threading


class Relay:
    """Listens on a port of its own. A request keeps its Host, so that signatures hold."""

    def __init__(self, upstream):
        self.upstream = upstream
        self.requests = []
        self.refusals = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def refuse(self, of, times, status, body):
        """Answers the next requests whose target has `of` in it, as the documentation of the store says."""
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.refusals.append({"of": of, "times": times, "answer": (head + body).encode()})

    def _refusal(self, target):
        for refusal in self.refusals:
            if refusal["times"] and refusal["of"] in target:
                refusal["times"] -= 1
                return refusal["answer"]
        return None

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
        heads = Heads(self.requests, self._refusal)
        threading.Thread(target=pump, args=(client, server, heads.take), daemon=True).start()
        pump(server, client, lambda data: None)


def pump(source, target, look):
    try:
        while data := source.recv(1 << 18):
            if answer := look(data):
                source.sendall(answer)
                break
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

    def __init__(self, found, refusal):
        self.found = found
        self.refusal = refusal
        self.text = b""
        self.body = 0
        self.tunnel = False

    def take(self, data):
        """The answer to them, if the server gets to see none."""
        self.text += data
        while self.text and not self.tunnel:
            skipped = min(self.body, len(self.text))
            self.text, self.body = self.text[skipped:], self.body - skipped
            head, end, rest = self.text.partition(b"\r\n\r\n")
            if not end:
                return None
            self.text = rest
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            self.body = int(headers.get("content-length", 0))
            method, target, _ = first.split(" ", 2)
            self.tunnel = method == "CONNECT"
            self.found.append({"method": method, "target": target, "headers": headers})
            if answer := self.refusal(target):
                return answer
        return None
