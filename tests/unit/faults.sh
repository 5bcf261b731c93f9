#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# In a build with --enable-sanitizers: each sort of fault ends the program, and its report lands where the end-to-end
# tests look, whether somebody reads descriptor 2 (a pipe) or nobody does (/dev/null). TAP.
directory=tests/unit/faults.tmp
n=0
rc=0

try() { # FAULT WHERE-STDERR-GOES REGEX
    n=$((n + 1))
    rm -rf "$directory"
    mkdir "$directory"
    # options of whoever calls make check must not stand in for those that are compiled in
    if [ "$2" = null ]; then
        env -u ASAN_OPTIONS -u UBSAN_OPTIONS tests/unit/fault "$1" </dev/null >/dev/null 2>&1
        status=$?
    else
        { env -u ASAN_OPTIONS -u UBSAN_OPTIONS tests/unit/fault "$1"; echo $? >"$directory.status"; } 2>&1 | cat >&2
        status=$(cat "$directory.status")
    fi
    found=$(cat "$directory"/fault.* 2>/dev/null)
    if [ "$1 $status $found" = 'none 0 ' ] || { [ "$status" = 99 ] && echo "$found" | grep -Eq "$3"; }; then
        echo "ok $n - $1, stderr is $2"
    else
        echo "not ok $n - $1, stderr is $2: exit status $status, and:"
        echo "$found" | sed 's/^/# /'
        rc=1
    fi
}

echo 1..12
for where in null pipe; do
    try none $where ''
    try heap $where 'heap-buffer-overflow'
    try undefined $where 'runtime error: signed integer overflow'
    try leak $where 'LeakSanitizer: detected memory leaks'
    try assertion $where 'AddressSanitizer: ABRT'
    try child $where 'heap-buffer-overflow'
done
rm -rf "$directory" "$directory.status"
exit $rc
