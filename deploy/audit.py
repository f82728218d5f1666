"""Does anything installed for this Python have known vulnerabilities? `make audit` runs it.

It asks pip-audit, which gets its data from the network, and does not take silence for a clean
result: pip-audit itself succeeds even when it could not look up anything.

Exit codes: 0 everything was looked up and nothing is known; 1 something is known; 2 not everything
could be looked up.
"""

import json
import subprocess
import sys
import sysconfig
from typing import Any

NOTHING_KNOWN, VULNERABLE, NOT_RUN = 0, 1, 2


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
    known = [
        f"{package['name']} {package['version']}: {each['id']}"
        f" (fixed in {', '.join(each['fix_versions']) or 'no version yet'})"
        for package in looked_up
        for each in package["vulns"]
    ]
    lines = [*known, f"audit: packages looked up: {len(looked_up)}, vulnerabilities: {len(known)}"]
    if not looked_up:
        return NOT_RUN, ["audit: NOT RUN: none of the packages could be looked up"]
    if skipped:
        lines.append(f"audit: NOT RUN for {len(skipped)}: {', '.join(skipped)}")
    return (VULNERABLE if known else NOT_RUN if skipped else NOTHING_KNOWN), lines


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
