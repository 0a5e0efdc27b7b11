"""What people see and answer at a terminal: questions, lines that stay within it, progress, and the live view."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import scene  # noqa: E402

# A command that says nothing for longer makes people wonder, in seconds. A busy machine is slower than any person.
SILENT = 10


@pytest.fixture(scope="module")
def world():
    """Dead letters and messages held aside, which no test may use up before the last."""
    with scene.receiver() as hook, scene.begun(hook) as world:
        world.refill()
        yield world


@pytest.mark.parametrize("columns", [80, 120])
def test_what_commands_say_fits_the_terminal(world, columns):
    commands = [
        ["check"], ["check", "--online"], ["status"], ["dead-letters", "list"], ["dead-letters", "list", "--each"],
        ["dead-letters", "show", "1"], ["explain", "UserNotFound"], ["explain", scene.contact(1)],
        ["held", "list"], ["held", "list", "--each"], ["notify", "test"], ["plan", "body-0.json", "--online"],
        ["replay", "--dry-run"], ["run", "--dry-run", "--once"], ["guard", "show", scene.user(1)],
        ["dead-letters", "purge", "--reason", "UserNotFound"], ["held", "approve"], ["help"], ["held", "--help"],
        ["dead-letters", "list", "--reason", "Nope"],
    ]
    for command in commands:
        code, terminal = world.shown(*command, columns=columns)
        assert terminal.silence < SILENT, command
        # Unlike those that the screen shows, these were broken by nobody but the command.
        lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.written))
        assert max(len(line.rstrip()) for line in lines) <= columns, f"{command}: {max(lines, key=len)!r}\n{terminal.text()}"


@pytest.mark.parametrize("columns", [80, 120])
def test_what_is_told_above_a_bar_is_broken_between_words(world, columns):
    # The bar fills its lines with blanks instead of ending them, so the screen has to show it.
    code, terminal = world.shown("reconcile", "--plan", columns=columns)
    lines = [line.rstrip() for line in terminal.screen.display]
    for number in (9, 10):
        assert any(f"{scene.user(number)}: " in line and line.endswith("never-applied") for line in lines), terminal.text()
    assert terminal.silence < SILENT


def test_findings_are_coloured_unless_that_is_not_wanted(world):
    _, coloured = world.shown("check", "--online")
    assert "\x1b[32mok\x1b[0m" in coloured.written
    with scene.Terminal(["env", "NO_COLOR=1", *world.command("check", "--online")], folder=world.folder,
                        environment=world.surroundings) as plain:
        plain.end()
    assert "ok " in plain.text() and "\x1b[32m" not in plain.written


def test_a_list_of_each_dead_letter_is_left_without_traces_of_progress(world):
    code, terminal = world.shown("dead-letters", "list", "--each")
    lines = terminal.text().splitlines()
    assert code == 0 and lines[0].startswith("Number") and lines[-1] == "5 dead letters", lines
    assert len(lines) == 7 and not any("looked at" in line for line in lines), lines


@pytest.mark.parametrize("answer", ["n", "", "maybe"])
def test_whoever_does_not_say_yes_changes_nothing(world, answer):
    with world.terminal("replay") as asked:
        asked.until("Put back all 5 dead letters? [y/N]")
        asked.press(answer + "\r")
        assert asked.end() == 1
        assert f"[y/N] {answer}".rstrip() + "\nNothing was put back." in asked.text(), asked.text()
    with world.terminal("held", "approve", "--all") as asked:
        asked.until("[y/N]")
        asked.press(answer + "\r")
        asked.end()
    _, left = world.shown("held", "list")
    assert "5 messages are held aside" in left.text(), left.text()


def test_ctrl_c_at_a_question_changes_nothing(world):
    with world.terminal("replay") as asked:
        asked.until("[y/N]")
        asked.press("\x03")
        assert asked.end() != 0
    _, left = world.shown("dead-letters", "list")
    assert "5 dead letters" in left.text()


def test_the_live_view_follows_the_queue_and_leaves_a_clean_screen(world):
    with world.terminal("status", "--watch", "--every", "1s", rows=30) as view:
        view.until("dead letters", "UserNotFound")
        view.press("q")
        assert view.end() == 0
    # It was drawn on the other screen of the terminal, which is gone with it.
    assert view.written.index("\x1b[?1049h") < view.written.index("UserNotFound") < view.written.index("\x1b[?1049l")


def dead_letters(world):
    """How many there are."""
    _, told = world.shown("dead-letters", "list", "--each")
    return int(told.text().splitlines()[-1].split()[0])


@pytest.mark.parametrize("columns", [80, 120])
def test_what_is_waited_for_stands_below_the_bar_all_the_time(world, columns):
    left = dead_letters(world)
    with world.terminal("replay", "--all", "--canary", "1", "--wait", "4s", columns=columns) as waits:
        waits.until(f"1 of {left}", "waiting for what becomes of the canaries, 4s at most;")
        # Every look for what became of them draws the bar anew.
        seen = len(waits.written)
        while len(waits.written) < seen + 400:
            assert waits.read(5), waits.text()
        assert any(line.startswith("waiting for what becomes") for line in waits.screen.display), waits.text()
        assert waits.end() == 1 and "waiting for" not in waits.text(), waits.text()


def test_somebody_who_says_yes_sees_how_far_it_has_come(world):
    left = dead_letters(world)
    with world.terminal("replay", "--wait", "3s") as asked:
        asked.until("[y/N]")
        asked.press("y\r")
        asked.until(f"{left} of {left}")
        asked.end()
    _, left = world.shown("dead-letters", "list")
    assert "No dead letters." in left.text(), left.text()
