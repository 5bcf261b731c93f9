#!/usr/bin/python3
"""leftovers.py snapshot FILE | check FILE [SECONDS]

What a fence may leave behind on the test host, one "KIND WHAT" a line. `check` waits up to SECONDS (3) until nothing is
there that the snapshot does not name; what stays is printed, exit status 1.

bpftool lists the programs and maps of the whole machine, and others may be at work on it. So only names that programs and
maps of a fence have count, of them none that are attached outside this ground or that a process outside of it holds,
and none that were not there at the first look. DF_LEFTOVERS_BPF=0 leaves them out altogether (attached and pinned ones of
this ground are found in any case).
"""
import json
import os
import re
import subprocess
import sys
import time

CGROUP = os.environ.get("DF_CGROUP2", "/sys/fs/cgroup")
# made by the ground's own parts or by podman's first container, and kept
KEPT_CGROUPS = re.compile(r"^/(host|world|containerd|jobs|libpod_parent(/conmon)?)?$")
KEPT_COMMANDS = ("containerd",)
KEPT_DEVICES = re.compile(r"\bdev (podman\d|jobs|job\d+|veth\w+|world)\b")
KEPT_MOUNTS = re.compile(r"^/var/lib/containers/storage/overlay$|^/run/netns$")
KEPT_FILES = re.compile(r"\.(log|jsonl)(\.1)?$|^(reported|@lsm)$")
KERNEL_S = 20
# bpf/entry.bpf.c, bpf/lsm.bpf.c and bpf/maps.bpf.h; the kernel keeps 15 octets of a name
OWN_PROGRAMS = re.compile(r"^fence_")
OWN_MAPS = re.compile(r"^(conf|tok|sks|events|counters|classes|nets|learned|own_addrs|flows|payloads|recent"
                      r"|(fence|lsm)_bp\w*\.\w+)$")
OWN_DIRECTORY = "/run/deployfence"


def command(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as source:
            return source.read()
    except OSError:
        return ""


def ancestors():
    """This process and those above it."""
    pid, found = os.getpid(), set()
    while pid > 1:
        found.add(pid)
        match = re.search(r"^PPid:\s+(\d+)", read(f"/proc/{pid}/status"), re.M)
        pid = int(match.group(1)) if match else 0
    return found


def cgroup_state():
    own = ancestors()
    for path, _, _ in os.walk(CGROUP):
        name = path[len(CGROUP):] or "/"
        if not KEPT_CGROUPS.match(name):
            yield f"cgroup {name}"
        for pid in read(path + "/cgroup.procs").split():
            status = read(f"/proc/{pid}/status")
            comm = read(f"/proc/{pid}/comm").strip()
            if not status or int(pid) in own or comm in KEPT_COMMANDS or re.search(r"^State:\s+[ZX]", status, re.M):
                continue
            words = read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
            yield f"process {pid} {comm} [{words[:120]}] in {name}"


def tree(text):
    """bpftool's tree as (cgroup, words): a line with a path, then one line per program."""
    path = ""
    for line in text.splitlines():
        words = line.split()
        if line.startswith("/"):
            path = line.strip()
        elif words and words[0].isdigit():
            yield path, words


def attached():
    for path, words in tree(command("bpftool", "cgroup", "tree", CGROUP)):
        yield f"attached program {' '.join(words)} at {path[len(CGROUP):] or '/'}"


def listed(kind):
    return json.loads(command("bpftool", "-j", kind, "list") or "[]")


def is_here(pid):
    """In a cgroup of this ground: what /proc says of one outside begins with /.. there."""
    match = re.search(r"^0::(.*)$", read(f"/proc/{pid}/cgroup"), re.M)
    return match is not None and not match.group(1).startswith("/..")


def loaded():
    if os.environ.get("DF_LEFTOVERS_BPF") == "0":
        return
    for kind, own in (("prog", OWN_PROGRAMS), ("map", OWN_MAPS)):
        for entry in listed(kind):
            holders = entry.get("pids", [])
            if own.match(entry.get("name", "")) and (not holders or any(is_here(h["pid"]) for h in holders)):
                yield f"{kind} {entry['id']} {entry['type']} {entry['name']}"


def loaded_by_others():
    """Beginnings of the lines of programs that are attached outside this ground, and of their maps."""
    outside, top, own_cgroup = os.environ.get("DF_OUTSIDE", "0 / /").split()
    if outside == "0":
        return ()
    listing = command("nsenter", "--target", outside, "--mount", "--cgroup", "--", "bpftool", "cgroup", "tree", top)
    found = {int(words[0]) for path, words in tree(listing) if not (path + "/").startswith(own_cgroup + "/")}
    maps = {number for entry in listed("prog") if entry["id"] in found for number in entry.get("map_ids", [])}
    return tuple([f"prog {number} " for number in found] + [f"map {number} " for number in maps])


def routes():
    for family in ("-4", "-6"):
        for line in command("ip", family, "route", "show", "table", "all", "type", "local").splitlines():
            if not KEPT_DEVICES.search(line):
                yield f"route {family} {line.strip()}"
        for line in command("ip", family, "rule").splitlines():
            yield f"rule {family} {line.strip()}"


def files(top, kind, kept):
    for path, _, names in os.walk(top):
        for name in names:
            if not kept or not kept.search(name):
                yield f"{kind} {os.path.join(path, name)}"


def own_state():
    """Per container: logs and events may stay, and of one that ran without a fence the mark that the next poststop
    keeps what the hook said of it. The cache of compiled policies belongs to the host."""
    if os.path.isdir(OWN_DIRECTORY):
        for entry in os.scandir(OWN_DIRECTORY):
            if entry.is_dir() and entry.name != "@policies":
                is_unfenced = '"event":"unfenced"' in read(os.path.join(entry.path, "events.jsonl"))[-4096:]
                for found in files(entry.path, "file", KEPT_FILES):
                    if not (is_unfenced and found.endswith("/unreported")):
                        yield found


def mounts():
    for line in read("/proc/self/mountinfo").splitlines():
        point = line.split()[4]
        if not KEPT_MOUNTS.match(point):
            yield f"mount {point}"


def state():
    found = set()
    for part in (cgroup_state(), attached(), loaded(), routes(), mounts(), own_state(),
                 files("/sys/fs/bpf", "pin", None), (f"netns {name}" for name in os.listdir("/run/netns"))):
        found.update(part)
    return found


def main():
    action, path = sys.argv[1:3]
    if action == "snapshot":
        with open(path, "w", encoding="utf-8") as out:
            out.write("".join(line + "\n" for line in sorted(state())))
        return 0
    before = set(read(path).splitlines())
    end = time.monotonic() + float(sys.argv[3] if len(sys.argv) > 3 else 3)
    first = None
    while True:
        after = state() - before
        first = after if first is None else first
        after = {line for line in after if line in first or not line.startswith(("prog ", "map "))}
        if any(line.startswith(("prog ", "map ")) for line in after):
            others = loaded_by_others()
            after = {line for line in after if not line.startswith(others)} if others else after
        # the kernel frees programs and maps of a cgroup that is gone when it gets to it, on a busy machine late
        is_late = time.monotonic() > end
        if not after or is_late and any(not line.startswith(("prog ", "map ")) for line in after):
            break
        if is_late and time.monotonic() > end + KERNEL_S:
            break
        time.sleep(0.05)
    for line in sorted(after):
        print(f"left behind: {line}")
    return 1 if after else 0


sys.exit(main())
