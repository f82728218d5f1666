"""``python -m playground [--port N]``: the stand-in, standing until it is interrupted."""

import argparse
import asyncio
import contextlib

from playground.server import Playground


async def serve(port: int) -> None:
    """Start on ``port`` (0: a free one), say how to reach it, and stay."""
    async with Playground(port=port) as pg:
        print(f"api_url: {pg.api_url}\ntoken:   {pg.token}\n")
        print("# .env of the bot")
        print(f"DISCORD_TOKEN={pg.token}\nDISCORD_API_URL={pg.api_url}", flush=True)
        if pg.core.openapi.reason:
            print(f"# bodies are not checked: {pg.core.openapi.reason}", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m playground", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)"
    )
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
