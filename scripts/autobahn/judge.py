"""What Autobahn's reports say of the router: whether the echo behind it is the
echo itself, and whether its own WebSockets are right where nothing echoes."""

from __future__ import annotations

import json
from pathlib import Path

SECTIONS = {
    1: "framing", 2: "pings and pongs", 3: "reserved bits", 4: "opcodes", 5: "fragmentation", 6: "UTF-8", 7: "close",
    9: "limits, large messages", 10: "fragments of the client's own", 12: "compression, messages", 13: "compression, parameters",
}
OK, NON_STRICT, INFORMATIONAL, FAILED = "OK", "NON-STRICT", "INFORMATIONAL", "FAILED"


def numbers(case: str) -> list[int]:
    return [int(n) for n in case.split(".")]


def read(folder: Path) -> dict[str, dict]:
    """A run's cases by their number, each with its own report."""
    (cases,) = json.loads((folder / "index.json").read_text()).values()
    return {case: json.loads((folder / row["reportfile"]).read_text()) for case, row in cases.items()}


def seen(report: dict) -> dict:
    """What a case has seen of the server. Those that judge nothing depend on who
    is quicker: of them only the close counts."""
    keys = ["behavior", "behaviorClose", "remoteCloseCode", "remoteCloseReason", "wasClean", "closedByMe", "droppedByMe"]
    if report["behavior"] != INFORMATIONAL:
        keys.append("received")
    return {key: report[key] for key in keys}


def differences(direct: dict[str, dict], through: dict[str, dict]) -> list[str]:
    """The cases in which it matters that the router is in between."""
    found = []
    for case in sorted(direct.keys() | through.keys(), key=numbers):
        if case not in direct or case not in through:
            found.append(f"{case}: run once only")
            continue
        a, b = seen(direct[case]), seen(through[case])
        found += [f"{case}: {key} is {a[key]!r} directly, {b[key]!r} through the router" for key in a if a[key] != b.get(key)]
    return found


def of_echo(report: dict) -> tuple[str, str]:
    """The suite's own judgement: the outcome, and why it is none that will do."""
    behavior, close = report["behavior"], report["behaviorClose"]
    if close not in (OK, INFORMATIONAL):
        return FAILED, f"close: {close}: {report['resultClose']}"
    return (behavior, "") if behavior in (OK, NON_STRICT, INFORMATIONAL) else (FAILED, report["result"])


ANSWER = '{"error":{"message":"'


def of_bridge(report: dict) -> tuple[str, str]:
    """The suite's judgement with one thing changed: where it wants its message
    back, the bridge has to answer with one error message, for none of them is a
    request. Which events come, how many and in what order stays as it is."""
    if report["behavior"] == INFORMATIONAL:
        return of_echo(report)
    got = shape(report["received"])
    behavior = next((b for b in (OK, NON_STRICT) if b in report["expected"] and shape(report["expected"][b]) == got), None)
    wrong = [e[1] for e in report["received"] if e[0] == "message" and (e[2] or not e[1].startswith(ANSWER))]
    match behavior:
        case None:
            return FAILED, f"got {got}, want {[shape(e) for e in report['expected'].values()]}"
        case _ if wrong:
            return FAILED, f"an answer is no error message: {wrong[0]}"
    if report["behaviorClose"] != OK and not closed_as_asked(report):
        return FAILED, f"close: {report['behaviorClose']}: {report['resultClose']}"
    return behavior, ""


def shape(events: list) -> list:
    """Events without what messages say."""
    return [("message",) if e[0] == "message" else tuple(e) for e in events]


def closed_as_asked(report: dict) -> bool:
    """A case that waits for its message in vain gives up after a second, with
    another code than it would have had: what counts is that it gets that back."""
    return (report["expectedClose"]["closedByMe"] and report["closedByMe"] and report["failedByMe"] and report["wasClean"]
            and not report["droppedByMe"] and report["remoteCloseCode"] == report["localCloseCode"])


def table(runs: dict[str, dict[str, tuple[str, str]]]) -> str:
    """A row for each section: its cases, and their outcomes in each run."""
    rows = ["| section | cases | " + " | ".join(runs) + " |", "|---|--:|" + "---|" * len(runs)]
    for section, name in SECTIONS.items():
        outcomes = {run: [o for case, (o, _) in cases.items() if numbers(case)[0] == section] for run, cases in runs.items()}
        if most := max(len(o) for o in outcomes.values()):
            rows.append(f"| {section} {name} | {most} | " + " | ".join(count(o) for o in outcomes.values()) + " |")
    totals = [[o for o, _ in cases.values()] for cases in runs.values()]
    rows.append(f"| all | {max(len(o) for o in totals)} | " + " | ".join(count(o) for o in totals) + " |")
    return "\n".join(rows)


def count(outcomes: list[str]) -> str:
    """`12 OK, 1 non-strict`."""
    return ", ".join(f"{n} {kind if kind == OK else kind.lower()}" for kind in (OK, NON_STRICT, INFORMATIONAL, FAILED)
                     if (n := outcomes.count(kind))) or "–"
