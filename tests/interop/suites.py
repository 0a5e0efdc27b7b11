"""Runs tests of either language and reads what became of them."""

import json
import re
import subprocess
import tempfile
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import children
from services import HERE, HOME

# Nothing that works takes longer, in seconds.
LONGEST = 240

# Stands for the file that a runner is to write, in the form of JUnit.
FINDINGS = object()


@dataclass(frozen=True)
class Result:
    """What became of one test."""

    suite: str
    name: str
    failure: Optional[str] = None


def sentence(name):
    """The name of a test, written the same way for both languages."""
    return re.sub(r"^test_", "", name).replace("_", " ")


def queues():
    """The judged behaviours of the bus: one queue in Config.json for each, of the same name."""
    text = re.sub(r"^//.*", "", (HERE / "Config.json").read_text(), flags=re.MULTILINE)
    entries = json.loads(text)["UserConfig"]["Namespaces"][0]["Queues"]
    return [entry["Name"].replace("-", " ") for entry in entries if not entry["Name"].startswith("the-")]


def missing(language, results):
    """A failure for each behaviour that this language has no test for."""
    seen = {one.name for one in results}
    return [Result(language, name, "there is no such test") for name in queues() if name not in seen]


def run(language, environment):
    """The whole suite of a language; files run beside each other."""
    if language == "js":
        return in_js([], sorted((HERE / "js").glob("*.test.js")), environment)
    files = sorted((HERE / "python").glob("test_*.py"))
    with ThreadPoolExecutor(max_workers=len(files)) as pool:
        found = pool.map(lambda file: in_python([], [file], environment), files)
        return [result for results in found for result in results]


def run_one(language, name, environment, patience):
    """A single test by its sentence, in a hurry: `patience` seconds for each step, three times that for the test."""
    environment = {**environment, "INTEROP_PATIENCE": str(patience)}
    if language == "js":
        [file] = [file for file in (HERE / "js").glob("*.test.js") if f'("{name}"' in file.read_text()]
        pattern = ["--test-name-pattern", f"^{name}$"]
        results = in_js(pattern, [file], environment, 8 * patience)
    else:
        function = "test_" + name.replace(" ", "_")
        [file] = [file for file in (HERE / "python").glob("test_*.py") if f"def {function}(" in file.read_text()]
        results = in_python(["--timeout", str(3 * patience)], [f"{file}::{function}"], environment, 8 * patience)
    return next((one for one in results if one.name == name), results[0])


def in_python(arguments, tests, environment, longest=LONGEST):
    """Runs pytest."""
    command = [HOME / "venv/bin/python", "-m", "pytest", "--quiet", *arguments, "--junit-xml", FINDINGS, *tests]
    return in_process("python", command, environment, longest)


def in_js(arguments, files, environment, longest=LONGEST):
    """Runs node's own test runner."""
    report = ["--test-reporter", "junit", "--test-reporter-destination", FINDINGS]
    command = ["node", "--test", "--test-concurrency=8", *arguments, *report, *files]
    return in_process("js", command, environment, longest)


def in_process(language, command, environment, longest):
    """Runs a test runner and reads its findings. That it fails without naming a test is a failure, too."""
    with tempfile.TemporaryDirectory(dir=HOME) as scratch:
        findings = Path(scratch) / "junit.xml"
        command = [str(findings if part is FINDINGS else part) for part in command]
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with children.running(command, cwd=HERE / language, env=environment, **output) as process:
            try:
                said, _ = process.communicate(timeout=longest)
                ended = f"ended with {process.returncode}"
            except subprocess.TimeoutExpired as late:
                said, ended = str(late.stdout), f"did not end within {longest} s"
        results = read(language, findings)
    if not results or (ended != "ended with 0" and not any(one.failure for one in results)):
        results.append(Result(language, Path(command[-1]).name, f"the runner {ended}\n{said[-3000:]}"))
    return results


def read(language, findings):
    """The results in a file that a runner wrote."""
    try:
        cases = list(xml.parse(findings).iter("testcase"))
    except (FileNotFoundError, xml.ParseError):
        return []
    results = []
    for case in cases:
        if case.find("skipped") is not None:
            continue
        faults = [fault for kind in ("failure", "error") for fault in case.findall(kind)]
        texts = [f"{fault.get('message') or ''}\n{fault.text or ''}" for fault in faults]
        name = sentence(case.get("name"))
        results.append(Result(language, name, "\n".join(texts) if faults else None))
    return results
