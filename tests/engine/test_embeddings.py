"""Images with embeddings: as diffusers paints them, exact, and refused by name."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from bot.files.metadata import infotext, read_png
from bot.painting import Painting
from bot.progress import Notice
from bot.recipe import Recipe
from bot.request import Draft, EmbeddingUse, GenerationRequest, compose
from catalog import AdapterEntry, AdapterFacts, Catalog, EmbeddingEntry, Embeddings
from catalog.embeddings import spellings
from catalog.weight_files import open_tensors
from tests.engine.factories import (
    TINY,
    catalog,
    digests,
    kohya_lora,
    paint,
    plain_pipeline,
    request,
    save,
)
from tests.files.pngs import encode_png

pytestmark = pytest.mark.long


WIDTHS = (32, 48)


def drawn(rows: int = 2, seed: int = 1) -> dict[str, Any]:
    import torch

    noise = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(rows, width, generator=noise) for width in WIDTHS)
    return {"clip_l": first, "clip_g": second}


def offering(loras: Mapping[str, Path] | None = None, **embeddings: Path) -> Catalog:
    entries = {
        key: EmbeddingEntry(key=key, name=key, path=str(path)) for key, path in embeddings.items()
    }
    adapters: dict[str, Any] = {**(loras or {})}
    return replace(catalog(**adapters), embeddings=Embeddings(entries))


def using(
    *words: str, key: str = "wort", prompt: str = "a wort in the snow", **fields: Any
) -> GenerationRequest:
    uses = tuple(EmbeddingUse(key, word) for word in words)
    return request(*fields.pop("loras", ()), prompt=prompt, embeddings=uses, **fields)


def expected(models_dir: Path, learned: Mapping[str, Any], **call: Any) -> bytes:
    """What diffusers paints."""
    import torch

    plain = plain_pipeline(models_dir / TINY)
    for name, encoder, tokenizer in (
        ("clip_l", plain.text_encoder, plain.tokenizer),
        ("clip_g", plain.text_encoder_2, plain.tokenizer_2),
    ):
        plain.load_textual_inversion(
            {"wort": learned[name]}, token="wort", text_encoder=encoder, tokenizer=tokenizer
        )
    image = plain(
        num_inference_steps=2,
        guidance_scale=5.0,
        width=64,
        height=64,
        generator=torch.Generator().manual_seed(11),
        **call,
    ).images[0]
    pixels: bytes = image.tobytes()
    return pixels


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("names", [("clip_l", "clip_g"), ("text_encoders_0", "text_encoders_1")])
def test_paints_what_diffusers_paints_with_it(
    engine: Engine, models_dir: Path, tmp_path: Path, rows: int, names: tuple[str, str]
) -> None:
    learned = drawn(rows)
    file = dict(zip(names, (learned["clip_l"], learned["clip_g"]), strict=True))
    offered = offering(wort=save(tmp_path / "wort.safetensors", file))
    painting = paint(engine, using("wort", negative="blurry wort"), offered)
    assert painting.warnings == ()
    assert painting.images[0].image.tobytes() == expected(
        models_dir, learned, prompt="a wort in the snow", negative_prompt="blurry wort"
    )


def test_one_in_two_files_paints_the_same(engine: Engine, tmp_path: Path) -> None:
    learned = drawn()
    one = save(tmp_path / "wort.safetensors", learned)
    first = save(tmp_path / "two/a.safetensors", {"<wort>": learned["clip_l"]})
    save(tmp_path / "two/b.safetensors", {"<wort>": learned["clip_g"]})
    entry = EmbeddingEntry(key="wort", name="w", path=str(first), second="b.safetensors")
    folder = entry.model_copy(update={"path": str(first.parent), "weight_name": "a.safetensors"})
    whole = paint(engine, using("wort"), offering(wort=one))
    for each in (entry, folder):
        offered = replace(catalog(), embeddings=Embeddings({"wort": each}))
        apart = paint(engine, using("wort"), offered)
        assert digests(apart) == digests(whole)
        assert apart.recipe.embeddings != whole.recipe.embeddings
    (first.parent / "b.safetensors").unlink()
    with pytest.raises(JobFailed) as failure:
        paint(engine, using("wort"), replace(offered, embeddings=Embeddings({"wort": entry})))
    assert failure.value.code == "embedding.missing"


def test_a_marked_name_means_the_same_as_the_bare_one(engine: Engine, tmp_path: Path) -> None:
    offered = offering(wort=save(tmp_path / "wort.safetensors", drawn()))
    bare = paint(engine, using("wort"), offered)
    for word in ("embedding:Wort.pt", "<embed:wort>"):
        asked = using(word, prompt=f"a {word} in the snow")
        assert digests(paint(engine, asked, offered)) == digests(bare)
    words = paint(engine, request(prompt="a wort in the snow"), offered)
    assert digests(words) != digests(bare)


def test_what_is_composed_is_what_is_painted(engine: Engine, tmp_path: Path) -> None:
    path = save(tmp_path / "My Hands (v2).safetensors", drawn())
    offered = offering(hands=path)
    draft = Draft(prompt=r"a fox, (embedding:My Hands \(v2\):1.0)", steps=10, size="64x64", seed=11)
    asked = compose(draft, offered, nsfw=False)
    assert asked.embeddings == (EmbeddingUse("hands", "embedding:My Hands (v2)"),)
    other = using("wort", key="hands", prompt="a fox, wort", steps=10, scheduler=asked.scheduler)
    other = replace(other, guidance=asked.guidance)
    assert digests(paint(engine, asked, offered)) == digests(paint(engine, other, offered))


@pytest.mark.long
def test_an_image_depends_on_nothing_that_was_painted_before(
    engine: Engine, fresh: Engine, tmp_path: Path
) -> None:
    one, two = (
        save(tmp_path / f"{name}.safetensors", drawn(seed=seed))
        for seed, name in enumerate(("wort", "kraut"))
    )
    offered = offering(wort=one, kraut=two)
    plain = digests(paint(engine, request(), offered))
    first = digests(paint(engine, using("wort"), offered))
    second = digests(paint(engine, using("wort", key="kraut"), offered))
    assert len({*plain, *first, *second}) == 3
    assert digests(paint(engine, using("wort"), offered)) == first
    assert digests(paint(engine, request(), offered)) == plain
    assert digests(paint(fresh, using("wort"), offered)) == first


def test_the_recipe_and_the_png_name_it_with_its_hash(engine: Engine, tmp_path: Path) -> None:
    path = save(tmp_path / "wort.safetensors", drawn())
    painting = paint(engine, using("wort"), offering(wort=path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    [weights] = painting.recipe.embeddings
    assert (weights.name, weights.sha256, weights.short) == ("wort", digest, digest[:12])
    assert Recipe.from_dict(painting.recipe.to_dict()) == painting.recipe
    assert f"TI hashes: wort: {digest[:12]}" in infotext(painting.recipe, 11).replace('"', "")
    read = read_png(encode_png(painting.images[0].image, painting.recipe, 11))
    assert read.recipe is not None
    assert read.recipe.embeddings == (weights,)
    assert read.recipe.request.embeddings == (EmbeddingUse("wort", "wort"),)
    plain = paint(engine, request()).recipe
    assert "embeddings" not in plain.to_dict()
    assert "TI hashes" not in infotext(plain, 11)


def nan(tensors: dict[str, Any]) -> dict[str, Any]:
    tensors["clip_g"][0, 0] = float("nan")
    return tensors


def other_width() -> dict[str, Any]:
    import torch

    return {"clip_l": torch.zeros(2, 768), "clip_g": torch.zeros(2, 1280)}


def sd1() -> dict[str, Any]:
    import torch

    return {"emb_params": torch.zeros(2, 768)}


REFUSED: list[tuple[Any, str, dict[str, Any]]] = [
    (lambda: nan(drawn()), "embedding.not_finite", {}),
    (
        other_width,
        "embedding.other_width",
        {"found": "768 + 1280", "expected": "32 + 48"},
    ),
    (
        sd1,
        "embedding.other_width",
        {"found": "768", "expected": "32 + 48"},
    ),
    (lambda: drawn(76), "embedding.unsupported", {}),
]


@pytest.mark.parametrize(("make", "code", "params"), REFUSED, ids=[row[1] for row in REFUSED])
def test_what_cannot_be_used_is_refused_by_name(
    engine: Engine, tmp_path: Path, make: Any, code: str, params: dict[str, Any]
) -> None:
    offered = offering(wort=save(tmp_path / "wort.safetensors", make()))
    with pytest.raises(JobFailed) as failure:
        paint(engine, using("wort"), offered)
    assert failure.value.code == code
    assert {"embedding": "wort", **params}.items() <= failure.value.params.items()
    assert paint(engine, request()).images  # the engine is fine


def test_a_file_that_is_gone_or_no_embedding_is_named(engine: Engine, tmp_path: Path) -> None:
    import torch

    file = tmp_path / "wort.safetensors"
    with pytest.raises(JobFailed) as failure:
        paint(engine, using("wort"), offering(wort=file))
    assert failure.value.code == "embedding.missing"
    file.write_bytes(b"junk")
    with pytest.raises(JobFailed) as failure:
        paint(engine, using("wort"), offering(wort=file))
    assert failure.value.code == "embedding.not_safetensors"
    save(file, {"x.weight": torch.zeros(2, 2), "y.weight": torch.zeros(2, 2)})
    with pytest.raises(JobFailed) as failure:
        paint(engine, using("wort"), offering(wort=file))
    assert failure.value.params["kind"] == "not an embedding"
    with pytest.raises(JobFailed) as failure:
        paint(engine, using("wort"), offering())
    assert (failure.value.code, failure.value.params) == ("embedding.gone", {"embedding": "wort"})


def test_what_else_is_in_its_file_is_named(engine: Engine, tmp_path: Path) -> None:
    learned = drawn()
    only = save(tmp_path / "only.safetensors", learned)
    more = save(tmp_path / "more.safetensors", {**learned, "clip_g_out": learned["clip_g"] + 1})
    painting = paint(engine, using("wort"), offering(wort=more))
    assert painting.warnings == (
        Notice("embedding.partial", {"embedding": "wort", "names": "clip_g_out"}),
    )
    assert digests(painting) == digests(paint(engine, using("wort"), offering(wort=only)))


def test_too_many_vectors_for_a_prompt_are_refused(engine: Engine, tmp_path: Path) -> None:
    offered = offering(wort=save(tmp_path / "wort.safetensors", drawn(75)))
    with pytest.raises(JobFailed) as failure:
        paint(engine, using("wort", prompt=" ".join(["wort"] * 33)), offered)
    assert failure.value.code == "prompt.chunks"


class TestInsideALora:
    """`bundle_emb.TOKEN.…`, as OneTrainer and LyCORIS write them."""

    @staticmethod
    def bundle(tmp_path: Path, **parts: Any) -> tuple[Path, Path]:
        """The LoRA with embeddings inside, and the same without."""
        from safetensors.torch import load_file

        plain = kohya_lora(tmp_path / "plain.safetensors")
        named = {f"bundle_emb.{name.replace('__', '.')}": each for name, each in parts.items()}
        return save(tmp_path / "both.safetensors", {**load_file(plain), **named}), plain

    @staticmethod
    def painted(engine: Engine, lora: Path, prompt: str, **embeddings: Path) -> Painting:
        asked = using(*embeddings, prompt=prompt, loras=[("lora", 0.7)])
        return paint(engine, asked, offering({"lora": lora}, **embeddings))

    @pytest.mark.parametrize(
        "word", ["wort", "Wort", "embedding:wort.PT", "<wort>", "<embed:wort>"]
    )
    def test_its_token_stands_for_its_vectors(
        self, engine: Engine, tmp_path: Path, word: str
    ) -> None:
        learned = drawn()
        both, plain = self.bundle(
            tmp_path, wort__clip_l=learned["clip_l"], wort__clip_g=learned["clip_g"]
        )
        painting = self.painted(engine, both, f"a {word} in the snow")
        assert painting.warnings == ()
        alone = save(tmp_path / "wort.safetensors", learned)
        apart = self.painted(engine, plain, "a wort in the snow", wort=alone)
        assert digests(painting) == digests(apart)

    def test_without_its_token_only_the_lora_counts(self, engine: Engine, tmp_path: Path) -> None:
        learned = drawn()
        both, plain = self.bundle(
            tmp_path, wort__clip_l=learned["clip_l"], wort__clip_g=learned["clip_g"]
        )
        for prompt in ("a fox in the snow", "worts"):
            with_it, without = (self.painted(engine, f, prompt) for f in (both, plain))
            assert digests(with_it) == digests(without)
            assert with_it.warnings == ()
        # Without the LoRA its token is a word.
        assert paint(engine, request(prompt="a wort")).warnings == ()

    @pytest.mark.parametrize("token", ["<my.tok>", "my tok", "wort(2)"])
    def test_any_token_works_in_every_spelling_that_is_accepted(
        self, engine: Engine, tmp_path: Path, token: str
    ) -> None:
        learned = drawn()
        parts = {f"{token}__{part}": each for part, each in learned.items()}
        both, plain = self.bundle(tmp_path, **parts)
        alone = save(tmp_path / "alone.safetensors", learned)
        apart = digests(self.painted(engine, plain, "a wort", wort=alone))
        offered = replace(
            offering({"lora": both}), adapter_facts={"lora": AdapterFacts(bundled=(token,))}
        )
        for word in spellings(token):
            escaped = word.replace("(", r"\(").replace(")", r"\)")
            draft = Draft(prompt=f"a {escaped}", lora="lora:0.7", steps=10, seed=11)
            assert compose(draft, offered, nsfw=False).embeddings == ()
            assert digests(self.painted(engine, both, f"a {escaped}")) == apart, word

    @pytest.mark.parametrize(
        "names", [("clip_l", "clip_g"), ("text_encoders_0", "text_encoders_1")]
    )
    def test_one_without_a_token_is_called_as_the_lora(
        self, engine: Engine, tmp_path: Path, names: tuple[str, str]
    ) -> None:
        from safetensors.torch import load_file

        learned = drawn()
        plain = kohya_lora(tmp_path / "plain.safetensors")
        beside = dict(zip(names, learned.values(), strict=True))
        both = save(tmp_path / "wort.safetensors", {**load_file(plain), **beside})
        alone = save(tmp_path / "alone.safetensors", learned)
        apart = digests(self.painted(engine, plain, "a wort in the snow", wort=alone))
        painting = self.painted(engine, both, "a wort in the snow")
        assert (digests(painting), painting.warnings) == (apart, ())
        # A worker has the file by another name.
        there = save(tmp_path / "0.safetensors", {**load_file(plain), **beside})
        entry = AdapterEntry(key="lora", name="Lora", path=str(there), token="wort")
        offered = replace(offering({}), adapters={"lora": entry})
        asked = using(prompt="a wort in the snow", loras=[("lora", 0.7)])
        assert digests(paint(engine, asked, offered)) == apart

    def test_it_takes_precedence_over_others_of_its_name(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        learned = drawn()
        both, _ = self.bundle(
            tmp_path, wort__clip_l=learned["clip_l"], wort__clip_g=learned["clip_g"]
        )
        other = save(tmp_path / "wort.safetensors", drawn(seed=5))
        offered = offering({"lora": both}, wort=other)
        offered = replace(offered, adapter_facts={"lora": AdapterFacts(bundled=("wort",))})
        draft = Draft(prompt="a wort in the snow", lora="lora:0.7")
        assert compose(draft, offered, nsfw=False).embeddings == ()

    def test_what_cannot_be_used_is_named_and_the_lora_applied(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        import torch

        learned = drawn()
        both, plain = self.bundle(
            tmp_path,
            wort__clip_l_out=learned["clip_l"],
            wort__clip_g_out=learned["clip_g"],
            old__emb_params=torch.zeros(2, 768),
            big__clip_l=torch.zeros(2, 768),
            big__clip_g=torch.zeros(2, 1280),
        )
        with_it = self.painted(engine, both, "a wort in the snow")
        assert digests(with_it) == digests(self.painted(engine, plain, "a wort in the snow"))
        [notice] = with_it.warnings
        assert (notice.code, notice.params["adapter"]) == ("adapter.embeddings", "lora")
        assert {*str(notice.params["names"]).split(", ")} == {
            "bundle_emb.wort.clip_g_out",
            "bundle_emb.wort.clip_l_out",
            "old",
            "big",
        }

    def test_one_with_nan_is_named(self, engine: Engine, tmp_path: Path) -> None:
        learned = nan(drawn())
        both, _ = self.bundle(
            tmp_path, wort__clip_l=learned["clip_l"], wort__clip_g=learned["clip_g"]
        )
        [notice] = self.painted(engine, both, "a wort").warnings
        assert notice.code == "adapter.embeddings"


def test_one_from_a_folder_or_the_hub_is_found_like_a_lora(engine: Engine, tmp_path: Path) -> None:
    save(tmp_path / "org" / "wort.safetensors", drawn())
    entry = EmbeddingEntry(
        key="wort", name="Wort", path=str(tmp_path / "org"), weight_name="wort.safetensors"
    )
    offered = replace(catalog(), embeddings=Embeddings({"wort": entry}))
    file = offering(wort=tmp_path / "org" / "wort.safetensors")
    assert digests(paint(engine, using("wort"), offered)) == digests(
        paint(engine, using("wort"), file)
    )
    missing = entry.model_copy(update={"weight_name": "other.safetensors"})
    offered = replace(catalog(), embeddings=Embeddings({"wort": missing}))
    with pytest.raises(JobFailed) as failure:
        paint(engine, using("wort"), offered)
    assert failure.value.code in {"embedding.no_such_file", "embedding.missing"}


def test_all_memory_profiles_give_the_same_conditioning(
    engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    offered = offering(wort=save(tmp_path / "wort.safetensors", drawn()))
    small = Engine(models_dir=models_dir, hashes_file=tmp_path / "hashes.json", memory="8gb")
    try:
        sparing = paint(small, using("wort"), offered)
    finally:
        small.close()
    assert digests(sparing) == digests(paint(engine, using("wort"), offered))


def test_a_file_that_another_replaces_is_read_and_hashed_as_it_was(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recipe names the numbers that were painted with, whatever was known of the path."""
    path, other, spare = (
        save(tmp_path / name / "wort.safetensors", drawn(seed=seed))
        for name, seed in (("old", 1), ("new", 2), ("spare", 1))
    )
    wanted, offered = using("wort"), offering(wort=path)
    expected = paint(engine, wanted, offered)
    real = open_tensors
    opened: list[Path] = []

    def swapped(asked: Path) -> object:
        found = real(asked)
        opened.append(asked)
        if len(opened) == 2:  # the first looks at the header alone
            other.replace(path)
        return found

    with monkeypatch.context() as patch:
        patch.setattr("bot.engine.embeddings.open_tensors", swapped)
        during = paint(engine, wanted, offered)
    assert len(opened) == 2
    assert during.recipe == expected.recipe
    assert digests(during) == digests(expected)
    after = paint(engine, wanted, offered)
    assert after.recipe.embeddings[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert after.recipe.embeddings != expected.recipe.embeddings
    assert digests(after) != digests(expected)
    spare.replace(path)
    assert paint(engine, wanted, offered).recipe == expected.recipe
