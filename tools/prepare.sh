#!/usr/bin/env bash
# Sees that this machine has what the Makefile cannot bring itself:
# a Python that can make a virtual environment, and gcc.
set -euo pipefail

# As root on Debian and its kin the missing package is installed, elsewhere the command is told.
install() {
    local what=$1 package=$2
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "set-up: missing: $what. Installing the package $package"
        apt-get update -qq </dev/null
        DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "$package" </dev/null >/dev/null
    else
        echo "set-up: missing: $what. Install it and run make again; on Debian and Ubuntu:" >&2
        echo "    sudo apt-get install $package" >&2
        exit 1
    fi
}

# The first Python that is new enough; PYTHON=... decides otherwise.
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

case "${1:-}" in
venv)
    folder=$2
    [ -x "$folder/bin/python" ] && exit 0
    find_python >/dev/null || install "Python 3.11 or later" python3
    python=$(find_python) || { echo "set-up: Python 3.11 or later is needed; name it with PYTHON=..." >&2; exit 1; }
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install "Python's venv module" python3-venv
    echo "set-up: making $folder with $("$python" --version)"
    "$python" -m venv "$folder"
    ;;
gcc)
    command -v gcc >/dev/null || install "gcc" gcc
    # The C library's headers are a package of their own, which gcc only recommends.
    echo '#include <stdio.h>' | gcc -E -x c - >/dev/null 2>&1 || install "the C library's headers" libc6-dev
    ;;
*)
    echo "usage: tools/prepare.sh venv FOLDER | gcc" >&2
    exit 2
    ;;
esac
