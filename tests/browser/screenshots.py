"""Pictures of the status page in some of its states, wide and on a phone. Writes to deploy/status-page/. Called by
deploy/screenshots.sh."""

import sys

from page import ROOT, browse, site

PICTURES = ROOT / "deploy/status-page"
SIZES = {"wide": "1100,1080", "phone": "390,2400"}
SHOWN = ("healthy", "dead_letters", "paused", "breaker_open")


def main():
    PICTURES.mkdir(exist_ok=True)
    with site() as root:
        for state in SHOWN:
            for name, size in SIZES.items():
                path = PICTURES / f"{state}-{name}.png"
                browse(f"{root}/{state}/index.html", size, "light", f"--screenshot={path}")
                print(path.relative_to(ROOT), path.stat().st_size, "bytes")


if __name__ == "__main__":
    sys.exit(main())
