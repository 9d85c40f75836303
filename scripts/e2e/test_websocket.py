"""Chats over WebSockets: by Python's websockets, npm's ws and a browser's own."""

import asyncio
import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import websockets

MODULES = Path(os.environ.get("PENSTOCK_CACHE", "")) / "e2e-node"
SCRIPT = Path(__file__).with_name("socket_client.mjs")
KEYS = "keys:\n- {name: ann, key: sk-ann}\n"
PATH = "/v1/chat/completions"


def ask(content: str, **more) -> dict:
    return {"model": "llama2", "messages": [{"role": "user", "content": content}], "max_tokens": 12, "stream": True} | more


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """Two engines behind a router that wants a key."""
    from conftest import Stage

    stage = Stage(tmp_path_factory.mktemp("websocket"))
    keys = stage.folder / "keys.yaml"
    keys.write_text(KEYS)
    try:
        sim = stage.sim(2)
        yield stage.router(sim.urls, f"auth: {{keys_file: {keys}}}\n")
    finally:
        stage.close()


def socket_of(router) -> str:
    return router.url.replace("http", "ws") + PATH


@pytest.mark.parametrize("how", ["ws", "browser"])
def test_chat(keyed, how):
    out = subprocess.run(["node", SCRIPT, how, socket_of(keyed), MODULES, shutil.which("chromium"), "sk-ann"],
                         capture_output=True, text=True, timeout=90)
    assert out.returncode == 0, out.stderr
    got = json.loads(out.stdout)
    assert got["protocol"] == "penstock.v1", "the key is never echoed"
    assert got["answers"] == 2 and got["tokens"] == 24
    assert got["errors"] == [400], "what is no JSON is an error, and the connection lives"
    assert got["ids"]["a done"] and got["ids"]["b done"]
    assert got["code"] == 1000


def test_chat_with_pythons_websockets(keyed):
    async def chat():
        async with websockets.connect(socket_of(keyed), additional_headers={"Authorization": "Bearer sk-ann"}) as socket:
            await socket.send(json.dumps(ask("hello")))
            events = []
            while (text := await socket.recv()) != "[DONE]":
                events.append(json.loads(text))
            await socket.send(json.dumps(ask("hello", stream=False)))
            whole = json.loads(await socket.recv())
            assert await socket.recv() == "[DONE]"
            return events, whole

    events, whole = asyncio.run(chat())
    text = "".join(e["choices"][0]["delta"].get("content") or "" for e in events if e["choices"])
    assert text == whole["choices"][0]["message"]["content"] != ""


def test_speech_passes_through(stage):
    """vLLM's realtime: the server speaks first, text comes before the speech has ended."""
    router = stage.router(stage.sim(2).urls)
    audio = base64.b64encode(bytes(10 * 2560)).decode()  # 10 times 80 ms

    async def speak():
        async with websockets.connect(router.url.replace("http", "ws") + "/v1/realtime?model=llama2") as socket:
            async def said(kind: str) -> dict:
                event = json.loads(await socket.recv())
                assert event["type"] == kind
                return event

            await said("session.created")
            await socket.send(json.dumps({"type": "session.update", "model": "llama2"}))
            await socket.send(json.dumps({"type": "input_audio_buffer.commit"}))
            text = ""
            for _ in range(2):
                await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
                for _ in range(10):
                    text += (await said("transcription.delta"))["delta"]
            assert sum(i["in_flight"] for i in router.instances()) == 1, "an open socket is load"
            await socket.send(json.dumps({"type": "input_audio_buffer.commit", "final": True}))
            return text, await said("transcription.done")

    text, done = asyncio.run(asyncio.wait_for(speak(), 30))
    assert done["text"] == text != ""
    assert done["usage"]["completion_tokens"] == 20


def test_echo_behind_a_configured_path(stage):
    """Messages of every kind, compressed end to end: the router sees none of it."""
    router = stage.router(stage.sim(1).urls, "websocket: {paths: [/v1/echo]}\n")

    async def echo():
        async with websockets.connect(router.url.replace("http", "ws") + "/v1/echo", max_size=None) as socket:
            assert "permessage-deflate" in socket.response.headers["Sec-WebSocket-Extensions"]
            for message in ("λόγος", b"\xff\x00", "", "x" * (1 << 20), bytes(1 << 20)):
                await socket.send(message)
                assert await socket.recv() == message
            await socket.send(["in ", "three ", "frames"])
            assert await socket.recv() == "in three frames"
            await (await socket.ping())
            await socket.close(4001, "mine")
            return socket.close_code

    assert asyncio.run(asyncio.wait_for(echo(), 30)) == 4001


def test_handshake_without_a_key(keyed):
    async def refused():
        with pytest.raises(websockets.InvalidStatus) as e:
            await websockets.connect(socket_of(keyed))
        return e.value.response

    response = asyncio.run(refused())
    assert response.status_code == 401
    assert json.loads(response.body)["error"]["code"] == "invalid_api_key"


def test_kill_of_an_instance_with_100_requests_in_flight(stage):
    """Those without a byte are retried unseen, the others get the error; the
    connections live on."""
    sims = [stage.sim(1) for _ in range(2)]
    router = stage.router([sim.urls[0] for sim in sims])

    async def client(body: dict, started: asyncio.Event | None = None) -> dict:
        async with websockets.connect(socket_of(router)) as socket:
            await socket.send(json.dumps(body))
            tokens, error = 0, None
            while (text := await socket.recv()) != "[DONE]":
                if error := json.loads(text).get("error"):
                    break
                tokens += 1
                if started:
                    started.set()
            await socket.send(json.dumps(ask("again", max_tokens=3)))  # the connection lives on
            again = 0
            while (text := await socket.recv()) != "[DONE]":
                again += 1
            return {"wanted": body["max_tokens"], "tokens": tokens, "error": error, "again": again}

    async def load():
        started = [asyncio.Event() for _ in range(50)]
        clients = [asyncio.create_task(client(ask(f"{n}", max_tokens=400), e)) for n, e in enumerate(started)]
        await asyncio.gather(*(e.wait() for e in started))
        clients += [asyncio.create_task(client(ask(f"{n} " + "word " * 1000, max_tokens=20))) for n in range(50)]
        while router.metric("penstock_gateway_requests") < 100:
            await asyncio.sleep(0.01)
        sims[0].kill()
        return await asyncio.gather(*clients)

    answers = asyncio.run(asyncio.wait_for(load(), 60))
    cut = [a for a in answers if a["error"]]
    print(f"{len(cut)} of {len(answers)} cut, retries {router.metric('penstock_retries_total', outcome='ok'):.0f}")
    assert cut, "no answer was under way on the killed engine: the test has shown nothing"
    assert all(a["error"]["code"] == "instance_failed" and a["error"]["status"] == 502 and a["tokens"] for a in cut)
    assert all(a["tokens"] >= a["wanted"] for a in answers if not a["error"])
    assert router.metric("penstock_retries_total", outcome="ok") > 0, "nobody was without a byte"
    assert all(a["again"] for a in answers)
