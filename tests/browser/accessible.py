"""Whether everybody can use the status page: axe on each state, light and dark, wide and on a phone; the order of the
keyboard; nothing that is wider than the screen, and nothing untold or told twice. Takes the path of axe.min.js."""

import html
import json
import re
import sys
from pathlib import Path

from page import SCHEMES, browse, site
from states import FAULTS, STATES, TRIED_AGAIN

# The browser has no window narrower than 500 pixels, so the page stands in a frame of the width.
WIDTHS = (1280, 500, 390, 320)

SCRIPT = """<script src="axe.min.js"></script><script>
addEventListener("load", () => setTimeout(async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  const faults = found.violations.flatMap(fault => fault.nodes.map(node =>
    `${fault.id}: ${node.target.join(" ")}: ${node.failureSummary}`));
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) faults.push(`the page is ${wide} px wider than the screen`);
  const focusable = [...document.querySelectorAll("a[href], button, input, select, [tabindex='0']")]
    .filter(one => one.getClientRects().length && !one.classList.contains("skip"));
  if (document.querySelectorAll("[tabindex]:not([tabindex='0']):not([tabindex='-1'])").length) {
    faults.push("something has a place of its own in the order of the keyboard");
  }
  for (let place = 1; place < focusable.length; place += 1) {
    const [one, next] = [focusable[place - 1], focusable[place]].map(it => it.getBoundingClientRect());
    if (next.bottom < one.top) faults.push(`the keyboard goes up from ${focusable[place - 1].textContent} to ${focusable[place].textContent}`);
  }
  for (const one of focusable) {
    one.focus();
    if (document.activeElement !== one) faults.push(`the keyboard does not reach ${one.textContent}`);
  }
  const tiles = [...document.querySelectorAll(".tile")].map(tile => Math.round(tile.getBoundingClientRect().top));
  const lines = Object.values(Object.groupBy(tiles, top => top)).map(line => line.length);
  if (new Set(lines).size > 1) faults.push(`a line of tiles has a hole: ${lines}`);
  document.documentElement.dataset.judged = JSON.stringify({ faults, rules: found.passes.length, links: focusable.length,
    text: document.querySelector("main").innerText });
}, 1500));
</script>"""

# All widths in one window: to start the browser takes longer than to judge a page.
FRAMES = """<!doctype html><html lang="en"><title>frames</title><body style="margin:0">{frames}<script>
setInterval(() => {{
  const judged = {{}};
  for (const frame of document.querySelectorAll("iframe")) {{
    const told = frame.contentDocument.documentElement.dataset.judged;
    if (!told) return;
    judged[frame.title] = JSON.parse(told);
  }}
  document.documentElement.dataset.judged = JSON.stringify(judged);
}}, 100);
</script></body></html>"""
FRAME = '<iframe title="{width}" style="display:block;border:0;width:{width}px;height:2600px" src="index.html"></iframe>'


def told(state, text):
    """What the page of this state lacks, or says too often."""
    again = "in 40 s." if state in TRIED_AGAIN else None
    if again and not ("Next try at " in text and again in text):
        yield "when it is tried again is missing"
    if not again and "Next try" in text:
        yield "something is tried again of which nobody knows when"
    if state in FAULTS and text.lower().count("graph answered 503") > 1:
        yield "the last error is told twice"


def judge(root, state, scheme):
    """What is wrong, by width, and how many rules apply."""
    size = f"{max(WIDTHS) + 100},{2600 * len(WIDTHS) + 100}"
    dom = browse(f"{root}/{state}/frames.html", size, scheme, "--dump-dom")
    judged = re.search(r'<html[^>]* data-judged="([^"]*)"', dom)
    if not judged:
        return {width: ["axe has not ended"] for width in WIDTHS}, 0
    results = json.loads(html.unescape(judged.group(1)))
    rules = min(result["rules"] for result in results.values())
    faults = {width: [*results[str(width)]["faults"], *told(state, results[str(width)]["text"])] for width in WIDTHS}
    return faults, rules


def main():
    axe = Path(sys.argv[1])
    frames = axe.parent / "frames.html"
    frames.write_text(FRAMES.format(frames="".join(FRAME.format(width=width) for width in WIDTHS)))
    failed, seen, rules = False, 0, 0
    with site(SCRIPT, (axe, frames)) as root:
        for state in STATES:
            for scheme in SCHEMES:
                judged, applied = judge(root, state, scheme)
                rules = max(rules, applied)
                for width, faults in judged.items():
                    seen += 1
                    for fault in faults:
                        failed = True
                        print(f"{state}, {scheme}, {width} px: {fault}")
    print(f"{seen} views of the page were judged, by {rules} rules that apply to it.")
    return 1 if failed or not rules else 0


if __name__ == "__main__":
    sys.exit(main())
