"""Expecting: what the recipe of an order may say of its weights, as far as the bot knows them."""

from bot.distributed.inventory import Inventory
from bot.distributed.parts import Kind, Part, networks_in, part_of, part_of_model, replacing
from bot.distributed.readings import digests_of
from bot.order import Order
from bot.wire.expected import ANY, Expected, Sha256s
from catalog.families import DEFAULT


def expected_of(order: Order, inventory: Inventory) -> Expected:
    """What a recipe may say of the weights of an order, which has the paths of the bot."""
    model = order.model
    files = (model.family if model else DEFAULT).files

    def known(part: Part) -> Sha256s:
        contents = inventory.contents(part)
        return ANY if contents is None else digests_of(part, contents, files)

    checkpoint, instead, parts = ANY, {}, {}
    if model is not None:
        checkpoint = known(part_of_model(model))
        instead = {part.kind: known(part) for part in replacing(model)}
        if inventory.knows_lent(model):
            networks = networks_in(model.lent_by, inventory.lent_of(model))
            parts = {part.beside: known(part) for part in networks}
    reference: tuple[Sha256s, ...] = ()
    if order.reference is not None:
        part = part_of(order.reference)
        adapter = Part(Kind.ADAPTER, part.path)
        contents = inventory.contents(part)
        guide = ANY if contents is None else digests_of(adapter, contents, files)
        reference = (guide, known(part))
    return Expected(
        checkpoint=checkpoint,
        vae=instead.get(Kind.VAE),
        text_encoder=instead.get(Kind.TEXT_ENCODER),
        upscaler=known(part_of(order.upscaler)) if order.upscaler else ANY,
        adapters=tuple(known(part_of(entry)) for entry in order.adapters),
        embeddings=tuple(known(part_of(entry)) for entry in order.embeddings),
        reference=reference,
        controls=tuple(known(part_of(entry)) for entry in order.controls),
        depth=known(part_of(order.depth)) if order.depth else ANY,
        pose=known(part_of(order.pose)) if order.pose else ANY,
        detector=known(part_of(order.detector)) if order.detector else ANY,
        describer=known(part_of(order.describer)) if order.describer else ANY,
        parts=parts,
    )
