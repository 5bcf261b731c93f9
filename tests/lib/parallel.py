#!/usr/bin/python3
"""parallel.py JOBS COMMAND… -- FILE.bats…: runs test files on several grounds at once, as one TAP stream.

Each of JOBS processes of COMMAND (tests/run-root --serve) has a ground of its own, reads names of files and runs them;
whoever is ready gets the next one, the largest first. A file with a line "# alone: REASON" runs when all others are
done. Results come as they are made, numbered through, the plan at the end. A file that ends before its plan, with its
ground or without, is a failed test. Exit status 1 if a test failed.
"""
import queue
import re
import signal
import subprocess
import sys
import threading
import time

RESULT = re.compile(r"^(ok|not ok) \d+ (.*)$", re.S)
END = "# end of file"


class Stream:
    """The one output: a result and the lines that explain it stay together."""

    def __init__(self):
        self.lock = threading.Lock()
        self.count = 0
        self.failed = 0

    def show(self, block):
        with self.lock:
            if match := RESULT.match(block):
                self.count += 1
                self.failed += match.group(1) != "ok"
                block = f"{match.group(1)} {self.count} {match.group(2)}"
            sys.stdout.write(block)
            sys.stdout.flush()


class Ground:
    def __init__(self, command, stream):
        self.command, self.stream, self.process = command, stream, None

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        errors="replace", bufsize=1)

    def run(self, path):
        """One file. What follows a result belongs to it, so it is shown when the next one comes."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        began, plan, seen, block, status = time.monotonic(), None, 0, "", None
        try:
            self.process.stdin.write(path + "\n")
        except OSError:
            pass  # it has ended: there is nothing to read either
        for line in self.process.stdout:
            if line.startswith(END):
                status = line[len(END):].strip()
                break
            if match := re.match(r"^1\.\.(\d+)", line):
                plan = int(match.group(1))
                continue
            if RESULT.match(line):
                seen += 1
                self.stream.show(block)
                block = ""
            block += line
        self.stream.show(block)
        name = path.rsplit("/", 1)[-1]
        if status is None:
            self.process.wait()
            status = f"and so did its ground, with status {self.process.returncode}"
        if plan is None or plan != seen:
            self.stream.show(f"not ok 0 {name} ended after {seen} tests of {plan or 'no plan'} {status}\n")
        self.stream.show(f"# {name}: {seen} tests, {time.monotonic() - began:.0f} s\n")

    def stop(self):
        if self.process is not None:
            try:
                self.process.stdin.close()
            except OSError:
                pass
            self.process.wait()

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()


def read(path):
    with open(path, encoding="utf-8") as source:
        return source.read()


def work(ground, files):
    while True:
        try:
            path = files.get_nowait()
        except queue.Empty:
            return
        ground.run(path)


def main():
    jobs, separator = int(sys.argv[1]), sys.argv.index("--")
    command, paths = sys.argv[2:separator], sys.argv[separator + 1:]
    texts = {path: read(path) for path in paths}
    paths.sort(key=lambda path: texts[path].count("\n@test "), reverse=True)
    together, alone = queue.Queue(), queue.Queue()
    for path in paths:
        (alone if re.search(r"^# alone: ", texts[path], re.M) else together).put(path)
    stream = Stream()
    grounds = [Ground(command, stream) for _ in range(min(jobs, len(paths)))]

    def interrupted(_signal, _frame):
        for ground in grounds:
            ground.end()
        sys.exit(130)

    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGINT, interrupted)
    threads = [threading.Thread(target=work, args=(ground, together), daemon=True) for ground in grounds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work(grounds[0], alone)
    for ground in grounds:
        ground.stop()
    print(f"1..{stream.count}")
    return 1 if stream.failed else 0


sys.exit(main())
