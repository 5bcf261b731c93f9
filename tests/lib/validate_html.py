#!/usr/bin/python3
"""validate_html.py FILE ("-": standard input): whether a page is well-formed, and brings all it needs with it.

Every element that needs an end has one, nested properly; attributes stand once; no script, no event handler, no style
attribute, and no reference but data: and a place in the page. Exit status 1 with what is wrong.
"""
import html.parser
import sys

VOID = {"meta", "link", "br", "hr", "img", "input"}
SVG_EMPTY = {"rect", "circle", "path", "line"}
ALLOWED = {"html", "head", "title", "style", "body", "h1", "h2", "h3", "p", "div", "span", "b", "code", "a", "ul", "li", "details",
           "summary", "table", "thead", "tbody", "tr", "th", "td", "article", "svg", "g", "text"} | VOID | SVG_EMPTY
REFERENCES = {"src", "href", "xlink:href", "action", "formaction", "data", "poster", "srcset", "background"}


class Checker(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.errors, self.seen = [], [], set()

    def error(self, text):
        self.errors.append(f"line {self.getpos()[0]}: {text}")

    def check_attributes(self, tag, attributes):
        names = [name for name, _ in attributes]
        if len(set(names)) != len(names):
            self.error(f"<{tag}> has an attribute twice")
        for name, value in attributes:
            if name.startswith("on") or name == "style":
                self.error(f"<{tag}> has {name}")
            if name in REFERENCES and not (value or "").startswith(("#", "data:")):
                self.error(f"<{tag}> refers to {value}")

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        if tag not in ALLOWED:
            self.error(f"<{tag}> is none of ours")
        self.check_attributes(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.add(tag)
        if tag not in SVG_EMPTY:
            self.error(f"<{tag}/>")
        self.check_attributes(tag, attributes)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.error(f"</{tag}> ends nothing")

    def handle_comment(self, data):
        self.error(f"a comment: {data}")


def main(path):
    with (sys.stdin if path == "-" else open(path, encoding="utf-8")) as f:
        text = f.read()
    checker = Checker()
    checker.feed(text)
    checker.close()
    if checker.open:
        checker.error(f"without an end: {checker.open}")
    checker.errors += [f"no <{tag}>" for tag in ("title", "style", "table", "svg") if tag not in checker.seen]
    print("\n".join(checker.errors) or "well-formed")
    return 1 if checker.errors else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
