#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Who may include whom, and circles: tests/unit/arrows.py.  TAP.
echo 1..1
srcdir=${srcdir:-.}
if faults=$(/usr/bin/env python3 "$srcdir/tests/unit/arrows.py" "$srcdir"); then
    echo "ok 1 - includes: $faults"
else
    echo "not ok 1 - includes"
    echo "$faults" | sed 's/^/# /'
fi
