"""Files of weights, sound and broken."""

import json
import struct
from typing import Any


def broken(header: object, data: bytes = b"\0\0\0\0") -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def lora_bytes(
    width: int, metadata: dict[str, Any] | None = None, part: str = "lora_down"
) -> bytes:
    """A LoRA of rank 4 with one layer that reads text embeddings of `width`."""
    module = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
    header = {
        f"{module}.{part}.weight": {
            "dtype": "F16",
            "shape": [4, width],
            "data_offsets": [0, 8 * width],
        },
        "__metadata__": metadata or {},
    }
    return broken(header, bytes(8 * width))
