"""LoRA files for measuring: headers of true size, without the tensors."""

import json
import math
import os
import struct
from pathlib import Path

MODULES = 722
"""What a LoRA of all of SDXL's UNet changes, which makes a header of 0.3 MB."""
RANK, WIDTH = 32, 640


def write_loras(folder: Path, count: int) -> list[str]:
    """Write `count` sparse files with the same header, always the same; returns their keys.

    They are links to one file, which the catalog cannot know: it reads each of them.
    """
    folder.mkdir(parents=True)
    keys = [f"style-{number:05}" for number in range(count)]
    first, *others = (folder / f"{key}.safetensors" for key in keys)
    header, size = _header()
    with first.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + size)
    for other in others:
        os.link(first, other)
    return keys


def _header() -> tuple[bytes, int]:
    """The bytes of a header with its length, and the size of the tensors that it claims."""
    parts = {"lora_down.weight": [RANK, WIDTH], "lora_up.weight": [WIDTH, RANK], "alpha": []}
    table: dict[str, object] = {
        "__metadata__": {
            "ss_base_model_version": "sdxl_base_v1-0",
            "ss_tag_frequency": json.dumps({"set": {f"tag {n}": n for n in range(300)}}),
        }
    }
    end = 0
    for number in range(MODULES):
        module = f"lora_unet_input_blocks_{number % 9}_1_transformer_blocks_{number}_attn1_to_k"
        for part, shape in parts.items():
            begin, end = end, end + 2 * math.prod(shape)
            entry = {"dtype": "F16", "shape": shape, "data_offsets": [begin, end]}
            table[f"{module}.{part}"] = entry
    raw = json.dumps(table).encode()
    return struct.pack("<Q", len(raw)) + raw, end
