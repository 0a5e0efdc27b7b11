"""Starts the services, runs the suites beside each other, and says how many tests passed. run.sh calls this."""

import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import broken
import children
import services
import suites


def report(results, begun):
    """Prints what failed and the totals; whether all is well."""
    failures = [one for one in results if one.failure]
    for one in failures:
        print(f"\nFAILED {one.suite}: {one.name}\n{one.failure[-4000:]}")
    taken = time.monotonic() - begun
    print(f"\n{len(results) - len(failures)} passed, {len(failures)} failed in {taken:.0f} s")
    return not failures


def announce(title, results):
    failed = sum(1 for one in results if one.failure)
    print(f"{title}: {len(results) - failed} passed, {failed} failed", flush=True)
    return results


def judge(language):
    """One language against services of its own."""
    with services.started(language) as settings:
        results = suites.run(language, settings)
        return announce(language, results + suites.missing(language, results))


def main(what):
    begun = time.monotonic()
    results = []
    languages = [language for language in ("python", "js") if what in (language, "all")]
    with ThreadPoolExecutor() as pool:
        for found in pool.map(judge, languages):
            results += found
    if what in ("broken", "all"):
        results += announce("broken on purpose", broken.run())
    return 0 if report(results, begun) else 1


def interrupted(*_):
    children.end_all()
    sys.exit("ended early")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, interrupted)
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "all"))
