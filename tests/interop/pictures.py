"""Pictures of the terminal: what commands show in a small world, in 80 and 120 columns. Writes SVG to deploy/terminal/, with
everything in it that differs from run to run replaced. Called by deploy/screenshots.sh."""

import html
import re
import sys

import scene

PICTURES = scene.ROOT / "deploy/terminal"
COLUMNS = (80, 120)

CELL, LINE, MARGIN = 8.4, 18, 16
INK, PAPER = "#d7dce2", "#14181d"
COLOURS = {
    "black": "#5c6773", "red": "#ff7b72", "green": "#7ee787", "brown": "#f2cc60", "blue": "#79c0ff", "magenta": "#d2a8ff",
    "cyan": "#76e3ea", "white": INK, "brightblack": "#8b949e",
}


# How ids begin that are the same in every run: those of the scene, and those that the services have.
FIXED = {one[:8] for one in (scene.user(1), scene.contact(1), scene.job(1, 1), scene.CLERK, scene.IMPORTER)}
FIXED |= {"6d7ae5bc", "5f1e7a52", "7d3a4f5e", "bd499957"}
SOME_ID = "8f14e45f-ceea-4b07-8d3c-9d2b3c4d5e6f"


def steady(text, world):
    """A line without what differs from run to run. Nothing but times changes its length."""
    for pattern, put in (
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "2026-11-30T04:30:00"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d", "2026-11-30 04:30"),
        (r"(?<![\d:])\d\d:\d\d(?![\d:])", "04:30"),
        (r"(?<=:)\d{5}\b", "10443"),
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", lambda found: found[0] if found[0][:8] in FIXED else SOME_ID),
        (r"\b\d{3}(?= entries in )", "103"),
        (r"(?<=  )\d\.\d/s(?= |$)", "0.9/s"),
        # A time that ends in zeros is shorter; nothing stands behind it.
        (r"(?<=T04:30:00\.)\d+", lambda found: "0" * (3 if len(found[0]) <= 3 else 6)),
    ):
        text = re.sub(pattern, put, text)
    return text.replace(str(world.folder), "/var/lib/contactsync"[: len(str(world.folder))].ljust(len(str(world.folder))))


def runs(line, width):
    """Pieces of a line that look alike: where each begins, its text and its looks."""
    pieces = []
    for column in range(width):
        cell = line[column]
        looks = (cell.fg, cell.bold, cell.reverse)
        if pieces and pieces[-1][2] == looks:
            pieces[-1][1] += cell.data
        else:
            pieces.append([column, cell.data, looks])
    return pieces


def escaped(text):
    """For SVG, which makes one blank of many."""
    return html.escape(text).replace(" ", "\u00a0")


def draw(terminal, world, command):
    """The screen as SVG, the command above it."""
    screen, lines = terminal.screen, []
    last = max((row for row in range(screen.lines) if screen.display[row].strip()), default=0)
    prompt = f'<text x="{MARGIN}" y="{MARGIN + 13}" fill="#7ee787">$ <tspan fill="{INK}">{html.escape(command)}</tspan></text>'
    for row in range(last + 1):
        whole = steady(screen.display[row], world)
        for column, text, (colour, bold, _) in runs(screen.buffer[row], screen.columns):
            text = whole[column : column + len(text)].rstrip()
            if not text.strip():
                continue
            lead = len(text) - len(text.lstrip())
            text, at = text.lstrip(), column + lead
            fill = COLOURS.get(colour, INK if colour == "default" else f"#{colour}")
            weight = ' font-weight="bold"' if bold else ""
            lines.append(
                f'<text x="{MARGIN + at * CELL:.1f}" y="{MARGIN + 13 + (row + 1) * LINE}" textLength="{len(text) * CELL:.1f}" '
                f'fill="{fill}"{weight}>{escaped(text)}</text>'
            )
    width, height = MARGIN * 2 + screen.columns * CELL, MARGIN * 2 + (last + 2) * LINE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" viewBox="0 0 {width:.0f} {height}" '
        f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" xml:space="preserve">\n'
        f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>\n{prompt}\n' + "\n".join(lines) + "\n</svg>\n"
    )


class Camera:
    """Takes pictures of one width."""

    def __init__(self, world, columns):
        self.world, self.columns = world, columns

    def keep(self, name, terminal, command):
        for row, line in enumerate(terminal.screen.display):
            assert len(line.rstrip()) <= self.columns, (row, line)
        path = PICTURES / f"{name}-{self.columns}.svg"
        path.write_text(draw(terminal, self.world, "contactsync " + command))
        print(path.relative_to(scene.ROOT), path.stat().st_size, "bytes; longest silence", f"{terminal.silence:.1f} s")

    def shot(self, name, *arguments, **environment):
        _, terminal = self.world.shown(*arguments, columns=self.columns, **environment)
        self.keep(name, terminal, " ".join(arguments))


def main():
    PICTURES.mkdir(exist_ok=True)
    with scene.receiver() as hook, scene.begun(hook) as world:
        cameras = [Camera(world, columns) for columns in COLUMNS]
        for camera in cameras:
            camera.shot("check-online", "check", "--online")
            camera.shot("wrong-queue", "dead-letters", "list", CONTACTSYNC__SERVICE_BUS__QUEUE="contact")
            camera.shot("run-refused", "run", CONTACTSYNC__SERVICE_BUS__QUEUE="contact")
        with world.terminal("run", columns=cameras[0].columns, rows=400) as worker:
            world.one_by_one(worker)
            for camera in cameras:
                camera.shot("status", "status")
            worker.press("\x03")
            worker.end()
        for camera in cameras:
            with world.terminal("run", columns=camera.columns) as worker:
                worker.until("servicebus::amqp::receiver:")
                # A terminal would show that somebody pressed Ctrl-C.
                worker.process.terminate()
                worker.end()
                camera.keep("run", worker, "run")
            camera.shot("dead-letters", "dead-letters", "list")
            camera.shot("dead-letters-each", "dead-letters", "list", "--each")
            camera.shot("dead-letter", "dead-letters", "show", "3")
            camera.shot("explain-reason", "explain", "UserNotFound")
            camera.shot("explain-contact", "explain", scene.contact(1))
            camera.shot("reconcile", "reconcile", "--plan")
            camera.shot("held", "held", "list")
            camera.shot("held-each", "held", "list", "--each")
            camera.shot("notify", "notify", "test")
            with world.terminal("replay", columns=camera.columns) as asking:
                asking.until("[y/N]")
                asking.press("n\r")
                asking.end()
                camera.keep("replay-asks", asking, "replay")


if __name__ == "__main__":
    sys.exit(main())
