"""Check the packages installed for this Python for known vulnerabilities: `make audit`.

Runs pip-audit, which gets its data from the network and succeeds even when it could not look up
anything; here, that is an error.

Exit codes: 0 all packages were looked up and have no known vulnerabilities; 1 some have; 2 not all
packages could be looked up.
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
        last = asked.stderr.strip().splitlines()[-1:] or ["it printed nothing"]
        print(f"audit: NOT RUN: pip-audit got no data ({last[0]:.300})")
        return NOT_RUN
    code, lines = verdict(packages)
    print("\n".join(lines))
    return code


def verdict(packages: list[dict[str, Any]]) -> tuple[int, list[str]]:
    """The exit code and the lines to print for pip-audit's `dependencies`."""
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
