"""The tensors of an adapter file in one buffer."""

import json
import struct
from pathlib import Path

import torch

from catalog.weight_files import read_header


def test_each_tensor_is_what_the_file_says_wherever_it_lies(tmp_path: Path) -> None:
    """Of all widths, of no numbers, on no multiple of its width, and at an odd end."""
    from bot.engine.patches.file_tensors import FileTensors

    generator = torch.Generator().manual_seed(1)
    tensors = {
        "wide": torch.randn(2, 3, 4, dtype=torch.float64, generator=generator),
        "column": torch.randn(5, 1, generator=generator).half(),
        "scalar": torch.tensor(3.5),
        "byte": torch.tensor([7], dtype=torch.uint8),
        "off": torch.randn(3, 2, generator=generator),
        "brain": torch.randn(2, generator=generator).bfloat16(),
        "truth": torch.tensor([True, False]),
        "empty": torch.empty(3, 0),
    }
    header, data = {}, b""
    names = {torch.float64: "F64", torch.float16: "F16", torch.float32: "F32"}
    names |= {torch.uint8: "U8", torch.bfloat16: "BF16", torch.bool: "BOOL"}
    for name, tensor in tensors.items():
        raw = bytes(tensor.contiguous().view(-1).view(torch.uint8).tolist())
        place = [len(data), len(data) + len(raw)]
        header[name] = {
            "dtype": names[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": place,
        }
        data += raw
    assert len(data) % 2
    text = json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)

    found = FileTensors.read(path, read_header(path), lambda: None)
    for name, tensor in tensors.items():
        read = found.tensor(name)
        assert read.dtype == tensor.dtype
        assert read.is_contiguous()
        assert torch.equal(read, tensor), name
    assert len({found.tensor(n).untyped_storage().data_ptr() for n in ("wide", "column")}) == 1
