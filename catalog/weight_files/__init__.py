"""What weight files say about themselves, read without torch, for the catalog and the engine."""

from catalog.weight_files.adapter import AdapterFacts, adapter_facts, strays
from catalog.weight_files.algorithms import SUPPORTED, UNKNOWN
from catalog.weight_files.checkpoint import CheckpointFacts, checkpoint_facts
from catalog.weight_files.controlnet import ControlNetFacts, controlnet_facts
from catalog.weight_files.embedding import (
    EMBEDDING,
    NO_TOKEN,
    EmbeddingFacts,
    bundled_embeddings,
    embedding_facts,
    is_bundled,
    paired_facts,
)
from catalog.weight_files.gguf import NotGguf, read_gguf, read_model_header
from catalog.weight_files.header import (
    Header,
    HeaderError,
    NotSafetensors,
    Opened,
    UnreadableFile,
    open_tensors,
    read_header,
)
from catalog.weight_files.peft_config import (
    ALL_PARTS,
    CONFIG_FILE,
    CONFIG_MAX,
    LOKR,
    WEIGHTS_FILE,
    BadConfig,
    Configs,
    PeftConfig,
    config_file,
    configs_of,
    read_beside,
    read_configs,
)
from catalog.weight_files.refusal import Refusal, with_article
from catalog.weight_files.tensor_names import split
from catalog.weight_files.unsupported import UNSUPPORTED
from catalog.weight_files.upscaler import UpscalerFacts, upscaler_facts

__all__ = [
    "ALL_PARTS",
    "CONFIG_FILE",
    "CONFIG_MAX",
    "EMBEDDING",
    "LOKR",
    "NO_TOKEN",
    "SUPPORTED",
    "UNKNOWN",
    "UNSUPPORTED",
    "WEIGHTS_FILE",
    "AdapterFacts",
    "BadConfig",
    "CheckpointFacts",
    "Configs",
    "ControlNetFacts",
    "EmbeddingFacts",
    "Header",
    "HeaderError",
    "NotGguf",
    "NotSafetensors",
    "Opened",
    "PeftConfig",
    "Refusal",
    "UnreadableFile",
    "UpscalerFacts",
    "adapter_facts",
    "bundled_embeddings",
    "checkpoint_facts",
    "config_file",
    "configs_of",
    "controlnet_facts",
    "embedding_facts",
    "is_bundled",
    "open_tensors",
    "paired_facts",
    "read_beside",
    "read_configs",
    "read_gguf",
    "read_header",
    "read_model_header",
    "split",
    "strays",
    "upscaler_facts",
    "with_article",
]
