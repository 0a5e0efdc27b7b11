"""The examples of the emulator's page, as they stand there but for the ports."""

import re
import subprocess
import sys
from pathlib import Path

from support import PATIENCE, setting

PAGE = (Path(__file__).parents[2] / "emulator/README.md").read_text()


def example(language, word):
    """The one block of code in this language that has this word in it."""
    [found] = [block for block in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if word in block]
    return found


def test_the_python_of_the_page_sends_and_receives():
    endpoint = re.match(r"Endpoint=(sb://[^;]+);", setting("BUS"))[1]
    program = example("python", "ServiceBusClient").replace("sb://localhost;", f"{endpoint};").replace('"orders"', '"the-orders"')
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=4 * PATIENCE, check=True)
    assert answer.stdout == "hello\n"


def test_the_commands_of_the_page_get_a_token_and_list_users():
    address = setting("GRAPH_HTTP").removeprefix("http://")
    script = example("sh", "TOKEN=").replace("localhost:5080", address)
    answer = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=4 * PATIENCE, check=True)
    assert '/$metadata#users"' in answer.stdout, answer.stdout
    assert '"counters"' in answer.stdout, answer.stdout
