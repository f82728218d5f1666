"""`detail` and 🙂 in the real process: parts that are found and painted again."""

import io
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from playground import Playground, User
from tests.e2e.conftest import CANARY
from tests.e2e.home import MODELS, Bot, Home
from tests.e2e.results import buttons, facts
from tests.e2e.test_actions import bytes_of, posted, press, result, said
from tests.e2e.test_imagine import painted

pytestmark = pytest.mark.asyncio(loop_scope="session")

FOX: dict[str, Any] = {"prompt": CANARY, "seed": 7}
FINDS, BLIND = 5, 9
"""Seeds of random networks of which one finds something in any picture, and the other nothing."""


@pytest.fixture(scope="session")
def finding_dir(models_dir: Path) -> Path:
    """The shared models folder, with networks that find things."""
    from tests.engine import grounding_dino

    for seed in (FINDS, BLIND):
        grounding_dino.write(models_dir / f"finds-{seed}", grounding_dino.module(seed))
    return models_dir


def finding(folder: Path, models_dir: Path, seed: int) -> Home:
    home = Home(folder, models_dir)
    text = f'{MODELS}\n[detector]\npath = "finds-{seed}"\n'
    (home.catalog_dir / "models.toml").write_text(text, encoding="utf-8")
    return home


def pixels(data: bytes) -> Any:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"), int)


@pytest.mark.long
async def test_parts_are_painted_again_across_a_restart(tmp_path: Path, finding_dir: Path) -> None:
    home = finding(tmp_path / "home", finding_dir, FINDS)
    async with Playground() as playground, Bot(home, playground) as bot:
        ada = playground.user("ada")
        plain = await painted(ada, **FOX)
        made = await painted(ada, **FOX, detail="Face, hand:0.6")
        assert "repainted: face, hand:0.6" in facts(made)
        assert home.requests()[-1]["detail"] == [
            {"word": "face", "strength": 0.4},
            {"word": "hand", "strength": 0.6},
        ]
        [before], [after] = await bytes_of(playground, plain), await bytes_of(playground, made)
        assert (pixels(before) != pixels(after)).any()

        await bot.end(signal.SIGKILL)
        await bot.start()
        again = await result(await press(ada, made, "same"))
        assert "Identical to the original, byte for byte" in again.text
        assert await bytes_of(playground, again) == [after]
        form = await press(ada, made, "edit")
        assert "detail: face, hand:0.6" in str(form.modal)

        # The faces of a result from before the restart, behind ➕.
        more = await ada.click(plain, "More…")
        assert more.message is not None
        await ada.click(more.message, "Detail faces")
        faces = await posted(playground, more.message, plain)
        assert "repainted: face" in facts(faces)
        request = home.requests()[-1]
        assert (request["seed"], request["detail"]) == (7, [{"word": "face", "strength": 0.4}])
        [found] = await bytes_of(playground, faces)
        assert (pixels(found) != pixels(before)).any()
        # Which have been painted then.
        more = await ada.click(faces, "More…")
        assert more.message is not None
        assert "detail" not in buttons(more.message)
        details = await (await press(ada, made, "details")).wait(lambda m: bool(m.embeds))
        assert "detail:face, hand:0.6" in details.content
        suggested = await ada.autocomplete("imagine", "detail", "face, h")
        assert [choice.value for choice in suggested] == ["face, hand"]
        await bot.end()
        assert "Traceback" not in bot.log
        assert CANARY not in bot.log
        assert playground.violations == []


@pytest.mark.long  # what it says is tested with the engine alone
async def test_where_nothing_is_found_the_image_stays_as_it_is(
    tmp_path: Path, finding_dir: Path
) -> None:
    home = finding(tmp_path / "home", finding_dir, BLIND)
    async with Playground() as playground, Bot(home, playground) as bot:
        ada = playground.user("ada")
        plain, made = await painted(ada, **FOX), await painted(ada, **FOX, detail="face")
        [before], [after] = await bytes_of(playground, plain), await bytes_of(playground, made)
        assert (pixels(before) == pixels(after)).all()
        assert "I found no face, so nothing was repainted." in made.text
        await bot.end()
        assert "Traceback" not in bot.log
        assert playground.violations == []


REFUSED = [
    ({"detail": "face"}, "I can't find anything in an image: nothing is set up for that here."),
    ({"detail": "a, b, c, d"}, "detail: 4 things are too many. You can name up to 3."),
    ({"detail": "face:2"}, "detail: 2.0 won't work. Choose a value from 0.05 to 1.0."),
]


@pytest.mark.parametrize(("options", "expected"), REFUSED)
async def test_what_cannot_be_is_refused(ada: User, options: dict[str, Any], expected: str) -> None:
    assert expected in said(await ada.slash("imagine", prompt=CANARY, **options))


async def test_it_is_not_offered_where_nothing_finds_anything(ada: User) -> None:
    plain = await painted(ada, **FOX)
    more = await ada.click(plain, "More…")
    assert more.message is not None
    assert "detail" not in buttons(more.message)
    assert await ada.autocomplete("imagine", "detail", "f") == []
