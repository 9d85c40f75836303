"""What `make autobahn` takes for right and wrong (scripts/autobahn/judge.py)."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "autobahn"))
import judge  # noqa: E402

ANSWER = ["message", '{"error":{"message":"the body is not what …', False]
PONG = ["pong", "payload"]


def report(**changes) -> dict:
    """A ping within a message, of which the echo was waited for in vain."""
    return {
        "behavior": "FAILED", "behaviorClose": "WRONG CODE", "result": "", "resultClose": "",
        "expected": {"OK": [PONG, ["message", "echo", False]]}, "expectedClose": {"closedByMe": True, "closeCode": [1000]},
        "received": [PONG, ANSWER], "closedByMe": True, "failedByMe": True, "droppedByMe": False, "wasClean": True,
        "localCloseCode": 1001, "remoteCloseCode": 1001, "remoteCloseReason": None,
    } | changes


CASES = {
    "answered where the echo would have been": ("OK", {}),
    "the suite's own close": ("OK", {"behaviorClose": "OK", "failedByMe": False, "localCloseCode": 1000, "remoteCloseCode": 1000}),
    "none is allowed there": ("NON-STRICT", {"expected": {"OK": [PONG, ANSWER], "NON-STRICT": [PONG]}, "received": [PONG]}),
    "no answer": ("FAILED", {"received": [PONG]}),
    "no pong": ("FAILED", {"received": [ANSWER]}),
    "another pong": ("FAILED", {"received": [["pong", "other"], ANSWER]}),
    "two answers": ("FAILED", {"received": [PONG, ANSWER, ANSWER]}),
    "in the other order": ("FAILED", {"received": [ANSWER, PONG]}),
    "an echo is no error": ("FAILED", {"received": [PONG, ["message", "echo", False]]}),
    "a binary answer": ("FAILED", {"received": [PONG, ["message", ANSWER[1], True]]}),
    "closed by the router": ("FAILED", {"closedByMe": False}),
    "not its own code back": ("FAILED", {"remoteCloseCode": 1002}),
    "an end of TCP alone": ("FAILED", {"wasClean": False}),
    "TCP left to the client": ("FAILED", {"droppedByMe": True}),
    "closed by the client, which the suite does not want": ("FAILED", {"expectedClose": {"closedByMe": False, "closeCode": [1002]}}),
    "judged by nobody": ("INFORMATIONAL", {"behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL", "received": []}),
}


@pytest.mark.parametrize("outcome, changes", CASES.values(), ids=CASES.keys())
def test_the_routers_own(outcome, changes):
    assert judge.of_bridge(report(**changes))[0] == outcome


@pytest.mark.parametrize("outcome, behavior, close", [
    ("OK", "OK", "OK"), ("NON-STRICT", "NON-STRICT", "OK"), ("INFORMATIONAL", "INFORMATIONAL", "INFORMATIONAL"),
    ("FAILED", "FAILED", "OK"), ("FAILED", "UNIMPLEMENTED", "OK"), ("FAILED", "OK", "WRONG CODE"), ("FAILED", "OK", "FAILED BY CLIENT"),
])
def test_the_echo(outcome, behavior, close):
    assert judge.of_echo(report(behavior=behavior, behaviorClose=close))[0] == outcome


def test_differences():
    a = {"1.1.2": report(), "1.1.10": report()}
    assert judge.differences(a, {"1.1.2": report(), "1.1.10": report()}) == []
    for change in ({"behavior": "OK"}, {"remoteCloseCode": 1000}, {"remoteCloseReason": "bye"}, {"received": []}, {"droppedByMe": True}):
        assert len(judge.differences(a, a | {"1.1.10": report(**change)})) == 1
    assert judge.differences(a, {"1.1.2": report()}) == ["1.1.10: run once only"]
    vague = {"behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL"}
    assert judge.differences({"7.1.6": report(**vague)}, {"7.1.6": report(**vague, received=[])}) == []


def test_table():
    assert judge.table({"direct": {"1.1.1": ("OK", ""), "1.1.2": ("FAILED", "no"), "7.1.6": ("INFORMATIONAL", "")}, "bridge": {"1.1.1": ("NON-STRICT", "")}}) == """\
| section | cases | direct | bridge |
|---|--:|---|---|
| 1 framing | 2 | 1 OK, 1 failed | 1 non-strict |
| 7 close | 1 | 1 informational | – |
| all | 3 | 1 OK, 1 informational, 1 failed | 1 non-strict |"""
