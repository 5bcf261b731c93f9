#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# No CO-RE relocation: each container start would parse the kernel's BTF (17 ms).
# The records stand in .BTF.ext after line info; llvm names them.  TAP.
echo 1..2
object=bpf/fence.bpf.o
if [ ! -s $object ]; then
    echo "not ok 1 - $object exists"
    exit 1
fi
echo "ok 1 - $object exists"
# .BTF.ext header: magic, version, flags, hdr_len, func off/len, line off/len, core off/len;
# the last word is the length of the CO-RE section, absent in a short header.
hex=$(objcopy -O binary --only-section=.BTF.ext --set-section-flags .BTF.ext=alloc \
    $object /dev/stdout 2>/dev/null | od -An -v -tu4 -N 32 | tr -s ' \n' ' ')
# shellcheck disable=SC2086 # words
set -- $hex
header_len=$2
core_len=${8:-0}
if [ "$header_len" -lt 32 ] || [ "$core_len" -eq 0 ]; then
    echo "ok 2 - CO-RE relocations: 0"
else
    echo "not ok 2 - CO-RE relocations: $core_len octets of records"
    exit 1
fi
