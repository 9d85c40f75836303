"""A client that sees the wire: which byte came when, whether the framing was
whole, and what the last event said. The openai clients hide all of that."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field

HEAD = "POST {path} HTTP/1.1\r\nHost: router\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"


@dataclass
class Answer:
    status: int = 0                 # 0: no whole head came
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    started: float = 0.0            # time.monotonic() of sending
    first_byte: float | None = None  # … of the first body byte
    finished: float = 0.0
    whole: bool = False             # the framing came to its end
    failure: str = ""               # why it is not

    @property
    def events(self) -> list[str]:
        return [block[6:] for block in self.body.decode().split("\n\n") if block.startswith("data: ")]

    @property
    def error_event(self) -> dict | None:
        """The router's error, if it is the last thing that the stream said."""
        last = json.loads(self.events[-1]) if self.events and self.events[-1] != "[DONE]" else {}
        return last.get("error")

    @property
    def done(self) -> bool:
        """The answer is what an engine sends when nothing went wrong."""
        if self.status != 200 or not self.whole:
            return False
        if "event-stream" in self.headers.get("content-type", ""):
            return bool(self.events) and self.events[-1] == "[DONE]"
        return "choices" in json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.status} whole={self.whole} {self.failure} {self.body[-200:]!r}"


class Connection:
    """One keep-alive connection, opened anew when the peer has closed it."""

    def __init__(self, address: tuple[str, int]):
        self.address, self.reader, self.writer = address, None, None

    async def post(self, path: str, body: dict | bytes, within: float = 60.0) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = Answer(started=time.monotonic())
        try:
            await asyncio.wait_for(self._exchange(path, raw, answer), within)
        except (OSError, EOFError, ValueError, asyncio.TimeoutError) as error:
            answer.failure = repr(error)
            self.close()
        answer.finished = time.monotonic()
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def close(self) -> None:
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None

    async def _exchange(self, path: str, raw: bytes, answer: Answer) -> None:
        if self.reader is None:
            self.reader, self.writer = await asyncio.open_connection(*self.address)
        self.writer.write(HEAD.format(path=path, length=len(raw)).encode() + raw)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        for line in lines:
            name, value = line.split(":", 1)
            answer.headers[name.lower()] = value.strip()
        answer.status = int(first.split()[1])
        if answer.headers.get("transfer-encoding") == "chunked":
            await self._read_chunks(answer)
        else:
            answer.body = await self.reader.readexactly(int(answer.headers.get("content-length", 0)))
            answer.first_byte = time.monotonic()
        answer.whole = True

    async def _read_chunks(self, answer: Answer) -> None:
        while size := int((await self.reader.readline()).split(b";")[0], 16):
            piece = await self.reader.readexactly(size + 2)
            if answer.first_byte is None:
                answer.first_byte = time.monotonic()
            answer.body += piece[:-2]
        await self.reader.readexactly(2)


def frame(body: dict | bytes) -> bytes:
    """A client's text message in one frame, masked by zeros."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert len(raw) < 1 << 16
    return b"\x81\xfe" + len(raw).to_bytes(2, "big") + bytes(4) + raw


def chat(prompt: str = "hello", max_tokens: int = 16, stream: bool = False, **more) -> dict:
    return {"model": "llama2", "messages": [{"role": "user", "content": prompt}],
            "max_tokens": max_tokens, "stream": stream, **more}


CHAT = "/v1/chat/completions"
