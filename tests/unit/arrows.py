#!/usr/bin/python3
"""arrows.py [TREE]: holds the rules of HACKING.md about who includes whom. Without a fault it prints one line; else a line
for each fault, and exit status 1.

A .c and its .h are one unit. Faults are: an include against the arrows, units that include each other (a circle), a .c
whose header is missing and which the internal.h of its folder does not list, an include of a file that does not exist, a
struct, union or enum that is defined twice, and a library that only some units may use.
"""
import os
import re
import sys

TOPS = ("bpf", "hook", "proxy", "lib", "cli")
SHARED = {"bpf/abi.h", "bpf/embedded.h"}
# which folders a folder may include, beside itself
ARROWS = {
    "bpf": set(),
    "lib/base": set(),
    "lib/policy": {"lib/base"},
    "lib/event": {"lib/base"},
    "lib/fence": {"lib/policy", "lib/base"},
    "hook": {"lib/base", "lib/policy", "lib/event", "lib/fence"},
    "proxy": {"lib/base", "lib/policy", "lib/event", "lib/fence"},
    "cli": {"lib/base", "lib/policy", "lib/event"},
}
# a header, and the units that alone may include it
ONLY = {
    r"yajl/.*": r"lib/(base/json.*|event/.*)",
    r"(fence|lsm)\.skel\.h": r"lib/fence/.*",
    r"seccomp\.h": r"proxy/sandbox",
    r"sys/capability\.h": r"proxy/sandbox",
}
# units that do no I/O, and headers of the ways to do it
PURE = r"(proxy/dns/.*|proxy/worker/decide|lib/policy/verdict|lib/base/hash)"
IO = r"(unistd|fcntl|poll|dirent|bpf/bpf)\.h|sys/(socket|epoll|stat|mman|ioctl|uio)\.h"


def sources(tree):
    for top in TOPS:
        for folder, _, names in os.walk(os.path.join(tree, top)):
            for name in sorted(names):
                if re.search(r"\.[ch]$", name) and not name.endswith(".skel.h"):
                    yield os.path.relpath(os.path.join(folder, name), tree)


def unit(path):
    return re.sub(r"\.[ch]$", "", path)


def place(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "lib" else parts[0]


def circles(graph):
    """Strongly connected components of more than one unit (Tarjan)."""
    index, low, stack, on, found = {}, {}, [], set(), []

    def visit(v):
        index[v] = low[v] = len(index)
        stack.append(v)
        on.add(v)
        for w in graph.get(v, ()):
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in on:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            part = []
            while True:
                w = stack.pop()
                on.discard(w)
                part.append(w)
                if w == v:
                    break
            if len(part) > 1:
                found.append(sorted(part))

    for v in sorted(graph):
        if v not in index:
            visit(v)
    return found


def main():
    tree = sys.argv[1] if len(sys.argv) > 1 else "."
    sys.setrecursionlimit(10000)
    paths = list(sources(tree))
    known, faults, graph, tags = set(paths), [], {}, {}
    listed = {}
    texts = {path: open(os.path.join(tree, path), encoding="utf-8").read() for path in paths}
    for path, text in texts.items():
        if os.path.basename(path) == "internal.h":
            listed[os.path.dirname(path)] = set(re.findall(r"\b([a-z0-9_]+\.c)\b", text))
    for path, text in texts.items():
        here, graph_of = place(path), graph.setdefault(unit(path), set())
        for kind, target in re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', text, re.M):
            if kind == "<" or target.endswith(".skel.h"):
                for header, users in ONLY.items():
                    if re.fullmatch(header, target) and not re.fullmatch(users, unit(path)):
                        faults.append(f"{path}: includes <{target}>, which is for {users} alone")
                if re.fullmatch(IO, target) and re.fullmatch(PURE, unit(path)):
                    faults.append(f"{path}: includes <{target}>, but does no I/O")
                continue
            if target not in known:
                faults.append(f"{path}: includes {target}, which does not exist")
                continue
            there = place(target)
            if target not in SHARED and there != here and there not in ARROWS.get(here, set()):
                faults.append(f"{path}: includes {target}: no arrow leads from {here} to {there}")
            if unit(target) != unit(path):
                graph_of.add(unit(target))
        for tag in re.findall(r"^(?:struct|union|enum) (df_\w+)\s*\{", text, re.M):
            tags.setdefault(tag, []).append(path)
        if path.endswith(".c") and not path.endswith(".bpf.c"):
            folder, name = os.path.split(path)
            # a program's main is called by nobody
            if path[:-1] + "h" not in known and name not in listed.get(folder, set()) and \
                    not re.search(r"^int main\(", text, re.M):
                faults.append(f"{path}: has no header, and no internal.h lists it")
    for tag, where in sorted(tags.items()):
        if len(where) > 1:
            faults.append(f"{tag}: defined in {', '.join(where)}")
    for circle in circles(graph):
        faults.append("include each other: " + ", ".join(circle))
    for fault in faults:
        print(fault)
    if not faults:
        print(f"{len(paths)} files, {len(graph)} units, no fault")
    return 1 if faults else 0


sys.exit(main())
