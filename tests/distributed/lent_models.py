"""Models that are completed by a repository, on a machine that has all of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bot.distributed.bundles import Member
from bot.distributed.inventory import Inventory
from bot.distributed.localising import addressed
from bot.engine.hashing import HashCache
from bot.order import Order
from bot.wire import orders
from catalog import Catalog, ModelEntry
from catalog.families import FAMILIES
from tests.distributed.machines import Machine, model, order_for, put
from tests.store.factories import request

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
HUB = FAMILIES["zimage"].config


def tensors(*names: str, size: int = 64) -> bytes:
    """A .safetensors file with these tensors."""
    header = {
        name: {"dtype": "U8", "shape": [size], "data_offsets": [n * size, (n + 1) * size]}
        for n, name in enumerate(names)
    }
    data = json.dumps(header).encode()
    return len(data).to_bytes(8, "little") + data + bytes(size * len(names))


DENOISER = ("layers.0.attention.qkv.weight", "x_embedder.weight")
ENCODER = {
    SHARDS[0]: tensors("model.embed_tokens.weight", size=200_000),
    SHARDS[1]: tensors("model.layers.0.mlp.up_proj.weight", size=100_000),
}
VAE = tensors("decoder.conv_in.weight", size=50_000)
PIPELINE: Mapping[str, bytes] = {
    "model_index.json": b"{}",
    "transformer/config.json": b"{}",
    "transformer/diffusion_pytorch_model.safetensors": tensors(*DENOISER, size=1000),
    "text_encoder/config.json": b'{"layers": 36}',
    "text_encoder/model.safetensors.index.json": b'{"weight_map": {}}',
    **{f"text_encoder/{name}": data for name, data in ENCODER.items()},
    "vae/config.json": b"{}",
    "vae/diffusion_pytorch_model.safetensors": VAE,
    "scheduler/scheduler_config.json": b"{}",
    "tokenizer/tokenizer_config.json": b"{}",
    "tokenizer/vocab.json": b'{"a": 1}',
}
FILES: Mapping[str, bytes] = {
    **{f"source/{name}": data for name, data in PIPELINE.items()},
    "one.safetensors": tensors(*DENOISER, size=2000),
    "two.safetensors": tensors(*DENOISER, size=3000),
    "whole.safetensors": tensors(
        *(f"model.diffusion_model.{name}" for name in DENOISER),
        "text_encoders.qwen3_4b.model.embed_tokens.weight",
        "vae.decoder.conv_in.weight",
    ),
    "vae.safetensors": tensors("decoder.conv_in.weight", size=40),
    "qwen.gguf": b"a text encoder" * 20_000,
}


def lender(key: str, path: str, **fields: Any) -> ModelEntry:
    return model(key, path, **{"family": "zimage", "config": "source", **fields})


def offered(**changed: Any) -> Catalog:
    entries = (
        lender("one", "one.safetensors", **changed),
        lender("two", "two.safetensors", **changed),
        lender("whole", "whole.safetensors", **changed),
        lender("other-vae", "one.safetensors", vae_path="vae.safetensors", **changed),
        *(
            lender(key, path, text_encoder_path="qwen.gguf", **changed)
            for key, path in (("other-encoder", "one.safetensors"), ("again", "two.safetensors"))
        ),
        model("klein", "source", family="flux2", text_encoder_path="qwen.gguf"),
        model("folder", "source", family="zimage"),
    )
    return Catalog({entry.key: entry for entry in entries}, {}, "one")


MODELS = offered()


class Watched(Inventory):
    """asked: the names of the files that were sent, in order."""

    def __init__(self, home: Path) -> None:
        super().__init__(home / "models", HashCache(home / "hashes.json"))
        self.asked: list[str] = []

    def file(self, sha256: str) -> Member | None:
        found = super().file(sha256)
        if found is not None:
            self.asked.append(found.path.name)
        return found


def machine_of(
    home: Path, catalog: Catalog = MODELS, files: Mapping[str, bytes] = FILES
) -> Machine:
    put(home / "models", files)
    made = Machine(home, catalog)
    made.inventory = Watched(home)
    return made.ready()


def asked_for(key: str) -> Any:
    return request(model=key, adapters=())


def sent(machine: Machine, key: str = "one", catalog: Catalog = MODELS) -> Order:
    """As it comes out of the wire."""
    order = addressed(order_for(catalog, asked_for(key)), machine.inventory)
    return orders.decode(orders.encode(order)).with_pictures({})


def needs(machine: Machine, key: str) -> set[str]:
    return set(machine.inventory.needs_of(asked_for(key), machine.catalog))
