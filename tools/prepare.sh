#!/usr/bin/env bash
# Sees that this machine has what the Makefile cannot bring itself:
# a Python that can make a virtual environment, gcc, and for Kafka and Cassandra Java 17 and Maven.
set -euo pipefail

# As root on Debian and its kin the missing packages are installed, elsewhere the command is told.
install() {
    local what=$1
    shift
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "set-up: missing: $what. Installing: $*"
        apt-get update -qq </dev/null
        DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "$@" </dev/null >/dev/null && return
        echo "set-up: missing: $what, and this system's packages could not be installed: $*." >&2
        echo "    Install it by hand and run make again." >&2
    else
        echo "set-up: missing: $what. Install it and run make again; on Debian and Ubuntu:" >&2
        echo "    sudo apt-get install $*" >&2
    fi
    exit 1
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

# Cassandra 5.0 does not know later ones. JAVA_HOME=... decides first.
find_java_17() {
    local candidate
    for candidate in ${JAVA_HOME:+"$JAVA_HOME/bin/java"} java /usr/lib/jvm/*/bin/java; do
        "$candidate" -version 2>&1 | grep -q 'version "17[."]' && return
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
java)
    missing=()
    find_java_17 || missing+=(openjdk-17-jdk-headless)
    command -v mvn >/dev/null || missing+=(maven)
    [ ${#missing[@]} = 0 ] || install "Java 17 or Maven, for Kafka and Cassandra" "${missing[@]}"
    ;;
*)
    echo "usage: tools/prepare.sh venv FOLDER | gcc | java" >&2
    exit 2
    ;;
esac
