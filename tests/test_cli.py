#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_cli.py CONV-BENCH: drives the built program as a user does. Only tiny problems are measured, always into a cache
of the test's own."""
import csv
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

BENCH = os.path.abspath(sys.argv[1])
TINY = "fwd:f32:nchw:n1c8h9w9k8r3s3:pad1"
COLUMNS = (
    "name,problem,pass,dtype,layout,threads,device,algorithm,candidate,chosen,status,reason,source,state,median_ms,"
    "min_ms,ci_low_ms,ci_high_ms,samples,estimate_ms,gflops,percent_peak,workspace_bytes,packed_bytes,pack_ms,"
    "rel_error,l2_error,deterministic,count,isa,machine,commit,library,percent_roofline")
GRID_HEADER = "name,n,c,h,w,k,r,s,pad_h,pad_w,stride_h,stride_w,dil_h,dil_w,groups,count\n"
FLAGS = (
    "--grid --net --conv --pass --batch --dtype --math --layout --epilogue --algo --device --threads --filter --mode "
    "--retune --budget --state --shard --max-workspace --max-error --deterministic --cache --csv --compare --verify "
    "--audit --why --profile --quiet --list-algos --list-nets --machine --version --help").split()
STATUSES = {"ok", "rejected", "wrong", "over_limit", "eliminated", "skipped", "failed"}


class Cli(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.cache = self.path("cache")

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return self.path(name)

    def bench(self, *arguments, cache=None, **environment):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("CVL_") or k == "CVL_ISA"}
        command = [BENCH, "--threads", "1", "--cache", self.cache if cache is None else cache, *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                              timeout=120, env={**clean, **environment})

    def good(self, *arguments, status=0, **environment):
        result = self.bench(*arguments, **environment)
        self.assertEqual(result.returncode, status, result.stderr + result.stdout)
        return result

    def rows(self, *arguments, **keywords):
        return list(csv.DictReader(io.StringIO(self.good("--csv", "-", *arguments, **keywords).stdout)))

    def refused(self, *arguments, named=(), **environment):
        """Exit status 2, one sentence that names what is wrong, and nothing written."""
        result = self.bench(*arguments, **environment)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for name in ("conv-bench: ", *named):
            self.assertIn(name, result.stderr)
        self.assertFalse(os.path.exists(self.cache))

    # ---- flags ----

    def test_help_tells_every_flag_and_variable(self):
        text = self.good("--help").stdout
        for name in [*FLAGS, "CVL_CACHE", "CVL_MODE", "CVL_ISA", "XDG_CACHE_HOME", "130"]:
            self.assertIn(name, text)
        manual = self.good("--man").stdout.replace("\\-", "-")
        for name in [*FLAGS, ".TH CONV-BENCH 1", "CVL_CACHE", "EXIT STATUS"]:
            self.assertIn(name, manual)

    def test_version(self):
        self.assertRegex(self.good("--version").stdout, r"^conv-bench \d+\.\d+\.\d+\n$")

    def test_bad_usage(self):
        for arguments, named in (
                (["--foo"], ["'--foo'"]),
                (["grid.csv"], ["'grid.csv'"]),
                (["--grid"], ["--grid", "FILE.csv"]),
                (["--why=3"], ["--why"]),
                (["--pass", "up"], ["--pass 'up'", "fwd|bwd_data|bwd_filter|all"]),
                (["--batch", "0"], ["--batch '0'", "whole number from 1"]),
                (["--batch", "many"], ["--batch 'many'"]),
                (["--threads", "-1"], ["--threads '-1'"]),
                (["--budget", "soon"], ["--budget 'soon'", "number from 0"]),
                (["--dtype", "f64"], ["--dtype 'f64'", "f32|bf16|f16|int8"]),
                (["--layout", "chwn"], ["--layout 'chwn'"]),
                (["--algo", "fastest"], ["--algo 'fastest'", "im2col"]),
                (["--algo", "!fastest"], ["--algo 'fastest'"]),
                (["--device", "tpu"], ["--device 'tpu'", "cuda"]),
                (["--device", "cuda:1000"], ["device cuda:1000 was asked for, and", "CUDA"]),
                (["--mode", "fast"], ["--mode 'fast'", "exhaustive"]),
                (["--retune", "--mode", "exhaustive"], ["--retune", "--mode tune"]),
                (["--retune", "--mode", "cached"], ["--retune", "--mode tune"]),
                (["--state", "warm"], ["--state 'warm'", "cold-filter"]),
                (["--shard", "3/2"], ["--shard '3/2'"]),
                (["--shard", "0/2"], ["--shard '0/2'"]),
                (["--max-workspace", "1T"], ["--max-workspace '1T'", "64K"]),
                (["--max-error", "0"], ["--max-error '0'"]),
                (["--epilogue", "pad1"], ["--epilogue 'pad1'", "relu"]),
                (["--epilogue", "swish"], ["--epilogue 'swish'"]),
                (["--net", "alexnet"], ["'alexnet'", "resnet50", "vgg16"]),
                (["--conv", "fwd:f32:nchw:n1c8"], ["--conv 'fwd:f32:nchw:n1c8'"]),
                (["--pass", "all", "--epilogue", "bias"], ["conv1", "bwd_filter", "bias"]),
                (["--batch", "1000000"], ["conv1", "1000000"])):
            with self.subTest(arguments):
                self.refused(*arguments, named=named)

    def test_bad_environment(self):
        self.refused("--conv", TINY, named=["CVL_MODE", "'quick'", "tune"], CVL_MODE="quick")
        self.refused("--conv", TINY, named=["CVL_ISA", "'mmx'", "generic"], CVL_ISA="mmx")

    # ---- budget, constants, audit ----

    REGRET = r"(?m)^[\d.e-]+ s: (\d+)/(\d+) layers, regret at most ([\d.]+) % \(95 %\)$"

    def test_the_last_line_bounds_the_regret(self):
        text = self.good("--conv", TINY, "--conv", TINY + ":relu").stdout
        self.assertEqual(re.search(self.REGRET, text.splitlines()[-1]).groups()[:2], ("2", "2"))
        text = self.good("--conv", TINY + ":bias", "--mode", "estimate").stdout
        self.assertEqual(re.search(self.REGRET, text.splitlines()[-1]).groups()[:2], ("0", "1"))
        text = self.good("--conv", TINY, "--mode", "estimate", cache="").stdout
        bound = re.search(self.REGRET, text.splitlines()[-1]).group(3)
        self.assertGreater(float(bound), 100)   # where nothing is known

    def test_a_small_budget_goes_where_most_is_to_be_gained(self):
        layers = [f"small{i},1,8,{5 + i},9,8,3,3,1,1,1,1,1,1,1,1\n" for i in range(120)]
        layers.insert(100, "large,1,64,28,28,64,3,3,1,1,1,1,1,1,1,50\n")
        grid = self.write("g.csv", GRID_HEADER + "".join(layers))
        for budget in ("0.05", "0.2", "0.8", "2.4"):   # the first that suffices for anything on a busy machine
            rows = self.rows("--grid", grid, "--budget", budget, cache=self.path(budget))
            chosen = {row["name"]: row["source"] for row in rows if row["chosen"] == "1"}
            self.assertEqual(len(chosen), 121)
            if budget == "0.05":   # shorter than so many samples can be
                self.assertIn("estimate", chosen.values())
            if "measured" in chosen.values():
                break
        self.assertEqual(chosen["large"], "measured")
        self.assertIn("121", re.search(self.REGRET, self.good("--grid", grid, "--budget", "0").stdout).group(2))

    def test_constants_are_kept_and_correct_estimates(self):
        self.good("--machine")
        lines = "".join(self.cache_lines())
        self.assertIn("\nrates ", lines)
        self.good("--net", "convnet-benchmarks", "--shrink", "9", "--algo", "direct,im2col")
        with_records = self.rows("--conv", TINY, "--mode", "estimate", "--algo", "direct,im2col")
        without = self.rows("--conv", TINY, "--mode", "estimate", "--algo", "direct,im2col", cache="")
        self.assertNotEqual([row["estimate_ms"] for row in with_records], [row["estimate_ms"] for row in without])
        self.assertEqual({row["source"] for row in with_records}, {"estimate"})

    def cache_lines(self):
        for name in os.listdir(self.cache):
            with open(os.path.join(self.cache, name), encoding="utf-8") as file:
                yield from file.readlines()

    def test_audit_stores_nothing(self):
        self.good("--conv", TINY)
        before = sorted(self.cache_lines())
        text = self.good("--conv", TINY, "--audit").stdout
        self.assertRegex(text, r"audited 1 of 1 layers; regret -?[\d.]+ % of the time of all")
        self.assertEqual(sorted(self.cache_lines()), before)
        missing = self.good("--conv", TINY + ":relu", "--audit", status=1)
        self.assertIn("the cache chooses nothing for", missing.stderr)

    def best_lines(self):
        """{(problem, candidate): its winning record's {name: value}}, as a merge has it"""
        best = {}
        for line in self.cache_lines():
            words = line.split()
            if words[0] == "rec":
                values = dict(word.split("=", 1) for word in words[5:])
                key = int(values["n"]), int(values["when"])
                if key >= best.get(tuple(words[3:5]), ((-1, 0),))[0]:
                    best[tuple(words[3:5])] = key, values
        return {name: values for name, (_, values) in best.items()}

    def test_retune_pools_what_the_cache_holds(self):
        self.good("--conv", TINY)
        before = self.best_lines()
        untouched = self.rows("--conv", TINY, "--retune", "--budget", "0")
        self.assertNotIn("measured", {row["source"] for row in untouched})
        self.assertEqual(self.best_lines(), before)
        rows = self.rows("--conv", TINY, "--retune", CVL_MODE="cached")   # the flag says more than the variable
        after = self.best_lines()
        pooled = {name[1] for name, values in after.items() if values.get("runs") == "2"}
        self.assertTrue(pooled)
        for name, values in before.items():
            self.assertGreaterEqual(int(after[name]["n"]), int(values["n"]))
        for row in rows:
            if row["candidate"] in pooled:
                self.assertEqual(row["source"], "measured")
                self.assertEqual(row["samples"], after[TINY, row["candidate"]]["n"])
        self.assertEqual({row["source"] for row in self.rows("--conv", TINY) if row["chosen"] == "1"}, {"cache"})

    # ---- input ----

    def test_bad_grids_write_nothing(self):
        grid = self.write("g.csv", GRID_HEADER + "a,1,8,9,9,8,3,3,1,1,1,1,1,1,1,1\n\nb,1,8,9,9,8,3,3,1,1,x,1,1,1,1,1\n")
        results = self.write("out.csv", "precious\n")
        self.refused("--grid", grid, "--csv", results, named=[grid, "line 4", "column stride_h", "'x'", "whole number"])
        with open(results, encoding="utf-8") as file:
            self.assertEqual(file.read(), "precious\n")
        self.refused("--grid", grid, "--csv", self.path("new.csv"))
        self.assertFalse(os.path.exists(self.path("new.csv")))
        self.refused("--grid", self.path("absent.csv"), named=["absent.csv", "No such file"])
        self.refused("--grid", self.folder.name, named=[self.folder.name, "directory"])
        self.refused("--grid", self.write("empty.csv", ""), named=["empty.csv", "line 1", "empty"])

    def test_grid_forms(self):
        text = (GRID_HEADER + "a,1,8,9,9,8,3,3,1,1,1,1,1,1,1,2\n").replace("\n", "\r\n")
        rows = self.rows("--grid", self.write("g.csv", "\ufeff" + text), "--mode", "estimate")
        self.assertEqual({(row["name"], row["problem"], row["count"]) for row in rows}, {("a", TINY + ":const", "2")})

    def test_without_arguments_it_is_resnet50(self):
        result = self.good("--mode", "estimate")
        self.assertIn("layer4.1.conv2", result.stdout)
        self.assertIn("estimated 23", result.stdout)
        self.assertEqual(result.stderr, "")
        self.assertLessEqual(max(map(len, result.stdout.splitlines()[3:])), 120)
        self.assertFalse(os.path.exists(self.cache))

    def test_sources_add_up_and_repeat(self):
        rows = self.rows("--net", "unet-upconv", "--conv", TINY, "--net", "convnet-benchmarks", "--mode", "estimate",
                         "--algo", "im2col")
        names = list(dict.fromkeys(row["name"] for row in rows))
        self.assertEqual(names, ["up0.upconv(bwd_data)", "up1.upconv(bwd_data)", "up2.upconv(bwd_data)",
                                 "up3.upconv(bwd_data)", "conv", "L1", "L2", "L3", "L4", "L5"])
        self.assertEqual({row["pass"] for row in rows if row["name"].startswith("up")}, {"bwd_data"})

    def test_passes_layouts_and_flags_expand(self):
        rows = self.rows("--conv", TINY, "--pass", "all", "--layout", "all", "--batch", "3", "--filter", "packed",
                         "--mode", "estimate")
        shape = "n3c8h9w9k8r3s3:pad1"
        expected = {f"{p}:f32:{l}:{shape}" + (":const" if p != "bwd_filter" else "")
                    for p in ("fwd", "bwd_data", "bwd_filter") for l in ("nchw", "nhwc")}
        self.assertEqual({row["problem"] for row in rows}, expected)
        rows = self.rows("--conv", TINY, "--epilogue", "bias:relu", "--dtype", "bf16", "--mode", "estimate")
        self.assertEqual({row["problem"] for row in rows}, {TINY.replace("f32", "bf16") + ":bias:relu"})

    def test_shards_are_the_whole(self):
        whole = {row["problem"] for row in self.rows("--net", "vgg16", "--mode", "estimate")}
        parts = [{row["problem"] for row in self.rows("--net", "vgg16", "--mode", "estimate", "--shard", f"{i}/3")}
                 for i in (1, 2, 3)]
        self.assertEqual(set.union(*parts), whole)
        self.assertEqual(sum(map(len, parts)), len(whole))

    # ---- results ----

    def test_csv(self):
        out = self.path("out.csv")
        result = self.good("--conv", TINY, "--conv", TINY.replace("c8", "c4"), "--csv", out)
        with open(out, encoding="utf-8", newline="") as file:
            text = file.read()
        self.assertEqual(text.split("\n")[0], COLUMNS)
        rows = list(csv.DictReader(io.StringIO(text)))
        for problem in {row["problem"] for row in rows}:
            self.assertEqual(sum(int(row["chosen"]) for row in rows if row["problem"] == problem), 1)
        for row in rows:
            self.assertEqual(len(row), len(COLUMNS.split(",")))
            self.assertIn(row["status"], STATUSES)
            self.assertEqual(row["candidate"].split(":")[0], row["algorithm"])
            self.assertEqual((row["pass"], row["dtype"], row["layout"], row["threads"], row["device"], row["state"]),
                             ("fwd", "f32", "nchw", "1", "cpu", "hot"))
            if row["status"] == "rejected":
                self.assertTrue(row["reason"])
                self.assertEqual(row["median_ms"] + row["workspace_bytes"] + row["samples"] + row["rel_error"], "")
        chosen = [row for row in rows if row["chosen"] == "1"]
        for row in chosen:
            self.assertEqual((row["status"], row["source"]), ("ok", "measured"))
            self.assertGreater(float(row["median_ms"]), 0)
            self.assertLessEqual(float(row["min_ms"]), float(row["median_ms"]))
            self.assertLessEqual(float(row["rel_error"]), 5e-5)
            channels = 8 if "c8" in row["problem"] else 4
            flops = 2 * 8 * 9 * 9 * channels * 9
            self.assertAlmostEqual(float(row["gflops"]) * float(row["median_ms"]) * 1e6 / flops, 1, places=3)
        self.assertIn(chosen[0]["candidate"], result.stdout)

    def test_csv_on_stdout_sends_the_table_to_stderr(self):
        result = self.good("--conv", TINY, "--csv", "-")
        self.assertEqual(result.stdout.split("\n")[0], COLUMNS)
        self.assertIn("winner", result.stderr)
        self.assertIn("largest workspace", result.stderr)

    def test_second_run_answers_from_the_cache(self):
        first, second = self.good("--conv", TINY), self.good("--conv", TINY)
        self.assertIn("measured 1 of 1", first.stdout)
        self.assertIn("answered 1 of 1 layers from the cache, measured none", second.stdout)
        self.assertIn(self.cache, second.stdout)
        rows = self.rows("--conv", TINY)
        self.assertEqual({row["source"] for row in rows if row["status"] not in ("rejected", "skipped")}, {"cache"})
        frozen = self.rows("--conv", TINY, "--mode", "frozen")
        self.assertEqual([r["candidate"] for r in rows if r["chosen"] == "1"],
                         [r["candidate"] for r in frozen if r["chosen"] == "1"])

    def test_environment_names_the_cache_and_the_mode(self):
        command = [BENCH, "--threads", "1", "--conv", TINY]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("CVL_")}
        for variables, place in (({"CVL_CACHE": self.cache}, self.cache),
                                 ({"XDG_CACHE_HOME": self.path("xdg")}, self.path("xdg/convlab"))):
            result = subprocess.run(command, env={**clean, **variables}, stdout=subprocess.PIPE, text=True, check=True)
            self.assertIn(place, result.stdout)
            self.assertTrue(os.listdir(place))
        self.assertIn("estimated 1", self.good("--conv", TINY, CVL_MODE="estimate").stdout)

    def test_frozen_without_a_record(self):
        result = self.good("--conv", TINY, "--mode", "frozen", status=1)
        self.assertIn("no winner", result.stdout)

    def test_cached_measures_nothing(self):
        rows = self.rows("--conv", TINY, "--mode", "cached")
        self.assertEqual({row["samples"] for row in rows if row["status"] != "rejected"}, {"0"})
        self.assertEqual([row["source"] for row in rows if row["chosen"] == "1"], ["estimate"])

    def test_no_budget_measures_nothing(self):
        rows = self.rows("--conv", TINY, "--budget", "0")
        self.assertEqual([row["source"] for row in rows if row["chosen"] == "1"], ["estimate"])

    def test_algorithms_are_allowed_and_denied(self):
        for algorithm in ("direct", "im2col", "reference"):
            rows = self.rows("--conv", TINY, "--mode", "estimate", "--algo", algorithm)
            self.assertEqual([row["algorithm"] for row in rows if row["chosen"] == "1"], [algorithm])
        for arguments, denied in ((["--algo", "!direct"], {"direct"}), (["--algo", "!direct,!im2col"], {"direct", "im2col"}),
                                  (["--algo", "all,!im2col"], {"im2col"})):
            rows = self.rows("--conv", TINY, "--mode", "estimate", *arguments)
            self.assertEqual(denied & {row["algorithm"] for row in rows}, set())
            self.assertEqual(len([row for row in rows if row["chosen"] == "1"]), 1)
        rows = self.rows("--conv", TINY, "--algo", "auto")
        self.assertEqual([(row["chosen"], row["source"]) for row in rows], [("1", "measured")])

    def test_workspace_limit(self):
        rows = self.rows("--conv", TINY, "--max-workspace", "0", cache="")
        chosen = [row for row in rows if row["chosen"] == "1"]
        self.assertEqual([row["workspace_bytes"] for row in chosen], ["0"])

    def test_why_shows_every_candidate(self):
        out = self.path("out.csv")
        text = self.good("--conv", TINY, "--why", "--csv", out).stdout
        with open(out, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                self.assertRegex(text, rf"(?m)^  [* ] {re.escape(row['candidate'])} +{row['status']} ")

    def test_every_run_lists_the_same_candidates(self):
        """The first one finds a cache without the constants of the machine, and measures them."""
        runs = [self.rows("--net", "resnet50", "--budget", "0") for _ in range(2)]
        lists = [[(row["name"], row["candidate"]) for row in rows] for rows in runs]
        self.assertEqual(*lists)

    def test_profile_shows_phases(self):
        self.assertRegex(self.good("--conv", TINY, "--profile").stdout, r"\n    \S+:.* rest \d+\.\d %\n")

    def test_quiet(self):
        result = self.good("--conv", TINY, "--quiet")
        self.assertEqual(result.stdout + result.stderr, "")

    def test_lists(self):
        algorithms = self.good("--list-algos").stdout
        for name in ("reference", "direct", "im2col", "rows"):
            self.assertIn(name, algorithms)
        nets = self.good("--list-nets").stdout
        self.assertRegex(nets, r"resnet50 +23 +53 .*25,557,032")
        self.assertEqual(len(nets.splitlines()), 16)
        machine = self.good("--machine").stdout
        for name in ("processor", "isa built", "isa usable", "isa in use", "L2 cache", "GFLOP/s", "GB/s", "int8"):
            self.assertIn(name, machine)

    def test_verify(self):
        result = self.good("--conv", TINY, "--pass", "all", "--layout", "all", "--verify")
        self.assertEqual(result.stdout.count(" 0 wrong or failed; largest error"), 6)
        rows = self.rows("--net", "mobilenet_v2", "--shrink", "8", "--verify", "--algo", "im2col")
        self.assertEqual({row["status"] for row in rows}, {"ok"})
        self.assertEqual({row["median_ms"] for row in rows}, {""})
        self.assertFalse(os.path.exists(self.cache))

    def test_compare(self):
        old = self.path("old.csv")
        self.good("--conv", TINY, "--csv", old)
        result = self.good("--conv", TINY, "--compare", old)
        self.assertIn("1 layers compared, 0 slower, 0 faster", result.stdout)
        self.assertIn("geometric mean of new/old: 1.000", result.stdout)
        with open(old, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:   # an interval as narrow as can be: on a busy machine one may span more than ten times
            row["ci_high_ms"] = row["ci_low_ms"]
            for column in ("median_ms", "ci_low_ms", "ci_high_ms"):
                row[column] = row[column] and str(float(row[column]) / 1e6)   # outside any interval
        faked = io.StringIO()
        writer = csv.DictWriter(faked, COLUMNS.split(","))
        writer.writeheader()
        writer.writerows(rows)
        slower = self.good("--conv", TINY, "--compare", self.write("faked.csv", faked.getvalue())).stdout
        self.assertIn("SLOWER", slower)
        self.assertIn("geometric mean of new/old: 1000000.000", slower)

    def test_compare_refuses_what_is_no_result_file(self):
        self.refused("--conv", TINY, "--compare", self.path("absent.csv"), named=["absent.csv"])
        grid = self.write("g.csv", GRID_HEADER + "a,1,8,9,9,8,3,3,1,1,1,1,1,1,1,1\n")
        self.refused("--conv", TINY, "--compare", grid,
                     named=["g.csv", "line 1", "column problem"])
        bad = "problem,candidate,chosen,median_ms,ci_low_ms,ci_high_ms,threads,isa,machine\n"
        bad += "x,direct,1,fast,1,1,1,avx2,m\n"
        self.refused("--conv", TINY, "--compare", self.write("bad.csv", bad),
                     named=["bad.csv", "line 2", "column median_ms", "'fast'"])

    # ---- trouble ----

    def test_a_cache_that_cannot_be_written(self):
        below_a_file = os.path.join(self.write("file", "x"), "cache")
        result = self.good("--conv", TINY, cache=below_a_file, status=1)
        self.assertIn("total of 1 timed layers", result.stdout)
        self.assertEqual(result.stderr.count("not stored"), 1, result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)

    def test_results_that_cannot_be_written(self):
        self.refused("--conv", TINY, "--csv", self.path("no/such/folder.csv"), named=["folder.csv"])
        result = self.good("--conv", TINY, "--csv", "/dev/full", status=1)
        self.assertIn("total of 1 timed layers", result.stdout)
        self.assertIn("/dev/full", result.stderr)

    def test_a_damaged_cache_is_told_and_survived(self):
        self.good("--conv", TINY)
        for name in os.listdir(self.cache):
            with open(os.path.join(self.cache, name), "r+b") as file:
                damaged = file.read().replace(b"rec ", b"rex ", 1)
                file.seek(0)
                file.write(damaged)
        result = self.good("--conv", TINY)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertIn(self.cache, result.stderr)

    def test_ctrl_c_keeps_what_was_measured(self):
        out = self.path("out.csv")
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            cache = self.path(f"cache{status}")
            command = [BENCH, "--threads", "1", "--cache", cache, "--conv", TINY, "--net", "resnet50", "--mode",
                       "exhaustive", "--csv", out]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                deadline = time.monotonic() + 60
                while not (os.path.exists(out) and os.path.getsize(out) > len(COLUMNS) + 1):
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.05)
                process.send_signal(number)
                table, _ = process.communicate(timeout=60)
            self.assertEqual(process.returncode, status)
            self.assertIn("largest workspace", table)
            self.assertIn("answered 1 of 1", self.good("--conv", TINY, cache=cache).stdout)
            os.remove(out)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
