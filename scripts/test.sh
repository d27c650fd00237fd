#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The whole test suite on a fresh Debian machine: installs what is missing, builds in every configuration that is
# supported, and tests. Ends with the line "N passed, N failed, N skipped"; the exit status is 0 when nothing failed.
# Logs stay in build-test/. Usage: sh scripts/test.sh [STEP...]     (steps: see the end of this file)
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/deps.sh"
need $test_packages

out=$root/build-test
mkdir -p "$out"
passed=0
failed=0
skipped=0

# check NAME COMMAND...: one test of the suite.
check() {
    name=$1
    shift
    if "$@" >"$out/$name.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok      $name"
    else
        failed=$((failed + 1))
        echo "FAILED  $name; the end of build-test/$name.log:"
        tail -n 40 "$out/$name.log"
    fi
}

# suite NAME SETUP-ARGUMENTS... : builds one configuration and counts its tests.
suite() {
    name=$1
    shift
    began=$(date +%s)
    rm -rf "$out/$name"
    if ! meson setup "$out/$name" "$root" -Dwerror=true "$@" >"$out/$name.log" 2>&1 ||
        ! ninja -C "$out/$name" ${suite_targets:-} >>"$out/$name.log" 2>&1; then
        failed=$((failed + 1))
        echo "FAILED  $name does not build; the end of build-test/$name.log:"
        tail -n 40 "$out/$name.log"
        return
    fi
    meson test -C "$out/$name" --print-errorlogs ${suite_targets:+--no-rebuild} ${suite_arguments:-} \
        >>"$out/$name.log" 2>&1
    count=$(python3 "$root/scripts/count_tests.py" "$out/$name" "$name")
    set -- $count
    passed=$((passed + $1))
    failed=$((failed + $2))
    skipped=$((skipped + $3))
    echo "        $name: $1 passed, $2 failed, $3 skipped in $(($(date +%s) - began)) s"
    [ "$2" -eq 0 ] || tail -n 60 "$out/$name.log"
}

# CUDA is built in the gcc configuration alone: nvcc's objects would be the same in each, and take a minute. What tells
# on the host that the GPU's index maps, kernels and samples are right needs no nvcc, and runs in all of them.
step_gcc() { suite gcc; }
step_clang() { CC=clang suite clang -Dcuda=disabled; }
# Every test runs, at every level and with every shape of tests/regressions.csv. What is cut is repetition: 100 random
# problems a level instead of 1500, which took 270 s a level here (the gcc and clang steps run them all), and 10 killed
# processes instead of 40. cuDNN keeps what it allocates, which would be a leak here.
step_sanitizers() {
    export ASAN_OPTIONS=allocator_may_return_null=1 CVL_TEST_PROBLEMS=100 CVL_KILLS=10
    suite sanitizers --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false -Dcuda=disabled
    unset ASAN_OPTIONS CVL_TEST_PROBLEMS CVL_KILLS
}
step_no_openmp() {
    check builds-without-openmp sh "$root/scripts/build_only.sh" "$out/no-openmp" -Dopenmp=disabled -Dcuda=disabled
}
step_no_nvcc() {
    PATH=/usr/sbin:/usr/bin:/sbin:/bin check builds-without-nvcc sh "$root/scripts/build_only.sh" "$out/no-nvcc"
}
# What depends on the ISA level, built for Arm and run under an emulator, some fifteen times slower than here.
step_arm() {
    dpkg --print-foreign-architectures 2>/dev/null | grep -qx arm64 || dpkg --add-architecture arm64 2>/dev/null || true
    if ! reason=$(have $arm_packages); then
        skipped=$((skipped + 1))
        echo "SKIPPED arm: $reason"
        return
    fi
    suite_targets="tests/test_oracle tests/test_gemm tests/test_vec tests/test_plan tests/test_plan_args
        tests/test_workspace tests/test_alloc"
    suite_arguments="--suite levels"
    export CVL_TEST_PROBLEMS=40
    suite arm --cross-file "$root/scripts/aarch64.ini" -Donednn=disabled
    unset suite_targets suite_arguments CVL_TEST_PROBLEMS
}
step_problems() { check ten-thousand-random-problems "$out/gcc/tests/test_oracle" --problems 10000; }
step_nets() { check every-net-verified python3 "$root/tests/verify_nets.py" "$out/gcc/bench/conv-bench" "$root/bench/nets"; }
step_fuzz() {
    if echo 'int LLVMFuzzerTestOneInput(const char *b, unsigned long n) { return 0; }' |
        clang -fsanitize=fuzzer,address -x c - -o "$out/has-fuzzer" 2>"$out/fuzz.log"; then
        check fuzz sh "$root/scripts/fuzz.sh" "$out/fuzz" "${CVL_FUZZ_SECONDS:-10}"
    else
        skipped=$((skipped + 1))
        echo "skipped fuzz: clang cannot link libFuzzer: $(head -n 1 "$out/fuzz.log")"
    fi
}
step_install() { check installed-library sh "$root/tests/check_install.sh" "$root" "$out/gcc" "$out/prefix"; }

for step in ${*:-gcc problems nets install fuzz clang sanitizers arm no_openmp no_nvcc}; do
    "step_$step"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
