"""Machines with model files of their own, which nothing here ever loads."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.distributed.fetched import Fetched
from bot.distributed.inventory import Inventory
from bot.engine.hashing import HashCache
from bot.order import Order
from bot.request import (
    AdapterUse,
    ControlUse,
    EmbeddingUse,
    GenerationRequest,
    Reference,
    Upscale,
)
from catalog import (
    AdapterEntry,
    Catalog,
    ControlNetEntry,
    ControlNets,
    DepthEntry,
    EmbeddingEntry,
    Embeddings,
    ModelEntry,
    PoseEntry,
    ReferenceEntry,
    UpscalerEntry,
    Upscalers,
)
from tests.store.factories import request

CONFIG = "stabilityai/stable-diffusion-xl-base-1.0"
"""The family's own, on the hub."""
COMMIT = "f" * 40


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pipeline(weights: str) -> dict[str, bytes]:
    """The files of a folder in diffusers' layout."""
    vocabulary = json.dumps({"a": 1}).encode()
    return {
        "model_index.json": b"{}",
        "unet/config.json": b"{}",
        "unet/diffusion_pytorch_model.safetensors": weights.encode() * 100,
        "tokenizer/vocab.json": vocabulary,
        "tokenizer/merges.txt": b"a b",
        "tokenizer/spiece.model": b"pieces",
        "tokenizer_2/vocab.json": vocabulary,
    }


BOT: Mapping[str, bytes] = {
    "checkpoints/Big Model v1.safetensors": b"big" * 1000,
    "checkpoints/Big Model v1.yaml": b"parameterization: v",
    "checkpoints/plain.safetensors": b"plain" * 200_000,
    **{f"folder/{name}": data for name, data in pipeline("folder").items()},
    "vae/config.json": b"{}",
    "vae/diffusion_pytorch_model.safetensors": b"vae" * 100,
    "configs/model_index.json": b"{}",
    "configs/unet/config.json": b"{}",
    "configs/unet/diffusion_pytorch_model.safetensors": b"not of a configuration",
    "loras/ink.safetensors": b"ink" * 500,
    "peft/adapter_model.safetensors": b"peft" * 500,
    "peft/adapter_config.json": b'{"peft_type": "LORA"}',
    "embeddings/hands-1.safetensors": b"first",
    "embeddings/hands-2.safetensors": b"second",
    "upscalers/4x.safetensors": b"4x" * 100,
    "guide/sdxl_models/ip-adapter.safetensors": b"guide",
    "guide/models/image_encoder/config.json": b"{}",
    "guide/models/image_encoder/model.safetensors": b"encoder",
    "controlnets/edges.safetensors": b"edges" * 100,
    "union/config.json": b"{}",
    "union/config_promax.json": b"{ }",
    "union/diffusion_pytorch_model.safetensors": b"not the one",
    "union/diffusion_pytorch_model_promax.safetensors": b"promax",
    "depth/config.json": b"{}",
    "depth/model.safetensors": b"depth",
    "pose/config.json": b"{}",
    "pose/model.safetensors": b"pose",
}
"""The bot's files."""
WORKER: Mapping[str, bytes] = {
    "a/other.safetensors": BOT["checkpoints/Big Model v1.safetensors"],
    "a/other.yaml": BOT["checkpoints/Big Model v1.yaml"],
    "b.safetensors": BOT["checkpoints/plain.safetensors"],
    **{f"c/{name}": data for name, data in pipeline("folder").items()},
    "d/config.json": BOT["vae/config.json"],
    "d/diffusion_pytorch_model.safetensors": BOT["vae/diffusion_pytorch_model.safetensors"],
    "e/model_index.json": b"{}",
    "e/unet/config.json": b"{}",
    "f.safetensors": BOT["loras/ink.safetensors"],
    "g/adapter_model.safetensors": BOT["peft/adapter_model.safetensors"],
    "g/adapter_config.json": BOT["peft/adapter_config.json"],
    "h/hands-1.safetensors": BOT["embeddings/hands-1.safetensors"],
    "h/hands-2.safetensors": BOT["embeddings/hands-2.safetensors"],
    "i.safetensors": BOT["upscalers/4x.safetensors"],
    "j/sdxl_models/ip-adapter.safetensors": b"guide",
    "j/models/image_encoder/config.json": b"{}",
    "j/models/image_encoder/model.safetensors": b"encoder",
    "k.safetensors": BOT["controlnets/edges.safetensors"],
    "l/config_promax.json": BOT["union/config_promax.json"],
    "l/diffusion_pytorch_model_promax.safetensors": b"promax",
    "m/config.json": b"{}",
    "m/model.safetensors": b"depth",
    "n/config.json": b"{}",
    "n/model.safetensors": b"pose",
}
"""The same, elsewhere and under other names."""


def model(key: str, path: str, **more: Any) -> ModelEntry:
    return ModelEntry(key=key, name=key, path=path, **more)


def catalog_of(
    *,
    big: str = "checkpoints/Big Model v1.safetensors",
    plain: str = "checkpoints/plain.safetensors",
    folder: str = "folder",
    vae: str = "vae",
    config: str = "configs",
    ink: str = "loras/ink.safetensors",
    peft: str = "peft/adapter_model.safetensors",
    hands: str = "embeddings/hands-1.safetensors",
    upscaler: str = "upscalers/4x.safetensors",
    guide: str = "guide",
    edges: str = "controlnets/edges.safetensors",
    union: str = "union",
    depth: str = "depth",
    pose: str = "pose",
) -> Catalog:
    models = (
        model("big", big, vae_path=vae, config=config),
        model("plain", plain),
        model("folder", folder),
        model("hub", "some-one/some-model", weight_name="x.safetensors", revision=COMMIT),
    )
    adapters = [AdapterEntry(key=k, name=k, path=p) for k, p in (("ink", ink), ("peft", peft))]
    embedding = EmbeddingEntry(key="hands", name="Hands", path=hands, second="hands-2.safetensors")
    promax = "diffusion_pytorch_model_promax.safetensors"
    controls = (
        ControlNetEntry(key="edges", name="Edges", path=edges, type="canny"),
        ControlNetEntry(key="union", name="Union", path=union, weight_name=promax),
    )
    return Catalog(
        {entry.key: entry for entry in models},
        {entry.key: entry for entry in adapters},
        "big",
        embeddings=Embeddings({"hands": embedding}),
        upscalers=Upscalers({"4x": UpscalerEntry(key="4x", name="4x", path=upscaler)}),
        references={
            "sdxl": ReferenceEntry(
                path=guide,
                weight_name="sdxl_models/ip-adapter.safetensors",
                encoder="models/image_encoder",
            )
        },
        controlnets=ControlNets(
            {entry.key: entry for entry in controls},
            depth=DepthEntry(path=depth),
            pose=PoseEntry(path=pose),
        ),
    )


BOTS = catalog_of()
WORKERS = catalog_of(
    big="a/other.safetensors",
    plain="b.safetensors",
    folder="c",
    vae="d",
    config="e",
    ink="f.safetensors",
    peft="g/adapter_model.safetensors",
    hands="h/hands-1.safetensors",
    upscaler="i.safetensors",
    guide="j",
    edges="k.safetensors",
    union="l",
    depth="m",
    pose="n",
)
EMPTY = Catalog({}, {}, "")


def everything(model_key: str = "big") -> GenerationRequest:
    """A request that needs one of each."""
    return request(
        model=model_key,
        adapters=(AdapterUse("ink", 0.5), AdapterUse("peft", 0.5)),
        embeddings=(EmbeddingUse("hands", "hands"),),
        reference=Reference("b" * 64, 0.8),
        upscale=Upscale("c" * 64, "4x", 2.0, "repaint", 0.3),
        controls=(
            ControlUse("edges", "d" * 64, "openpose", 1.0, of_photo=True),
            ControlUse("union", "d" * 64, "depth", 0.5),
        ),
    )


def order_for(catalog: Catalog, asked: GenerationRequest) -> Order:
    entries = catalog.models, catalog.adapters, catalog.embeddings.entries
    models, adapters, embeddings = entries
    return Order(
        asked,
        models[asked.model],
        tuple(adapters[use.key] for use in asked.adapters),
        catalog.reference_for(asked.model) if asked.reference else None,
        {},
        tuple(embeddings[key] for key in asked.embedding_keys),
        catalog.upscalers.entries[asked.upscale.upscaler] if asked.upscale else None,
        controls=tuple(catalog.controlnets.entries[use.key] for use in asked.controls),
        depth=catalog.controlnets.depth if asked.needs_depth else None,
        pose=catalog.controlnets.pose if asked.needs_pose else None,
    )


@dataclass
class Machine:
    """home: with the models folder and the file of hashes."""

    home: Path
    catalog: Catalog = EMPTY
    fetched: Fetched | None = None
    inventory: Inventory = field(init=False)

    def __post_init__(self) -> None:
        self.inventory = Inventory(self.models, HashCache(self.home / "hashes.json"), self.fetched)

    @property
    def models(self) -> Path:
        return self.home / "models"

    def ready(self) -> "Machine":
        """With all that is known once everything is hashed."""
        self.inventory.update(self.catalog)
        while self.inventory.hash_next():
            pass
        return self


def put(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def bot(home: Path) -> Machine:
    put(home / "models", BOT)
    return Machine(home, BOTS)


def worker(home: Path) -> Machine:
    """With the same files."""
    put(home / "models", WORKER)
    return Machine(home, WORKERS)


def bare_worker(home: Path, limit: int = 2**30) -> Machine:
    """Without any."""
    (home / "models").mkdir(parents=True)
    return Machine(home, EMPTY, Fetched(home / "models/fetched", limit))
