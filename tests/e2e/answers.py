#!/usr/bin/python3
"""answers.py [-e]: what `dig +noall +comments +question +answer +authority +additional` printed, as one line per answer
in which order and ids do not matter: question, status, flags, and the sorted records of each section. -e: with what the
EDNS line says. The proxy builds answers about addresses and service bindings anew: of those, letters
have no case, hints and ECH are left out, and where there is an answer, the other sections.
"""
import re
import sys

REBUILT = {"A", "AAAA", "HTTPS", "SVCB"}
FIELDS = re.compile(r"status: (\w+)")
FLAGS = re.compile(r";; flags: ([a-z ]*);")


def show(answer, sections, edns):
    question = sections.get("QUESTION", ["-"])[0].lstrip(";").split()
    rebuilt = question[-1] in REBUILT
    words = [" ".join(question), answer.get("status", "-"), answer.get("flags", "-")]
    if "-e" in sys.argv[1:]:
        words.append(edns)
    for name in ("ANSWER",) if rebuilt and "ANSWER" in sections else ("ANSWER", "AUTHORITY", "ADDITIONAL"):
        records = [" ".join(line.split()) for line in sections.get(name, [])]
        if rebuilt:
            records = [re.sub(r" (ipv[46]hint|ech)=\S+", "", record).lower() for record in records]
        words.append(f"{name[:2]}: " + "; ".join(sorted(records)))
    print(" | ".join(words))


def main():
    answer, sections, section, edns = None, {}, None, "-"
    for line in sys.stdin:
        line = line.rstrip("\n")
        if ">>HEADER<<" in line:
            if answer is not None:
                show(answer, sections, edns)
            answer, sections, section, edns = {"status": FIELDS.search(line)[1]}, {}, None, "-"
        elif line.startswith(";; flags:"):
            answer["flags"] = FLAGS.match(line)[1]
        elif line.startswith("; EDNS:"):
            edns = re.sub(r"udp: \d+", "", line)
        elif match := re.match(r";; (\w+) SECTION:", line):
            section = match[1]
        elif line.startswith(";;") and not line.startswith(";; "):
            section = None
        elif line.startswith(";; "):  # a remark: truncated, timed out, …
            if not line.startswith((";; OPT", ";; Got answer")):
                print(line)
        elif line and section and (section == "QUESTION") == line.startswith(";"):
            sections.setdefault(section, []).append(line)
    if answer is not None:
        show(answer, sections, edns)


main()
