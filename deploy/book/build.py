"""Builds the handbook: build.py CONTACTSYNC MDBOOK FOLDER

Every page comes from its one source: documents of the repository as they are, settings from the defaults file, commands and exit
codes from the program itself, reasons from the runbook. Links between documents become links between pages; a file that a document
leads to is put beside them. At the end every link of the book is followed.
"""

import html.parser
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Chapters, each with its pages: title and document. What is made here has a name without a folder.
CHAPTERS = {
    "": [("Introduction", "README.md")],
    "Set up": [
        ("From an empty subscription to a running service", "deploy/README.md"),
        ("Helm", "deploy/helm/contactsync/README.md"),
        ("Terraform", "deploy/terraform/README.md"),
        ("Rights in Dataverse", "deploy/dataverse/README.md"),
    ],
    "Run": [
        ("Day by day", "deploy/operating.md"),
        ("Runbook", "deploy/runbook.md"),
        ("Dashboard and alerts", "deploy/grafana/README.md"),
        ("Security", "SECURITY.md"),
        ("Upgrading", "deploy/upgrading.md"),
        ("Changelog", "CHANGELOG.md"),
    ],
    "Reference": [
        ("Settings", "settings.md"),
        ("Commands", "commands.md"),
        ("Exit codes", "exit-codes.md"),
        ("JSON", "deploy/json.md"),
        ("Dead-letter reasons", "reasons.md"),
        ("Metrics", "deploy/metrics.md"),
    ],
    "Change it": [
        ("Contributing", "CONTRIBUTING.md"),
        ("Architecture", "ARCHITECTURE.md"),
        ("Load and figures", "tests/README.md"),
        ("The local services", "tests/emulator/README.md"),
        ("What they do not do", "tests/emulator/LIMITS.md"),
        ("Local Graph", "tests/emulator/src/graph/README.md"),
        ("Local Dataverse", "tests/emulator/src/dataverse/README.md"),
        ("Microsoft's clients as judges", "tests/interop/README.md"),
    ],
}


def slug(source: str) -> str:
    """The file of a page in the book."""
    if source == "README.md":
        return "index.md"
    return re.sub(r"/?README\.md$|\.md$", "", source).replace("/", "-").lower() + ".md"


def paragraphs(comment: list[str]) -> str:
    """The comment of a setting as Markdown: tables and examples stay as they are written."""
    blocks: list[tuple[bool, list[str]]] = []
    for line in comment:
        # Continued lines of a list of names are indented; so are examples.
        as_is = bool(re.match(r"\s{2,}|\S+:\s{2,}", line)) or line.lstrip().startswith("{")
        if not blocks or blocks[-1][0] != as_is:
            blocks.append((as_is, []))
        blocks[-1][1].append(line)
    texts = []
    for as_is, lines in blocks:
        text = "\n".join(lines)
        texts.append(f"```text\n{text}\n```" if as_is else re.sub(r"([<>*_\[\]|])", r"\\\1", text))
    return "\n\n".join(texts)


def settings_page() -> tuple[str, int]:
    """Every key with its default and its words, and how many there are."""
    page = [
        "# Settings\n",
        "Made from `worker/config.default.toml`, which is built into the program. Each key can stand in `contactsync.toml`, or come "
        "from the environment as `CONTACTSYNC__SECTION__KEY`; with `_FILE` behind it from a file.\n",
    ]
    section, comment, count, depth = "", [], 0, 0
    for line in (ROOT / "worker/config.default.toml").read_text().splitlines():
        if depth:
            page[-1] = page[-1].removesuffix("\n```\n") + f"\n{line}\n```\n"
            depth += line.count("[") - line.count("]")
        elif line.startswith("#"):
            comment.append(line.removeprefix("#").removeprefix(" "))
        elif found := re.fullmatch(r"\[(.+)\]", line):
            # Words above a section are about the file.
            page.append(paragraphs(comment) + "\n")
            section, comment = found[1], []
            page.append(f"## `[{section}]`\n")
        elif found := re.match(r"([a-z_0-9]+) = (.*)", line):
            count += 1
            page.append(f"### `{section + '.' if section else ''}{found[1]}`\n")
            page.append(paragraphs(comment) + f"\n\n```toml\n{found[1]} = {found[2]}\n```\n")
            depth = found[2].count("[") - found[2].count("]") if found[2].startswith("[") else 0
            comment = []
        elif comment:
            page.append(paragraphs(comment) + "\n")
            comment = []
    return "\n".join(page), count


def helps(program: str, command: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    """What each command says of itself."""
    text = subprocess.run(
        [program, *command, "--help"], capture_output=True, text=True, check=True, env={"NO_COLOR": "1"}
    ).stdout
    found = {command: text}
    for name in re.findall(r"^  ([a-z-]+) ", text.partition("\nCommands:\n")[2].partition("\n\n")[0], re.MULTILINE):
        if name != "help":
            found |= helps(program, (*command, name))
    return found


def commands_page(told: dict[tuple[str, ...], str]) -> str:
    """All commands with their help."""
    page = ["# Commands\n", "As the program itself tells them.\n"]
    for command, text in told.items():
        page.append(f"{'##' if len(command) < 2 else '###'} `{' '.join(('contactsync', *command))}`\n\n```text\n{text.rstrip()}\n```\n")
    return "\n".join(page)


def exit_codes_page(told: dict[tuple[str, ...], str]) -> str:
    """What the commands say of their exit codes."""
    page = ["# Exit codes\n", "Where a command says nothing of its own, the first line counts.\n", "| command | exit codes |", "| --- | --- |"]
    for command, text in told.items():
        for found in re.findall(r"^Exit codes?:? (.*(?:\n(?! *\n| +-).+)*)", text, re.MULTILINE):
            page.append(f"| `{' '.join(('contactsync', *command))}` | {' '.join(found.split())} |")
    assert len(page) > 5, "no command tells its exit codes"
    return "\n".join(page) + "\n"


def reasons_page() -> tuple[str, int]:
    """Every reason with the first sentence of its entry in the runbook."""
    _, _, section = (ROOT / "deploy/runbook.md").read_text().partition("\n## Dead letters\n")
    section = section.partition("\n## ")[0]
    page = ["# Dead-letter reasons\n", "Each leads to what to do. A reason is never renamed.\n", "| reason | what it says |", "| --- | --- |"]
    for entry in section.split("\n### ")[1:]:
        name, _, text = entry.partition("\n")
        first = re.split(r"(?<=[.:])\s", " ".join(text.split()), maxsplit=1)[0].replace("|", "\\|")
        page.append(f"| [`{name}`](deploy/runbook.md#{name.lower()}) | {first} |")
    return "\n".join(page) + "\n", len(page) - 4


def relinked(text: str, source: str, pages: dict[str, str], book: pathlib.Path) -> str:
    """The text with links that lead where they led, inside the book."""
    folder = pathlib.PurePosixPath(source).parent

    def lead(found: re.Match) -> str:
        label, target = found[1], found[2]
        if "://" in target or target.startswith(("#", "mailto:")):
            return found[0]
        file, _, anchor = target.partition("#")
        path = (ROOT / folder / file).resolve().relative_to(ROOT)
        if str(path) in pages:
            return f"[{label}]({pages[str(path)]}{'#' + anchor if anchor else ''})"
        if (ROOT / path).is_dir():
            readme = str(path / "README.md")
            return f"[{label}]({pages[readme]})" if readme in pages else label
        assert (ROOT / path).is_file(), f"{source}: {target} leads nowhere"
        # A name that is no page and that a browser shows as it is.
        copy = book / "files" / (path if path.suffix in (".png", ".svg", ".json") else f"{path}.txt")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, copy)
        return f"[{label}]({copy.relative_to(book)})"

    parts = re.split(r"(^```.*?^```)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if at % 2 else re.sub(r"\[((?:[^\]\[]|\[[^\]]*\])*)\]\(([^)\s]+)\)", lead, part) for at, part in enumerate(parts))


class Links(html.parser.HTMLParser):
    """Names and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names, self.links = set(), []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        """Notes what can be led to and what leads."""
        given = dict(attributes)
        self.names.add(given.get("id"))
        lead = given.get("href") if tag == "a" else given.get("src") if tag == "img" else None
        if lead:
            self.links.append(lead)


def follow(built: pathlib.Path) -> int:
    """Follows every link of the book that does not lead outside."""
    pages = {path: Links(path.read_text()) for path in built.rglob("*.html")}
    wrong, seen = [], 0
    for path, page in pages.items():
        if path.name in ("print.html", "404.html", "toc.html"):
            continue
        for href in page.links:
            parsed = urllib.parse.urlsplit(href)
            if parsed.scheme:
                continue
            seen += 1
            target = (path.parent / urllib.parse.unquote(parsed.path)).resolve() if parsed.path else path
            if not target.exists():
                wrong.append(f"{path.name}: {href} leads nowhere")
            elif parsed.fragment and target in pages and urllib.parse.unquote(parsed.fragment) not in pages[target].names:
                wrong.append(f"{path.name}: {href} names no heading")
    assert not wrong, "\n".join(sorted(set(wrong)))
    return seen


def main(program: str, mdbook: str, folder: pathlib.Path) -> None:
    """Writes the pages, lets mdBook build them, and looks at what came out."""
    shutil.rmtree(folder, ignore_errors=True)
    book = folder / "src"
    book.mkdir(parents=True)
    shutil.copyfile(ROOT / "deploy/book/book.toml", folder / "book.toml")

    told = helps(program)
    settings, keys = settings_page()
    reasons, known = reasons_page()
    made = {"settings.md": settings, "commands.md": commands_page(told), "exit-codes.md": exit_codes_page(told), "reasons.md": reasons}

    slugs = {source: slug(source) for pages in CHAPTERS.values() for _, source in pages}
    summary = ["# Summary\n"]
    for chapter, pages in CHAPTERS.items():
        summary.append(f"\n# {chapter}\n" if chapter else "")
        for title, source in pages:
            text = made[source] if source in made else (ROOT / source).read_text()
            # What serves as documentation of Rust begins without a title, and hides lines of its examples.
            if "/src/" in source:
                text = f"# {title}\n\n" + re.sub(r"^# (?=\S)", "## ", re.sub(r"^```rust.*?^```", lambda found: re.sub(r"^# .*\n|^#\n", "", found[0], flags=re.MULTILINE), text, flags=re.MULTILINE | re.DOTALL), flags=re.MULTILINE)
            (book / slugs[source]).write_text(relinked(text, source, slugs, book))
            summary.append(f"{'- ' if chapter else ''}[{title}]({slugs[source]})")
    (book / "SUMMARY.md").write_text("\n".join(summary) + "\n")

    subprocess.run([mdbook, "build", str(folder)], check=True, capture_output=True)
    built = folder / "html"
    links = follow(built)
    [index] = built.glob("searchindex*.js")
    words = index.read_text()
    for word in ("lease_queue", "UserNotFound", "contactsync_messages_total", "dead-letters"):
        assert word.lower() in words.lower(), f"a search does not find {word}"
    assert keys > 80 and known > 20 and len(told) > 30, (keys, known, len(told))
    print(f"   book: {sum(map(len, CHAPTERS.values()))} pages with {keys} settings, {len(told)} commands, {known} reasons; all {links} links lead somewhere")


if __name__ == "__main__":
    main(str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2], pathlib.Path(sys.argv[3]).resolve())
