#!/usr/bin/python3
"""bundle.py OPTION… -- COMMAND…: turns the `runc spec` on stdin into the config.json of a job, on stdout.

Capabilities are podman's defaults. Hooks are taken from the JSON files of --hooks-dir as podman would: in the order of
their lower-cased names, where every condition of "when" holds.
"""
import argparse
import json
import os
import re
import sys

CAPABILITIES = ["CAP_" + name for name in (
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID",
    "SYS_CHROOT")]


def matches(when, annotations, command, bind_mounts):
    conditions = []
    if "always" in when:
        conditions.append(when["always"])
    for key, value in when.get("annotations", {}).items():
        conditions.append(any(re.search(key, k) and re.search(value, v) for k, v in annotations.items()))
    if "commands" in when:
        conditions.append(any(re.search(pattern, command) for pattern in when["commands"]))
    if "hasBindMounts" in when:
        conditions.append(when["hasBindMounts"] and bind_mounts)
    return bool(conditions) and all(conditions)


def hooks(directory, annotations, command, bind_mounts):
    result = {}
    names = sorted(os.listdir(directory), key=str.lower) if os.path.isdir(directory) else []
    for name in names:
        if not name.endswith(".json"):
            continue
        with open(os.path.join(directory, name), encoding="utf-8") as source:
            entry = json.load(source)
        if matches(entry["when"], annotations, command, bind_mounts):
            for stage in entry["stages"]:
                result.setdefault(stage, []).append(entry["hook"])
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rootfs", required=True)
    parser.add_argument("--netns", default="", help="path, `none` for a new one, `host`")
    parser.add_argument("--cgroup", required=True)
    parser.add_argument("--hooks-dir", required=True)
    parser.add_argument("--annotation", action="append", default=[])
    parser.add_argument("--bind", action="append", default=[], help="SOURCE:DESTINATION[:ro]")
    parser.add_argument("--cap", action="append", default=[])
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    spec = json.load(sys.stdin)
    process = spec["process"]
    process.update(terminal=False, args=options.command, cwd="/", noNewPrivileges=False)
    process["env"] = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"] + options.env
    process["capabilities"] = {kind: CAPABILITIES + options.cap for kind in ("bounding", "effective", "permitted")}
    process.pop("rlimits", None)
    spec["root"] = {"path": options.rootfs, "readonly": True}
    spec["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=1777"]})
    for bind in options.bind:
        source, destination, *flags = bind.split(":")
        spec["mounts"].append({"destination": destination, "type": "bind", "source": source,
                               "options": ["rbind", "rprivate"] + flags})
    linux = spec["linux"]
    linux["cgroupsPath"] = options.cgroup
    linux["namespaces"] = [n for n in linux["namespaces"] if n["type"] != "network"]
    if options.netns != "host":
        path = {} if options.netns == "none" else {"path": options.netns}
        linux["namespaces"].append({"type": "network", **path})
    spec["annotations"] = dict(a.split("=", 1) for a in options.annotation)
    spec["hooks"] = hooks(options.hooks_dir, spec["annotations"], options.command[0], bool(options.bind))
    json.dump(spec, sys.stdout, indent=1)


main()
