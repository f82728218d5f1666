"""`python -m bot.engine_process`: started by ProcessEngine, and of no use without it."""

from bot.engine_process.child import main

main()
