"""What a recipe says of the files that an image is made with: their names, and their digests."""

from collections.abc import Sequence
from dataclasses import replace

from bot.engine.families import VAE
from bot.engine.hashing import HashCache
from bot.engine.needed import Needed, Shown
from bot.engine.patches import AdapterFile
from bot.engine.sources import Source
from bot.engine.subject import Subject, public
from bot.progress import Stage
from bot.recipe import Recipe, Weights
from catalog.families import TEXT_ENCODER


def digest_of(source: Source, subject: Subject, hashes: HashCache) -> str:
    """The sha256 of its files, known or computed. Raises JobFailed if one cannot be read."""

    def tick(fraction: float) -> None:
        subject.tick(Stage.LOADING, fraction)

    try:
        if source.single:
            return hashes.of_file(source.single, tick)
        return hashes.of_files(source.root, source.files, tick)
    except OSError as error:
        raise subject.unread(source.root, error) from error


def recipe_of(needed: Needed, hashes: HashCache) -> Recipe:
    """The recipe as far as the model's own files tell it. Raises JobFailed."""
    checkpoint = digest_of(needed.files.checkpoint, needed.subject, hashes)
    replaced = {
        name: (
            public(needed.entry.replaced[name]),
            digest_of(source, needed.subject, hashes),
        )
        for name, source in needed.files.replaced.items()
    }
    instead = {name: Weights(*said, said[1][:10]) for name, said in replaced.items()}
    lender = public(needed.entry.lent_by)
    parts = [
        (f"{lender}/{name}", digest_of(needed.files.lender(name), needed.subject, hashes))
        for name in needed.files.lent
    ]
    return Recipe(
        request=needed.request,
        checkpoint=Weights(needed.subject.key, checkpoint, checkpoint[:10]),
        vae=instead.get(VAE),
        text_encoder=instead.get(TEXT_ENCODER),
        parts=tuple(Weights(name, sha256, sha256[:10]) for name, sha256 in parts),
        variant=None if needed.entry.family.plain else needed.entry.sampled_as.name,
        config=public(needed.entry.completed_by) if needed.files.config else None,
    )


def reference_of(needed: Needed, hashes: HashCache) -> tuple[Weights, ...]:
    """The IP-Adapter and its image encoder; empty if the request has none. Raises JobFailed."""
    if not needed.reference:
        return ()
    files, subject = needed.reference
    adapter, encoder = (
        digest_of(source, subject, hashes) for source in (files.adapter, files.encoder)
    )
    return (
        Weights(files.adapter.files[0].name, adapter, adapter[:10]),
        Weights(files.encoder.root.name, encoder, encoder[:10]),
    )


def controls_of(needed: Needed, hashes: HashCache) -> tuple[Weights, ...]:
    """The ControlNets, in the order of `request.controls`. Raises JobFailed."""
    return tuple(_named(source, subject, hashes) for source, subject in needed.controls)


def with_helping(recipe: Recipe, shown: Shown, hashes: HashCache) -> Recipe:
    """`recipe` with what tells depth and poses, and what finds things. Raises JobFailed."""

    def of(helping: tuple[Source, Subject] | None) -> Weights | None:
        return _named(*helping, hashes) if helping else None

    return replace(recipe, depth=of(shown.depth), pose=of(shown.pose), detector=of(shown.detector))


def _named(source: Source, subject: Subject, hashes: HashCache) -> Weights:
    """Weights that are called as their entry is."""
    sha256 = digest_of(source, subject, hashes)
    return Weights(subject.key, sha256, sha256[:10])


def adapters_of(needed: Needed, files: Sequence[AdapterFile]) -> tuple[Weights, ...]:
    """The digests of the bytes that were applied. files: as they were read."""
    return tuple(
        Weights(subject.key, file.sha256, file.data_sha256[:12])
        for (_, subject), file in zip(needed.adapters, files, strict=True)
    )
