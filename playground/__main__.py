"""``python -m playground [--port N]``: run the stand-in for Discord until interrupted."""

import argparse
import asyncio
import contextlib

from playground.server import Playground


async def serve(port: int) -> None:
    """Start on ``port`` (0: a free one), print how to reach it, and run forever."""
    async with Playground(port=port) as pg:
        print(f"api_url: {pg.api_url}\ntoken:   {pg.token}\n")
        print("# .env of the bot")
        print(f"DISCORD_TOKEN={pg.token}\nDISCORD_API_URL={pg.api_url}", flush=True)
        if pg.core.openapi.reason:
            print(f"# request bodies are not checked: {pg.core.openapi.reason}", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m playground", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)"
    )
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
