"""Folders as peft's `save_pretrained` writes them: the weights that peft itself merges."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from catalog.weight_files import SUPPORTED, adapter_facts, read_configs, read_header
from tests.engine.patches.reading import BASES, refused, subject
from tests.parameters import mostly_long

WEIGHTS = {"lin": (48, 32), "square": (32, 32), "conv": (24, 16, 3, 3), "even": (16, 16, 3, 3)}


class Network(torch.nn.Module):
    """Linears and convolutions, square and not."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = torch.nn.Linear(32, 48)
        self.square = torch.nn.Linear(32, 32, bias=False)
        self.conv = torch.nn.Conv2d(16, 24, 3, padding=1)
        self.even = torch.nn.Conv2d(16, 16, 3, padding=1)


def known() -> dict[str, Any]:
    from bot.engine.patches import Target

    return {
        name: Target("unet", name, shape, has_bias=name != "square")
        for name, shape in WEIGHTS.items()
    }


def saved(folder: Path, kind: str, **options: Any) -> tuple[Any, Any]:
    """Save an adapter of peft with random weights: a network before and after merging the folder.

    peft sorts the patterns when it saves them, so what counts is what it makes of the folder.
    """
    import peft

    torch.manual_seed(3)
    network = Network().eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    config = getattr(peft, kind)(target_modules=list(WEIGHTS), **options)
    model: Any = peft.get_peft_model(network, config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "magnitude" in name or "ia3_l" in name or "boft_s" in name:
                parameter.mul_(torch.rand_like(parameter) * 3.0 + 0.5)
            elif "base_layer" not in name or (name.endswith("bias") and "bias" in options):
                parameter.copy_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    again = Network().eval()
    again.load_state_dict(before)
    return before, peft.PeftModel.from_pretrained(again, folder).merge_and_unload().state_dict()


def patched(file: Path, before: Any) -> dict[str, Any]:
    from bot.engine.patches import Spellings, read

    changes = read(file, Spellings(known()), BASES, subject()).changes
    after = {name: tensor.clone() for name, tensor in before.items()}
    for change in changes:
        change.add_to(after[change.parameter], before[change.parameter], 1.0)
    return after


def farthest(ours: Any, theirs: Any) -> float:
    return max(float((ours[name] - theirs[name]).abs().max()) for name in theirs)


LINEARS = ["lin", "square"]
CASES: list[tuple[str, dict[str, Any]]] = [
    ("LoraConfig", {"r": 4, "lora_alpha": 16}),
    ("LoraConfig", {"r": 4, "lora_alpha": 16, "use_rslora": True}),
    ("LoraConfig", {"r": 4, "lora_alpha": 3, "use_dora": True}),
    ("LoraConfig", {"r": 4, "lora_alpha": 3, "use_dora": True, "use_rslora": True}),
    ("LoraConfig", {"r": 4, "lora_alpha": 16, "alpha_pattern": {"lin": 3, "conv": 1}}),
    ("LoraConfig", {"r": 4, "lora_alpha": 16, "alpha_pattern": {"^co.*": 3, "li[mn]": 5}}),
    ("LoraConfig", {"r": 4, "lora_alpha": 16, "alpha_pattern": {"lin|conv": 3, "lin": 5}}),
    ("LoraConfig", {"r": 4, "lora_alpha": 16, "alpha_pattern": {"in": 3, "^lin$": 5}}),
    ("LoraConfig", {"r": 4, "lora_alpha": 16, "rank_pattern": {"lin": 7}}),
    (
        "LoraConfig",
        {"r": 4, "lora_alpha": 9, "use_rslora": True, "rank_pattern": {"conv": 2}},
    ),
    ("LoraConfig", {"r": 4}),
    ("LoraConfig", {"r": 4, "bias": "all"}),
    ("LoraConfig", {"r": 4, "bias": "lora_only", "use_dora": True}),
    ("LoHaConfig", {"r": 4, "alpha": 16}),
    ("LoHaConfig", {"r": 4, "alpha": 16, "use_effective_conv2d": True}),
    ("LoHaConfig", {"r": 4, "alpha": 1, "alpha_pattern": {"conv": 12}}),
    ("LoKrConfig", {"r": 2, "alpha": 16}),
    ("LoKrConfig", {"r": 64, "alpha": 16}),
    ("LoKrConfig", {"r": 64, "alpha": 16, "rank_pattern": {"lin": 99}}),
    ("LoKrConfig", {"r": 64, "alpha": 16, "alpha_pattern": {"conv": 5}}),
    ("LoKrConfig", {"r": 2, "alpha": 16, "decompose_both": True, "decompose_factor": 4}),
    ("LoKrConfig", {"r": 2, "alpha": 7, "use_effective_conv2d": True}),
    ("OFTConfig", {"oft_block_size": 8}),
    ("OFTConfig", {"r": 4, "oft_block_size": 0}),
    ("OFTConfig", {"oft_block_size": 8, "use_cayley_neumann": False}),
    ("OFTConfig", {"oft_block_size": 8, "num_cayley_neumann_terms": 3}),
    ("OFTConfig", {"oft_block_size": 8, "block_share": True}),
    ("OFTConfig", {"oft_block_size": 8, "coft": True, "eps": 0.3}),
    ("OFTConfig", {"oft_block_size": 8, "bias": "oft_only"}),
    ("BOFTConfig", {"boft_block_size": 8}),
    ("BOFTConfig", {"boft_block_size": 8, "bias": "boft_only"}),
    ("BOFTConfig", {"boft_block_num": 4, "boft_block_size": 0}),
    ("IA3Config", {"feedforward_modules": []}),
    ("IA3Config", {"feedforward_modules": list(WEIGHTS)}),
    ("IA3Config", {"feedforward_modules": ["square", "conv"]}),
]
USUAL = [next(case for case in CASES if case[0] == kind) for kind in dict(CASES)]
"""One of each kind."""


@pytest.mark.parametrize(
    ("kind", "options"), mostly_long(CASES, usual=USUAL), ids=[f"{k} {o}" for k, o in CASES]
)
@pytest.mark.filterwarnings("ignore")
def test_a_saved_folder_gives_what_peft_merges(
    kind: str, options: dict[str, Any], tmp_path: Path
) -> None:
    before, after = saved(tmp_path, kind, **options)
    file = tmp_path / "adapter_model.safetensors"
    assert farthest(before, after) > 0.04  # otherwise nothing would be tested
    assert farthest(patched(file, before), after) <= 2e-5
    header = read_header(file)
    told = adapter_facts(header.shapes, header.metadata, read_configs(file, header.metadata))
    assert set(told.algorithm.split(" + ")) <= set(SUPPORTED)


def test_a_butterfly_of_several_stages_is_what_peft_merges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """peft only has them with its CUDA extension, which puts blocks on a diagonal."""
    from peft.tuners.boft import layer

    def diagonal(blocks: Any) -> Any:
        block_diag: Any = torch.block_diag
        return torch.stack([block_diag(*stage) for stage in blocks])

    monkeypatch.setattr(layer, "get_fbd_cuda", lambda: True)
    monkeypatch.setattr(layer.FastBlockDiag, "apply", diagonal)
    before, after = saved(tmp_path, "BOFTConfig", boft_block_size=4, boft_n_butterfly_factor=3)
    file = tmp_path / "adapter_model.safetensors"
    assert read_header(file).shapes["base_model.model.lin.boft_R"] == (3, 8, 4, 4)
    assert farthest(before, after) > 0.1
    assert farthest(patched(file, before), after) <= 2e-5


def test_a_folder_as_peft_names_its_file_or_with_one_file(tmp_path: Path) -> None:
    """Beside several files, the configuration is that of adapter_model.safetensors."""
    before, after = saved(tmp_path, "LoraConfig", r=4, lora_alpha=16)
    file = (tmp_path / "adapter_model.safetensors").rename(tmp_path / "style.safetensors")
    assert farthest(patched(file, before), after) <= 2e-5
    (tmp_path / "other.safetensors").write_bytes(file.read_bytes())
    quarter = {name: before[name] + (after[name] - before[name]) / 4 for name in before}
    assert farthest(patched(file, before), quarter) <= 2e-5
    (tmp_path / "adapter_model.safetensors").write_bytes(file.read_bytes())
    assert farthest(patched(tmp_path / "adapter_model.safetensors", before), after) <= 2e-5


@pytest.mark.parametrize(
    "fields", [{"peft_type": "LORA"}, {"peft_type": "LORA", "base_model_name_or_path": "x"}, {}]
)
def test_a_configuration_that_only_names_a_base_is_not_the_one_of_a_file(
    tmp_path: Path, fields: dict[str, str]
) -> None:
    before, after = saved(tmp_path, "LoraConfig", r=4, lora_alpha=16)
    (tmp_path / "adapter_config.json").write_text(json.dumps(fields))
    file = (tmp_path / "adapter_model.safetensors").rename(tmp_path / "style.safetensors")
    quarter = {name: before[name] + (after[name] - before[name]) / 4 for name in before}
    assert farthest(patched(file, before), quarter) <= 2e-5


def test_the_tensors_of_a_file_outrank_the_configuration(tmp_path: Path) -> None:
    """diffusion-pipe converts names and alphas, and leaves the configuration beside."""
    from safetensors.torch import load_file, save_file

    before, after = saved(tmp_path, "LoraConfig", r=4, lora_alpha=16)
    file = tmp_path / "adapter_model.safetensors"
    half = {f"{name}.alpha": torch.tensor(8.0) for name in WEIGHTS}
    save_file({**load_file(file), **half}, file)
    halved = {name: before[name] + (after[name] - before[name]) / 2 for name in before}
    assert farthest(patched(file, before), halved) <= 2e-5


def test_a_configuration_that_cannot_be_read_is_not_an_absent_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    saved(tmp_path, "LoraConfig", r=4)
    real = Path.stat

    def failing(path: Path, **options: Any) -> Any:
        if path.name == "adapter_config.json":
            raise OSError(errno.EIO, "Input/output error")
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", failing)
    failure = refused(tmp_path / "adapter_model.safetensors", known())
    assert failure.code == "adapter.bad_config"
    assert "cannot be opened (Input/output error)" in str(failure.params["reason"])


def test_a_dora_without_its_magnitudes_is_broken(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    saved(tmp_path, "LoraConfig", r=4, use_dora=True)
    file = tmp_path / "adapter_model.safetensors"
    save_file({k: v for k, v in load_file(file).items() if "magnitude" not in k}, file)
    assert refused(file, known()).code == "adapter.broken"


BROKEN: list[tuple[Any, str]] = [
    ({"lora_alpha": "16"}, "lora_alpha must be a number, got '16'"),
    ({"lora_alpha": None}, "lora_alpha must be a number, got None"),
    ({"lora_alpha": float("inf")}, "lora_alpha must be a number, got inf"),
    ({"r": 0}, "r must be a whole number"),
    ({"r": 10**30}, "r must be a whole number"),
    ({"use_rslora": "yes"}, "use_rslora must be true or false, got 'yes'"),
    ({"use_dora": 1}, "use_dora must be true or false, got 1"),
    ({"alpha_pattern": [1]}, "alpha_pattern must be a table of numbers"),
    ({"alpha_pattern": {"lin": "x"}}, "alpha_pattern of 'lin' must be a number, got 'x'"),
    ({"rank_pattern": {"lin": 1.5}}, "rank_pattern of 'lin' must be a whole number"),
    ({"alpha_pattern": {"(a+)+$": 1}}, "alpha_pattern must be paths or simple patterns"),
    ({"alpha_pattern": {"[": 1}}, "alpha_pattern must be paths or simple patterns"),
    ({"init_lora_weights": "magic"}, "init_lora_weights must be one of true, false"),
    ({"init_lora_weights": [1]}, "init_lora_weights must be one of true, false"),
    ({"bias": "some"}, "bias must be one of none, all, lora_only"),
    ({"peft_type": None}, "peft_type must be the name of a method, got None"),
    ("{", "is not JSON"),
    ([1], "is not a JSON object"),
    ("[" * 2000, "is not JSON"),
    (" " * (2**20 + 1), "is larger than"),
]


@pytest.mark.parametrize(("fields", "said"), BROKEN, ids=range(len(BROKEN)))
def test_a_configuration_of_unknown_meaning_is_refused_by_name(
    fields: Any, said: str, tmp_path: Path
) -> None:
    saved(tmp_path, "LoraConfig", r=4)
    beside = tmp_path / "adapter_config.json"
    if isinstance(fields, dict):
        fields = json.loads(beside.read_text()) | fields
    beside.write_text(fields if isinstance(fields, str) else json.dumps(fields))
    failure = refused(tmp_path / "adapter_model.safetensors", known())
    assert failure.code == "adapter.bad_config"
    assert "adapter_config.json" in str(failure.params["reason"])
    assert said in str(failure.params["reason"])
