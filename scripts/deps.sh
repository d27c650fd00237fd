# SPDX-License-Identifier: Apache-2.0
# Sourced by bench.sh and test.sh: `need PACKAGE...` makes Debian packages present. Root installs what is missing;
# anyone else is told the exact command.

installed() {
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

need() {
    missing=
    for package; do
        installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "$0: this system has no apt-get; please install what these Debian packages hold:$missing" >&2
        exit 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        echo "$0: some packages are missing; please run" >&2
        echo "    sudo apt-get install$missing" >&2
        exit 1
    fi
    echo "installing$missing"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# To build and run; to test as well. With ccache, which meson uses where it is, configurations that compile the kernels
# alike (gcc, no_openmp, no_nvcc in test.sh) compile them once.
build_packages="gcc libc6-dev meson ninja-build pkgconf libopenblas-openmp-dev libcsv-dev"
test_packages="$build_packages ccache libcmocka-dev clang libclang-rt-14-dev libomp-dev python3 man-db"

# meson's package needs no git, but the commit that results are marked with does.
[ ! -e "$(dirname "$0")/../.git" ] || build_packages="$build_packages git"

# have PACKAGE...: the same for what a machine may lack: false where it cannot be had, with the reason on the last line.
have() {
    missing=
    for package; do
        installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
        echo "only root can install$missing, with apt-get"
        return 1
    fi
    apt-get update -qq 2>/dev/null
    if ! DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes \
            apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1; then
        echo "apt-get cannot install$missing"
        return 1
    fi
}

# A cross compiler, an emulator, and libraries of a second architecture.
arm_packages="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
    libopenblas-openmp-dev:arm64 libcsv-dev:arm64 libcmocka-dev:arm64"
