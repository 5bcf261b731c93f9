#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""start.py BUNDLE… : what a hook adds to `crun run`, in milliseconds.

Each BUNDLE directory holds a config.json; the first is the one without a hook.
Rounds run all bundles in random order; printed are the medians and the median
paired difference to the first.  Called by bench/start, which makes the bundles.
"""
import os
import random
import statistics
import subprocess
import sys
import time

ROUNDS = int(os.environ.get("ROUNDS", "60"))
RUNTIME = os.environ.get("RUNTIME", "crun")


def run(bundle, number):
    name = f"bench-{os.path.basename(bundle)}-{number}"
    begin = time.perf_counter()
    subprocess.run([RUNTIME, "run", "--bundle", bundle, name], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begin) * 1000


def main():
    bundles = sys.argv[1:]
    times = {bundle: [] for bundle in bundles}
    for number in range(-3, ROUNDS):
        for bundle in random.sample(bundles, len(bundles)):
            took = run(bundle, number)
            if number >= 0:  # the first rounds warm up
                times[bundle].append(took)
    base = times[bundles[0]]
    print(f"{RUNTIME} run, {ROUNDS} rounds, ms: median (min), median paired difference to the first")
    for bundle in bundles:
        taken = times[bundle]
        delta = statistics.median(t - b for t, b in zip(taken, base))
        print(f"  {os.path.basename(bundle):12} {statistics.median(taken):6.1f} ({min(taken):5.1f})  {delta:+5.2f}")


main()
