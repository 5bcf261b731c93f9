#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# No CO-RE relocation: each container start would parse the kernel's BTF (17 ms).
# The records stand in .BTF.ext behind the line info.  TAP.
echo 1..2
object=${1:-bpf/fence.bpf.o}
if [ ! -s "$object" ]; then
    echo "not ok 1 - $object exists"
    exit 1
fi
echo "ok 1 - $object exists"
# GNU objcopy reads no BPF objects, so the section table is read here (ELF-64: elf(5)).  Header of .BTF.ext: magic,
# version, flags, header length, then offset and length of function info, line info and, in a longer one, CO-RE records.
length=$(/usr/bin/env python3 - "$object" <<'PY'
import struct
import sys

data = open(sys.argv[1], "rb").read()
order = "<" if data[5] == 1 else ">"
table, = struct.unpack_from(order + "Q", data, 40)
size, count, names = struct.unpack_from(order + "3H", data, 58)
sections = [struct.unpack_from(order + "IIQQQQ", data, table + i * size) for i in range(count)]
for name, _, _, _, offset, _ in sections:
    start = sections[names][4] + name
    if data[start:data.index(b"\0", start)] == b".BTF.ext":
        header, = struct.unpack_from(order + "I", data, offset + 4)
        print(struct.unpack_from(order + "I", data, offset + 28)[0] if header >= 32 else 0)
PY
)
if [ "$length" = 0 ]; then
    echo "ok 2 - CO-RE relocations: 0"
else
    echo "not ok 2 - CO-RE relocations: ${length:-no section .BTF.ext;} octets of records"
    exit 1
fi
