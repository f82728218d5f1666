"""main.py without an engine: jobs are accepted, stored and shown, and none is generated."""

import runpy
import sys

from benchmarks.bot_process import MAIN


def main() -> None:
    from bot.worker.workers import Workers

    def nothing(_: Workers) -> None:
        """torch would be loaded meanwhile, which is no work of the front."""

    Workers.warm_up = nothing  # type: ignore[method-assign, assignment]
    sys.argv[:] = [str(MAIN), "run"]
    runpy.run_path(str(MAIN), run_name="__main__")


if __name__ == "__main__":
    main()
