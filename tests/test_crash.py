#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_crash.py CONV-BENCH CONV-CACHE: eight processes tune into one cache and are killed at random instants. What one
of them had reported as measured is in the cache, and no line is damaged. CVL_KILLS (40) says how many are killed."""
import csv
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

BENCH, CACHE_PROGRAM = map(os.path.abspath, sys.argv[1:3])
KILLS = int(os.environ.get("CVL_KILLS", "40"))
SEED = int(os.environ.get("CVL_TEST_SEED", str(time.time_ns() % 10**9)))
CROWD = 8
LAYERS = 6          # of one process: problems that no other has
LONGEST_S = 2.0     # until a process is killed; grows where the machine is too busy for any to measure something
CHECK_EVERY = 50
HEADER = "name,n,c,h,w,k,r,s,pad_h,pad_w,stride_h,stride_w,dil_h,dil_w,groups\n"


class Tuner:
    """One process, and what it says."""

    def __init__(self, number, longest):
        self.csv = f"{number}.csv"
        grid = f"{number}.grid.csv"
        with open(grid, "w", encoding="utf-8") as file:
            file.write(HEADER)
            for i in range(LAYERS):
                file.write(f"l{i},1,8,{5 + number % 500},{5 + i},{8 * (1 + number // 500)},3,3,1,1,1,1,1,1,1\n")
        self.process = subprocess.Popen(
            [BENCH, "--threads", "1", "--cache", "cache", "--grid", grid, "--csv", self.csv, "--quiet",
             "--algo", "direct,im2col"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.longest, self.begun = longest, None

    def is_over(self):
        """Its time begins with its result file: a busy machine is slow to start a process."""
        if self.begun is None and os.path.exists(self.csv):
            self.begun = time.monotonic()
        return self.process.poll() is not None or (
            self.begun is not None and time.monotonic() >= self.begun + self.longest)

    def end(self):
        """True when it was killed. One that ended by itself did so without a complaint."""
        killed = self.process.poll() is None
        self.process.kill()
        status = self.process.wait()
        complaint = self.process.stderr.read()
        self.process.stderr.close()
        assert status == (-signal.SIGKILL if killed else 0) or killed, (status, complaint)
        assert killed or not complaint, complaint
        return killed

    def committed(self):
        """(problem, candidate) of its whole lines that say "measured"."""
        try:
            with open(self.csv, encoding="utf-8", newline="") as file:
                text = file.read()
        except FileNotFoundError:
            return set()
        rows = csv.DictReader(io.StringIO(text[:text.rfind("\n") + 1]))
        return {(row["problem"], row["candidate"]) for row in rows if row["source"] == "measured"}


def check(committed):
    shown = subprocess.run([CACHE_PROGRAM, "show", "--cache", "cache"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0 and not shown.stderr, shown.stderr
    words = [line.split() for line in shown.stdout.splitlines()]
    there = {(word[1], word[3]) for word in words if word and word[0] in "*-"}
    lost = committed - there
    assert not lost, f"{len(lost)} of {len(committed)} are lost, such as {sorted(lost)[0]}"


def main():
    print("seed", SEED, flush=True)
    chance = random.Random(SEED)
    crowd, committed, killed, started, longest = [], set(), 0, 0, LONGEST_S
    subprocess.run([BENCH, "--cache", "cache", "--threads", "1", "--machine"], stdout=subprocess.DEVNULL, check=True)
    while killed < KILLS or len(committed) <= KILLS / 4:
        while len(crowd) < CROWD:
            crowd.append(Tuner(started, chance.uniform(0, longest)))
            started += 1
        for tuner in [tuner for tuner in crowd if tuner.is_over()]:
            killed += tuner.end()
            said = tuner.committed()
            committed |= said
            longest *= 1 if said else 1.05
            crowd.remove(tuner)
            if started % CHECK_EVERY == 0:
                check(committed)
        time.sleep(0.002)
    for tuner in crowd:
        tuner.end()
        committed |= tuner.committed()
    check(committed)
    left = [name for name in os.listdir("cache") if name.endswith(".cvl")]
    print(f"{killed} of {started} processes killed, {len(committed)} measurements reported, none lost; "
          f"{len(left)} segments")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        main()
        os.chdir("/")
