"""Whether everybody can use the status page: axe on each state, light and dark, wide and on a phone; the order of the
keyboard; and nothing that is wider than the screen. Takes the path of axe.min.js."""

import html
import json
import re
import sys
from pathlib import Path

from page import SCHEMES, browse, site
from states import STATES

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
  document.documentElement.dataset.judged = JSON.stringify({ faults, rules: found.passes.length, links: focusable.length });
}, 1500));
</script>"""

FRAME = """<!doctype html><html lang="en"><title>frame</title><body style="margin:0"><iframe id="it" title="page"
style="border:0;width:{width}px;height:2600px" src="index.html"></iframe><script>
setInterval(() => {{
  const told = document.getElementById("it").contentDocument.documentElement.dataset.judged;
  if (told) document.documentElement.dataset.judged = told;
}}, 100);
</script></body></html>"""


def judge(root, state, scheme, width):
    dom = browse(f"{root}/{state}/frame-{width}.html", "1400,2700", scheme, "--dump-dom")
    told = re.search(r'data-judged="([^"]*)"', dom)
    if not told:
        return ["axe has not ended"], 0, 0
    result = json.loads(html.unescape(told.group(1)))
    return result["faults"], result["rules"], result["links"]


def main():
    axe = Path(sys.argv[1])
    frames = []
    for width in WIDTHS:
        frame = axe.parent / f"frame-{width}.html"
        frame.write_text(FRAME.format(width=width))
        frames.append(frame)
    failed, seen, rules = False, 0, 0
    with site(SCRIPT, (axe, *frames)) as root:
        for state in STATES:
            for scheme in SCHEMES:
                for width in WIDTHS:
                    faults, passed, _ = judge(root, state, scheme, width)
                    seen, rules = seen + 1, max(rules, passed)
                    for fault in faults:
                        failed = True
                        print(f"{state}, {scheme}, {width} px: {fault}")
    print(f"{seen} views of the page were judged, by {rules} rules that apply to it.")
    return 1 if failed or not rules else 0


if __name__ == "__main__":
    sys.exit(main())
