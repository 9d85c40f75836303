"""What the router must not touch: the request's body and the engine's answer,
byte for byte; and what it must: hop-by-hop headers, Host, the client's key."""

import json
import socket

import httpx
import pytest

from conftest import openai_client
from engine import ANSWER
from wire import CHAT, chat

TOOLS = [{
    "type": "function",
    "function": {
        "name": "gate_level", "description": "Reads a gate’s level – in “metres”.", "strict": True,
        "parameters": {"type": "object", "properties": {"gate": {"type": "string", "enum": ["north", "süd"]}},
                       "required": ["gate"], "additionalProperties": False},
    },
}]

# Odd spacing, escapes, surrogates, numbers that a re-encoding would change, and
# unknown fields: all of it is the engine's business.
ODD = (rb'{ "tools" :[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],'
       b'\n\t"temperature":1.0e-00,"big":12345678901234567890123, "model":"ll\\u0061ma2" ,'
       b'"messages":[{"role":"user","content":"\\ud83d\\ude00 \xf0\x9f\x98\x80 \\/ \\u0000"}],'
       b'"tool_choice":{"type":"function","function":{"name":"f"}},"x_unknown":{"a":[1,2,{"model":"other"}]}  }\r\n')


def post(router, content, **headers):
    return httpx.post(router.url + CHAT, content=content, headers={"Content-Type": "application/json"} | headers)


@pytest.fixture
def engine(stage):
    return stage.engine()


@pytest.fixture
def router(stage, engine):
    return stage.router([engine.url])


def test_tools_arrive_as_openai_sent_them(engine, router):
    sent = []
    client = openai_client(router, http_client=httpx.Client(event_hooks={"request": [lambda r: sent.append(r.content)]}))
    client.chat.completions.create(
        model="llama2", messages=[{"role": "user", "content": "How high is it?"}],
        tools=TOOLS, tool_choice="required", parallel_tool_calls=False, response_format={"type": "json_object"})
    assert engine.seen[0].body == sent[0]
    assert json.loads(engine.seen[0].body)["tools"] == TOOLS


def test_body_is_not_touched(engine, router):
    assert post(router, ODD).status_code == 200
    assert engine.seen[0].body == ODD


def test_chunked_body(engine, router):
    assert post(router, iter([ODD[:100], ODD[100:101], ODD[101:]])).status_code == 200
    assert engine.seen[0].body == ODD


def test_large_body(engine, router):
    body = json.dumps(chat("penstock " * 1_000_000)).encode()
    assert post(router, body).status_code == 200
    assert engine.seen[0].body == body


def test_multipart_body(engine, router):
    audio = bytes(range(256)) * 4096
    got = httpx.post(router.url + "/v1/audio/transcriptions", data={"model": "llama2"}, files={"file": ("a.wav", audio)})
    assert got.status_code == 200
    assert audio in engine.seen[0].body


def test_expect_100_continue(engine, router):
    head = (f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(ODD)}\r\nExpect: 100-continue\r\n\r\n").encode()
    with socket.create_connection(router.address, timeout=5) as s:
        s.sendall(head)
        assert s.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(ODD)
        assert s.recv(1024).startswith(b"HTTP/1.1 200 ")
    assert engine.seen[0].body == ODD


def test_headers(engine, router):
    post(router, ODD, **{
        "Connection": "keep-alive, X-Hop", "X-Hop": "1", "TE": "trailers", "Proxy-Connection": "keep-alive",
        "X-Request-Id": "abc-123", "X-End": "2", "Accept": "text/event-stream"})
    seen = engine.seen[0]
    assert seen.line == f"POST {CHAT} HTTP/1.1"
    assert seen.header("Host") == [engine.url.removeprefix("http://")]
    assert seen.header("X-Forwarded-For") == ["127.0.0.1"]
    assert seen.header("X-Forwarded-Proto") == ["http"]
    assert seen.header("X-Request-Id") == ["abc-123"]
    assert (seen.header("X-End"), seen.header("Accept")) == (["2"], ["text/event-stream"])
    for hop in ("X-Hop", "TE", "Proxy-Connection"):
        assert seen.header(hop) == [], hop
    assert seen.header("Content-Length") == [str(len(ODD))]


def test_request_id_is_made_where_there_is_none(engine, router):
    got = post(router, ODD)
    assert got.headers["X-Request-Id"] == engine.seen[0].header("X-Request-Id")[0] != ""
    assert post(router, ODD, **{"X-Request-Id": "not/a/good id"}).headers["X-Request-Id"] != "not/a/good id"


def test_client_key_is_passed_through_without_keys_of_our_own(engine, router):
    post(router, ODD, Authorization="Bearer sk-client")
    assert engine.seen[0].header("Authorization") == ["Bearer sk-client"]


def test_client_key_is_dropped_and_the_instance_key_sent(stage, engine):
    (stage.folder / "keys.yaml").write_text("keys: [{name: a, key: sk-client}]\n")
    (stage.folder / "engine.key").write_text("sk-engine\n")
    router = stage.router([], f"""
instances: [{{url: "{engine.url}", api_key_file: {stage.folder}/engine.key}}]
auth: {{keys_file: {stage.folder}/keys.yaml}}
""")
    assert post(router, ODD, Authorization="Bearer sk-client").status_code == 200
    assert engine.seen[0].header("Authorization") == ["Bearer sk-engine"]


EVENTS = (b': a comment\r\n\r\nevent: delta\r\nid: 7\r\ndata: {"choices":[]}\r\n\r\n'
          b'data: \xc3\xa9\n\ndata: [DONE]\n\n')


def in_chunks(data: bytes, size: int) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(data[i:i + size]), data[i:i + size]) for i in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_stream_is_not_touched(stage, size):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nX-Engine: a\r\n\r\n"
    engine = stage.engine([head, in_chunks(EVENTS, size), b"0\r\n\r\n"])
    got = post(stage.router([engine.url]), ODD)
    assert got.content == EVENTS
    assert got.headers["X-Engine"] == "a"


def test_answer_that_ends_with_the_connection(stage):
    engine = stage.engine(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{}", close_after=True)
    got = post(stage.router([engine.url]), ODD)
    assert (got.status_code, got.content) == (200, b"{}")


@pytest.mark.parametrize("status", [b"400 Bad Request", b"422 Unprocessable Entity", b"500 Internal Server Error"])
def test_error_of_the_engine_is_passed_on(stage, status):
    body = b'{"object":"error","message":"too long","code":400}'
    engine = stage.engine(b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                          % (status, len(body), body))
    got = post(stage.router([engine.url]), ODD)
    assert (b"%d" % got.status_code, got.content) == (status[:3], body)
    assert "X-Penstock-Error" not in got.headers
    assert len(engine.seen) == 1, "an engine's own 4xx or 500 is no reason for another try"


def test_busy_engine_is_left_for_another(stage):
    busy = stage.engine(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    good = stage.engine(ANSWER)
    router = stage.router([busy.url, good.url], policy="round-robin")
    assert [post(router, ODD).status_code for _ in range(4)] == [200] * 4
    assert len(good.seen) == 4
    assert router.metric("penstock_retries_total", outcome="ok") == len(busy.seen) > 0
