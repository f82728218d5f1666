"""What sd-parsers reads of the same files, where it can: the two must agree."""

import io

import pytest
from PIL import Image
from sd_parsers import ParserManager
from sd_parsers.extractors import Eagerness

from tests.files.image_info import samples, writers
from tests.files.image_info.test_reading import FILES, info

READS = ("a1111 png", "a1111 zTXt", "a1111 jpeg", "a1111 webp", "comfyui png", "fooocus png")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # it calls what Pillow will drop
@pytest.mark.parametrize("name", [*READS, "novelai png", "novelai stealth"])
def test_the_library_reads_the_same(name: str) -> None:
    novelai = {
        "novelai png": writers.png(samples.NOVELAI),
        "novelai stealth": writers.stealth(samples.NOVELAI_JSON),
    }
    data = novelai.get(name) or FILES[name][1]
    with Image.open(io.BytesIO(data)) as image:
        theirs = ParserManager(eagerness=Eagerness.EAGER).parse(image)
    assert theirs is not None
    ours, sampler = info(data), theirs.samplers[0]
    assert ours.prompt.startswith(str(sampler.prompts[0].value).partition(" <lora:")[0])
    assert ours.negative == sampler.negative_prompts[0].value
    assert str(ours.seed) == str(sampler.parameters["seed"])
    assert ours.sampler == sampler.name
    assert ours.guidance == float(sampler.parameters["cfg_scale"])
