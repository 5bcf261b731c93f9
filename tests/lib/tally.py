#!/usr/bin/python3
"""tally.py --permitted FILE RESULTS…: sums results, the last line of its output being "N passed, N failed, N skipped".

RESULTS are TAP streams (*.tap) and automake's *.trs files. Exit status 1 when something failed, when a skipped test
is not in FILE (lines "NAME :: reason", NAME as the test calls itself), when a TAP stream ended before its plan, or when
there is no result at all.
"""
import argparse
import re
import sys

TAP = re.compile(r"^(not )?ok\b\s*\d*\s*(?:- )?(.*)$")
DIRECTIVE = re.compile(r"\s*# (skip|todo)\b[:\s]*(.*)$", re.I)
TIMING = re.compile(r" in \d+m?s(?:ec)?(?= #|$)")


def from_tap(path, lines):
    """(verdict, name, reason) for each test of one stream."""
    plan, count = None, 0
    for line in lines:
        if match := re.match(r"^1\.\.(\d+)", line):
            plan = int(match.group(1)) if plan is None else plan + int(match.group(1))
        elif match := TAP.match(line):
            count += 1
            failed, rest = match.groups()
            directive = DIRECTIVE.search(rest)
            name = TIMING.sub("", DIRECTIVE.sub("", rest)).strip()
            if directive and directive.group(1).lower() == "skip":
                yield "skipped", name, directive.group(2)
            elif failed and not directive:
                yield "failed", name, ""
            else:
                yield "passed", name, ""
        elif line.startswith("Bail out!"):
            yield "failed", f"{path}: {line.strip()}", ""
    if plan != count or not count:
        yield "failed", f"{path}: {count} results of a plan of {'nothing' if plan is None else plan}", ""


def from_trs(path, lines):
    for line in lines:
        match = re.match(r"^:test-result: (\w+)\s*(?:\d+\s*)?(?:- )?(.*)$", line)
        if match:
            name = DIRECTIVE.sub("", match.group(2)).strip() or re.sub(r"^.*/|\.trs$", "", path)
            verdict = {"PASS": "passed", "XFAIL": "passed", "SKIP": "skipped"}.get(match.group(1), "failed")
            yield verdict, name, match.group(2).partition("#")[2].strip()


def permitted(path):
    with open(path, encoding="utf-8") as lines:
        return {line.split(" :: ")[0].strip() for line in lines if line.strip() and not line.startswith("#")}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--permitted", required=True)
    parser.add_argument("results", nargs="*")
    options = parser.parse_args()
    allowed = permitted(options.permitted)
    count = {"passed": 0, "failed": 0, "skipped": 0}
    bad = False
    for path in options.results:
        with open(path, encoding="utf-8", errors="replace") as lines:
            for verdict, name, reason in (from_trs if path.endswith(".trs") else from_tap)(path, lines):
                count[verdict] += 1
                if verdict == "failed":
                    print(f"failed: {name}")
                elif verdict == "skipped":
                    known = name in allowed
                    bad |= not known
                    print(f"skipped{'' if known else ' without permission'}: {name} ({reason or 'no reason given'})")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if bad or count["failed"] or not count["passed"] else 0


sys.exit(main())
