"""Are there known holes in what this Python has installed? `make audit` calls it.

It asks pip-audit, which has its data from the network, and does not take its silence for a yes:
pip-audit itself ends well even where it could look up nothing.

Exit codes: 0 all was looked up and nothing is known, 1 something is known, 2 not all was looked up.
"""

import json
import subprocess
import sys
import sysconfig
from typing import Any

NOTHING_KNOWN, HOLES, NOT_RUN = 0, 1, 2


def main(pip_audit: str) -> int:
    site = sysconfig.get_path("purelib")
    asked = subprocess.run(
        [pip_audit, "--path", site, "--format", "json", "--progress-spinner", "off"],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        packages = json.loads(asked.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = asked.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        print(f"audit: NOT RUN: pip-audit got no data ({last[0]:.300})")
        return NOT_RUN
    code, lines = verdict(packages)
    print("\n".join(lines))
    return code


def verdict(packages: list[dict[str, Any]]) -> tuple[int, list[str]]:
    """What pip-audit's answer means: the exit code, and what to print."""
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    looked_up = [package for package in packages if "skip_reason" not in package]
    holes = [
        f"{package['name']} {package['version']}: {hole['id']}"
        f" (mended in {', '.join(hole['fix_versions']) or 'no version yet'})"
        for package in looked_up
        for hole in package["vulns"]
    ]
    lines = [*holes, f"audit: {len(looked_up)} packages looked up, {len(holes)} known holes"]
    if not looked_up:
        return NOT_RUN, ["audit: NOT RUN: none of the packages could be looked up"]
    if skipped:
        lines.append(f"audit: NOT RUN for {len(skipped)}: {', '.join(skipped)}")
    return (HOLES if holes else NOT_RUN if skipped else NOTHING_KNOWN), lines


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
