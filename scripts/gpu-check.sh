#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Everything that needs a GPU, in one command, on a machine that has CUDA and perhaps no package manager:
#     sh scripts/gpu-check.sh [SYSROOT.tar.xz]
# Configures, builds, runs every CUDA test and compute-sanitizer on few problems, and benches. SYSROOT.tar.xz holds the
# CPU libraries (a root with usr/); without it, and without a gpu-sysroot.tar.xz here, the system's are used. meson and
# ninja may be Python packages, cuDNN may be in Python's nvidia/cudnn. Logs and CSVs are left in $OUT (gpu-out); the
# last line is "gpu-check: N steps passed, N failed, N skipped".
# GPU_CHECK_SECONDS (600) bounds it all: benches share what is left. GPU_CHECK_JOBS: processes of the build (all).
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
out=${OUT:-gpu-out}
mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd)
build=${GPU_CHECK_BUILD:-$out/build}
seconds=${GPU_CHECK_SECONDS:-600}
began=$(date +%s)
passed=0
failed=0
skipped=0

left() { echo $((began + seconds - $(date +%s))); }

# say OUTCOME NAME WHY
say() { printf '%-8s%-28s%s\n' "$1" "$2" "${3:-}" | tee -a "$out/summary.txt"; }

# step NAME LIMIT COMMAND...: runs within LIMIT seconds or what is left, and keeps its output in $out/NAME.log.
step() {
    name=$1
    limit=$2
    shift 2
    [ "$limit" -le "$(left)" ] || limit=$(left)
    if [ "$limit" -lt 5 ]; then
        skipped=$((skipped + 1))
        say skipped "$name" "no time is left"
        return 1
    fi
    start=$(date +%s)
    timeout -k 10 "$limit" "$@" >"$out/$name.log" 2>&1
    status=$?
    took="$(($(date +%s) - start)) s"
    case $status in
        0) passed=$((passed + 1)) && say passed "$name" "$took" ;;
        77) skipped=$((skipped + 1)) && say skipped "$name" "$(tail -n 1 "$out/$name.log")" ;;
        124 | 137) failed=$((failed + 1)) && say FAILED "$name" "stopped after $limit s" ;;
        *) failed=$((failed + 1)) && say FAILED "$name" "exit status $status: $(tail -n 1 "$out/$name.log")" ;;
    esac
    return $status
}

finish() {
    echo "gpu-check: $passed steps passed, $failed failed, $skipped skipped" | tee -a "$out/summary.txt"
    [ "$failed" -eq 0 ]
    exit $?
}

: >"$out/summary.txt"

# ---- the machine ----

{
    date
    uname -a
    command -v nvidia-smi >/dev/null && nvidia-smi
    command -v nvcc >/dev/null && nvcc --version
    ${CC:-cc} --version
} >"$out/machine.txt" 2>&1

# ---- libraries ----

archive=${1:-$root/gpu-sysroot.tar.xz}
if [ -f "$archive" ]; then
    sysroot=$out/build-sysroot   # a name that the checks of this tree pass over
    mkdir -p "$sysroot"
    step sysroot 60 sh -c 'tar -xJf "$1" -C "$2" 2>/dev/null || python3 -c "
import sys, tarfile
tarfile.open(sys.argv[1]).extractall(sys.argv[2])" "$1" "$2"' sh "$archive" "$sysroot" || finish
    lib=$sysroot/usr/lib/x86_64-linux-gnu
    blas=$lib/openblas-pthread
    PKG_CONFIG_SYSROOT_DIR=$sysroot
    PKG_CONFIG_LIBDIR=$lib/pkgconfig:$blas/pkgconfig
    C_INCLUDE_PATH=$sysroot/usr/include:$sysroot/usr/include/x86_64-linux-gnu${C_INCLUDE_PATH:+:$C_INCLUDE_PATH}
    LIBRARY_PATH=$lib:$blas${LIBRARY_PATH:+:$LIBRARY_PATH}
    LD_LIBRARY_PATH=$lib:$blas${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    LDFLAGS="-Wl,-rpath,$lib:$blas -Wl,-rpath-link,$lib:$blas ${LDFLAGS:-}"
    export PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_LIBDIR C_INCLUDE_PATH LIBRARY_PATH LD_LIBRARY_PATH LDFLAGS
    if ! command -v pkg-config >/dev/null && [ -x "$sysroot/usr/bin/pkgconf" ]; then
        ln -sf pkgconf "$sysroot/usr/bin/pkg-config"
        PATH=$sysroot/usr/bin:$PATH
    fi
fi

# Wheels put cuDNN where neither the compiler nor the loader looks, and give it no plain .so.
wheel=$(python3 -c 'import importlib.util as u
print(list(u.find_spec("nvidia.cudnn").submodule_search_locations)[0])' 2>/dev/null)
if [ -n "$wheel" ] && ! ldconfig -p 2>/dev/null | grep -q 'libcudnn.so.9'; then
    C_INCLUDE_PATH=$wheel/include${C_INCLUDE_PATH:+:$C_INCLUDE_PATH}
    CVL_CUDNN=${CVL_CUDNN:-$wheel/lib}
    # What cuDNN loads itself: cuBLAS and NVRTC of other wheels.
    LD_LIBRARY_PATH=$wheel/lib:$(dirname "$wheel")/cu13/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export C_INCLUDE_PATH CVL_CUDNN LD_LIBRARY_PATH
fi

# ---- build ----

runner=meson
command -v meson >/dev/null || runner="python3 -m mesonbuild.mesonmain"
[ -e "$build/build.ninja" ] ||
    step configure 120 $runner setup "$build" "$root" --buildtype=release -Dcuda=enabled || finish
step build 400 ninja -C "$build" ${GPU_CHECK_JOBS:+-j "$GPU_CHECK_JOBS"} || finish
step registers 120 python3 "$root/scripts/cuda_registers.py" "$build"

# ---- tests ----

for name in $(cd "$build/tests" && ls -d test_cuda_* test_cudnn 2>/dev/null | grep -v '\.p$'); do
    step "$name" 120 "$build/tests/$name"
done

bench=$build/bench/conv-bench
step list-algos 30 "$bench" --list-algos
if ! "$bench" --device cuda --machine >"$out/rates.log" 2>&1; then
    failed=$((failed + 1))
    say FAILED device "$(tail -n 1 "$out/rates.log")"
    finish
fi
say passed device "$(head -n 1 "$out/rates.log")"
passed=$((passed + 1))
[ ! -x "$build/tests/describe-gpu" ] ||
    step describe-gpu 30 sh -c '"$1" >"$2"' sh "$build/tests/describe-gpu" "$out/device.json"

# First layers are rare among random problems, so some are named.
own=$("$bench" --list-algos | awk '$3 == "cuda" && $1 !~ /^cudnn/ { print $1 }')
for algo in $own; do
    step "oracle-$algo" 60 "$build/tests/test_oracle" --device cuda --algo "$algo" --problems 300
    step "named-$algo" 60 "$build/tests/test_oracle" --device cuda --algo "$algo" \
        --conv fwd:bf16:nhwc:n3c3h65w67k64r7s7:stride2:pad3:bias:relu \
        --conv fwd:f16:nhwc-nchw-kcrs:n2c3h34w131k70r3s3:pad1 \
        --conv fwd:bf16-bf16-f32:nhwc:n1c4h20w15k32r5s5:stride2x1:pad2:residual \
        --conv fwd:f16:nhwc:n2c1h9w40k6r3s3:const --conv fwd:bf16:nhwc:n2c64h20w20k200r3s3:pad1:residual:silu \
        --conv fwd:bf16:nhwc:n2c64h20w20k64r3s3:pad1:g64:residual:gelu \
        --conv bwd_data:bf16:nhwc:n2c64h20w20k64r3s3:pad1:stride2 --conv bwd_filter:f16:nhwc:n2c64h20w20k64r3s3:pad1
done
step named-cudnn 60 "$build/tests/test_oracle" --device cuda --algo cudnn \
    --conv fwd:bf16:nhwc:n2c64h14w14k64r3s3:pad1 \
    --conv bwd_data:f32:nchw:n2c24h15w13k40r3s3:pad1:stride2 --conv bwd_filter:f16:nhwc:n2c32h14w14k64r3s3:pad1

# ---- benches ----

peers=$(echo $own cudnn cudnn-framework | tr ' ' ',')
# net NAME SECONDS ARGUMENTS...: one table, every candidate of ours and cuDNN's, and the second peer.
net() {
    name=$1
    limit=$2
    shift 2
    step "$name" $((limit + 15)) "$bench" --device cuda --mode exhaustive --algo "$peers" --max-error 0.1 --filter packed \
        --cache "$out/cache" --csv "$out/$name.csv" --budget "$limit" "$@"
}
net resnet50-bf16-n32 35 --net resnet50 --batch 32 --dtype bf16 --layout nhwc
net mobilenet-bf16-n32 30 --net mobilenet_v2 --batch 32 --dtype bf16 --layout nhwc
net resnet50-bf16-n1 25 --net resnet50 --batch 1 --dtype bf16 --layout nhwc
net mobilenet-bf16-n1 20 --net mobilenet_v2 --batch 1 --dtype bf16 --layout nhwc
net resnet50-f32-n32 35 --net resnet50 --batch 32 --dtype f32 --layout nhwc
net mobilenet-bf16-n32-cold 25 --net mobilenet_v2 --batch 32 --dtype bf16 --layout nhwc --state cold
net backward-bf16 20 --conv bwd_data:bf16:nhwc:n32c64h56w56k64r3s3:pad1 \
    --conv bwd_filter:bf16:nhwc:n32c64h56w56k64r3s3:pad1 \
    --conv bwd_data:bf16:nhwc:n32c192h56w56k192r3s3:pad1:g192 \
    --conv bwd_filter:bf16:nhwc:n32c192h56w56k192r3s3:pad1:g192
step ratios 30 sh -c 'python3 "$1" "$2" "$3"/*.csv' sh "$root/scripts/gpu_ratios.py" "$out/rates.log" "$out"

# ---- compute-sanitizer ----

# gVisor refuses compute-sanitizer the device; that is no failure of ours. racecheck follows every access to shared
# memory: a few small problems take it as long as memcheck takes many.
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
# sanitize TOOL ALGORITHM LIMIT --conv TEXT...
sanitize() {
    tool=$1
    algo=$2
    limit=$3
    shift 3
    if [ -z "$sanitizer" ]; then
        skipped=$((skipped + 1))
        say skipped "$tool-$algo" "there is no compute-sanitizer"
        return
    fi
    step "$tool-$algo" "$limit" sh -c 'said=$1; shift; "$@" >"$said" 2>&1; status=$?; cat "$said"
        ! grep -q "Device not supported" "$said" || exit 77; exit $status' sh "$out/sanitizer.tmp" \
        "$sanitizer" --tool "$tool" --error-exitcode 99 \
        "$build/tests/test_oracle" --device cuda --algo "$algo" "$@"
}
for algo in $own; do
    sanitize memcheck "$algo" 50 --conv fwd:bf16:nhwc:n2c24h9w11k40r3s3:pad1:residual:relu \
        --conv fwd:f32:nchw:n1c3h17w19k16r7s7:stride2:pad3:bias \
        --conv bwd_data:bf16:nchw:n1c16h8w9k24r3s3:pad1:stride2 --conv bwd_filter:f16:nhwc:n2c16h8w9k24r3s3:pad1 \
        --conv fwd:bf16:nhwc:n2c32h11w9k32r3s3:pad1:g32:bias:relu6 \
        --conv bwd_filter:f32:nhwc:n3c32h11w9k64r5s5:pad2:g32 \
        --conv fwd:bf16:nhwc:n1c3h17w67k20r7s7:stride2:pad3:bias:relu --conv fwd:f16:nhwc:n2c3h9w33k68r3s3:pad1
    sanitize racecheck "$algo" 80 --conv fwd:bf16:nhwc:n1c40h5w7k24r3s3:pad1:relu \
        --conv fwd:f32:nhwc:n1c36h5w5k20r1s1 --conv fwd:bf16:nhwc:n1c16h8w7k16r3s3:pad1:g16 \
        --conv fwd:bf16:nhwc:n1c3h9w19k20r7s7:stride2:pad3:bias
done

[ ! -s "$out/ratios.log" ] || cat "$out/ratios.log"
finish
