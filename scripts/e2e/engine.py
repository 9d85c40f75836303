"""An engine that does as it is told: it records each request's bytes as they
came in and answers with the bytes that it was given, cut or not."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field

ANSWER = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n"
          b'{"choices": []}')
MODELS = b'{"object":"list","data":[{"id":"llama2","object":"model"}]}'
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
ABOUT = ("/version", "/server_info", "/get_server_info", "/info", "/props", "/v1/loads")  # the router asks what engine it is
METRICS = b"vllm:num_requests_running 0.0\nvllm:num_requests_waiting 0.0\nvllm:kv_cache_usage_perc 0.0\n"


@dataclass
class Seen:
    """One request as it stood on the wire."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass
class ScriptedEngine:
    answer: bytes | list[bytes] = ANSWER  # a list is sent piece by piece
    close_after: bool = False             # close the connection after an answer
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as reader:
            try:
                while request := read_request(reader):
                    self._reply(connection, request)
                    if self.close_after:
                        return
            except OSError:
                return

    def _reply(self, connection: socket.socket, request: Seen) -> None:
        path = request.line.split()[1].split("?")[0]
        if path in ("/metrics", "/metrics/"):
            connection.sendall(ok(METRICS, "text/plain; version=0.0.4"))
        elif path == "/v1/models":
            connection.sendall(ok(MODELS))
        elif path == "/health":
            connection.sendall(ok(b""))
        elif path in ABOUT:
            connection.sendall(NOT_FOUND)
        else:
            self.seen.append(request)
            for piece in [self.answer] if isinstance(self.answer, bytes) else self.answer:
                connection.sendall(piece)


def ok(body: bytes, content_type: str = "application/json") -> bytes:
    return (f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def read_request(reader) -> Seen | None:
    """The next request of the connection, None at its end."""
    line = reader.readline().decode("latin-1").rstrip("\r\n")
    if not line:
        return None
    headers = []
    while (raw := reader.readline()) not in (b"\r\n", b""):
        name, value = raw.decode("latin-1").rstrip("\r\n").split(":", 1)
        headers.append((name, value.strip()))
    lower = {name.lower(): value for name, value in headers}
    if "transfer-encoding" in lower:
        body = b"".join(read_chunks(reader))
    else:
        body = reader.read(int(lower.get("content-length", 0)))
    return Seen(line, headers, body)


def read_chunks(reader):
    while size := int(reader.readline().split(b";")[0], 16):
        yield reader.read(size)
        reader.readline()
    while reader.readline() not in (b"\r\n", b""):
        pass
