"""How the name of a tensor in an adapter file is split."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("tensor", "module", "role"),
    [
        ("m.lora_down.weight", "m", "down"),
        ("m.lora_mid.weight", "m", "mid"),
        ("unet.a.to_out.0.lora_B.weight", "unet.a.to_out.0", "up"),
        ("diffusion_model.blocks.0.attn.wq.lora_A", "diffusion_model.blocks.0.attn.wq", "down"),
        ("a.to_q.lora_B", "a.to_q", "up"),
        ("unet.a.to_q.lora_A.default_0.weight", "unet.a.to_q", "down"),
        ("base_model.model.a.to_q.lora_B.bias", "a.to_q", "up_bias"),
        ("a.to_q.lora_magnitude_vector", "a.to_q", "magnitude"),
        ("a.to_q.lora_magnitude_vector.weight", "a.to_q", "magnitude"),
        ("a.to_q.lora_magnitude_vector.default.weight", "a.to_q", "magnitude"),
        ("a.to_q.dora_scale", "a.to_q", "magnitude"),
        ("a.to_q.magnitude", "a.to_q", "magnitude"),
        ("unet.a.attn1.processor.to_q_lora.alpha", "unet.a.attn1.processor.to_q", "alpha"),
        ("t.mlp.fc1.lora_linear_layer.alpha", "t.mlp.fc1", "alpha"),
        ("t.proj_in.lora.alpha", "t.proj_in", "alpha"),
        ("unet.a.attn1.processor.to_q_lora.down.weight", "unet.a.attn1.processor.to_q", "down"),
        ("t.mlp.fc1.lora_linear_layer.up.weight", "t.mlp.fc1", "up"),
        ("t.proj_in.lora.up.weight", "t.proj_in", "up"),
        ("m.hada_w1_a", "m", "hada_w1_a"),
        ("m.lokr_t2", "m", "lokr_t2"),
        ("m.a1.weight", "m", "a1"),
        ("m.oft_blocks", "m", "oft_blocks"),
        ("m.lora.b_norm", "m.lora", "b_norm"),
        ("m.alpha", "m", "alpha"),
        ("diffusion_model.out.2.diff_b", "diffusion_model.out.2", "diff_b"),
    ],
)
def test_a_tensor_has_a_module_and_a_role(tensor: str, module: str, role: str) -> None:
    from catalog.weight_files import split

    assert split(tensor) == (module, role)


@pytest.mark.parametrize("tensor", ["", "alpha", "weight", "m.bias", "m.lora_C", "m.set_weight"])
def test_other_tensors_have_none(tensor: str) -> None:
    from catalog.weight_files import split

    assert split(tensor) is None


SPELLINGS = {
    "down": (
        *(".lora_down.weight", ".lora_A.weight", ".lora_A.x.weight", "_lora.down.weight"),
        ".lora_A",
    ),
    "up": (
        *(".lora_up.weight", ".lora_B.weight", ".lora.up.weight", ".lora_linear_layer.up.weight"),
        ".lora_B",
    ),
    "magnitude": (".dora_scale", ".lora_magnitude_vector", ".lora_magnitude_vector.x.weight"),
    "up_bias": (".lora_B.bias", ".lora_B.x.bias"),
    "lokr_w1_a": (".lokr_w1_a",),
    "b_norm": (".b_norm",),
    "bm": (".bm.weight",),
}
MODULES = st.lists(st.text("abqlor_01", min_size=1, max_size=8), min_size=1, max_size=5).map(
    ".".join
)


@settings(deadline=None)
@given(MODULES, st.sampled_from(sorted(SPELLINGS)), st.data())
def test_every_spelling_of_a_role_leaves_the_module_as_it_is(
    module: str, role: str, data: st.DataObject
) -> None:
    from catalog.weight_files import split

    spelling = data.draw(st.sampled_from(SPELLINGS[role]))
    assert split(module + spelling) == (module, role)
    assert split(f"base_model.model.{module}{spelling}") == (module, role)


@settings(deadline=None)
@given(st.text(".abw_lora_A0weightdownpB", max_size=40))
def test_no_name_breaks_the_grammar(tensor: str) -> None:
    from catalog.weight_files import split

    where = split(tensor)
    assert where is None or tensor.removeprefix("base_model.model.").startswith(where[0])
