#!/usr/bin/python3
"""Writes Twice.class: connects to port 9999 of the host in its first argument, waits 9 s, and connects again. A JRE has no
compiler; class files of version 49 need no stack maps (JVMS 4.10.1), so this is all that there is to it:

  new Socket(args[0], 9999).close(); Thread.sleep(9000L); new Socket(args[0], 9999).close();
"""
import struct
import sys

pool = []


def constant(data):
    if data not in pool:
        pool.append(data)
        if data[0] == 5:  # a long takes two entries
            pool.append(None)
    return pool.index(data) + 1


def utf8(text):
    return constant(b"\1" + struct.pack("!H", len(text)) + text.encode())


def class_of(name):
    return constant(b"\7" + struct.pack("!H", utf8(name)))


def method(owner, name, kind):
    described = constant(b"\x0c" + struct.pack("!HH", utf8(name), utf8(kind)))
    return constant(b"\x0a" + struct.pack("!HH", class_of(owner), described))


def connect():
    return (b"\xbb" + struct.pack("!H", class_of("java/net/Socket")) + b"\x59\x2a\x03\x32"  # new, dup, aload_0, iconst_0, aaload
            + b"\x11" + struct.pack("!H", 9999)  # sipush
            + b"\xb7" + struct.pack("!H", method("java/net/Socket", "<init>", "(Ljava/lang/String;I)V"))
            + b"\xb6" + struct.pack("!H", method("java/net/Socket", "close", "()V")))


def main():
    code = (connect() + b"\x14" + struct.pack("!H", constant(b"\5" + struct.pack("!q", 9000)))  # ldc2_w
            + b"\xb8" + struct.pack("!H", method("java/lang/Thread", "sleep", "(J)V")) + connect() + b"\xb1")  # return
    body = struct.pack("!HHI", 4, 1, len(code)) + code + struct.pack("!HH", 0, 0)
    attribute = struct.pack("!HI", utf8("Code"), len(body)) + body
    main_method = struct.pack("!4H", 9, utf8("main"), utf8("([Ljava/lang/String;)V"), 1) + attribute
    this, parent = class_of("Twice"), class_of("java/lang/Object")
    entries = b"".join(entry for entry in pool if entry is not None)
    sys.stdout.buffer.write(struct.pack("!IHHH", 0xcafebabe, 0, 49, len(pool) + 1) + entries
                            + struct.pack("!6H", 0x21, this, parent, 0, 0, 1) + main_method + struct.pack("!H", 0))


main()
