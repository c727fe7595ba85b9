"""page.py - the sections of docs/performance.md that measurements write; what lies between is written by hand."""
import re


def put(path, section, text):
    """Replaces what stands between the two marks of `section`; a section that the page lacks is added at its end."""
    marks = [f"<!-- {section} -->", f"<!-- end of {section} -->"]
    block = "\n".join([marks[0], text.strip("\n"), marks[1]])
    try:
        with open(path, encoding="utf-8") as page:
            old = page.read()
    except FileNotFoundError:
        old = ""
    found = re.search(re.escape(marks[0]) + ".*?" + re.escape(marks[1]), old, re.DOTALL)
    new = old[:found.start()] + block + old[found.end():] if found else old + block + "\n"
    with open(path, "w", encoding="utf-8") as page:
        page.write(new)
