"""Run as an engine process: the real one, in which what an order's name says goes wrong."""

from bot.engine.importing import prepare_libraries
from bot.engine_process.child import main
from tests.conformance import faults

if __name__ == "__main__":
    prepare_libraries()
    faults.install()
    main()
