"""A steady load beside a test that does something to the fleet meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time

from wire import CHAT, Answer, Connection, chat


class Load:
    """Chats at a steady rate, whatever became of those before, from a thread of
    its own; when the `with` ends, `answers` has them all. Nine of ten stream."""

    def __init__(self, router, rate: float = 50.0, max_tokens: int = 20):
        self.address, self.rate, self.max_tokens = router.address, rate, max_tokens
        self.answers: list[Answer] = []
        self.idle: list[Connection] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Load:
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.over.set()
        self.thread.join()  # each request has a time limit of its own

    @property
    def cut(self) -> list[Answer]:
        """Streams that ended with the router's error after their first byte."""
        return [a for a in self.answers if not a.done and a.error_event]

    @property
    def failed(self) -> list[str]:
        """Requests that another instance could have answered."""
        return [str(a)[:300] for a in self.answers if not a.done and not a.error_event]

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            number, at = 0, time.monotonic()
            while not self.over.is_set():
                tasks.create_task(self._one(number))
                number, at = number + 1, at + 1 / self.rate
                await asyncio.sleep(max(0.0, at - time.monotonic()))
        for connection in self.idle:
            connection.close()

    async def _one(self, number: int) -> None:
        connection = self.idle.pop() if self.idle else Connection(self.address)
        body = chat(f"question {number}", 1 + number % self.max_tokens, stream=number % 10 != 0)
        self.answers.append(await connection.post(CHAT, body))
        self.idle.append(connection)
