#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Replays the committed corpora through the fuzz targets; a crash fails.  TAP.
: "${srcdir:?}" # set by automake
n=0
rc=0
echo 1..11
for target in dns_answer dns_query json list_adblock list_dnsmasq list_hosts list_plain list_rpz payload policy report; do
    n=$((n + 1))
    if out=$("tests/fuzz/replay_$target" "$srcdir/tests/corpus/$target" 2>&1); then
        echo "ok $n - corpus $target: $(echo "$out" | tail -n 1)"
    else
        echo "not ok $n - corpus $target"
        echo "$out" | sed 's/^/# /'
        rc=1
    fi
done
exit $rc
