#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""count_tests.py BUILD NAME: prints "PASSED FAILED SKIPPED" of the last `meson test` in BUILD, and one line for each test
that failed or was skipped (with its reason) on standard error."""
import json
import os
import sys


def main(build, name):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    log = os.path.join(build, "meson-logs", "testlog.json")
    lines = open(log, encoding="utf-8") if os.path.exists(log) else []
    for line in lines:
        test = json.loads(line)
        outcome = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped"}.get(test["result"], "failed")
        counts[outcome] += 1
        if outcome != "passed":
            said = (test.get("stdout") or test.get("stderr") or "no reason given").strip().splitlines()
            print(f"{outcome:8}{name}/{test['name']}: {said[-1] if said else ''}", file=sys.stderr)
    if not any(counts.values()):
        counts["failed"] = 1
    print(counts["passed"], counts["failed"], counts["skipped"])


main(*sys.argv[1:])
