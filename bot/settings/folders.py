"""The settings of where files are."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

from bot.settings.values import HomePath


class FolderSettings(BaseSettings):
    """See docs/settings.md."""

    data_dir: HomePath = Field(
        default=Path("data"),
        description="Folder for the database, generated images and images that users upload.",
    )
    catalog_dir: HomePath = Field(
        default=Path("catalog"),
        description="Folder with `models.toml`, `loras.toml`, `embeddings.toml`, "
        "`upscalers.toml`, `controlnets.toml` and the folder `wildcards`.",
    )
    models_dir: HomePath = Field(
        default=Path("models"),
        description="Folder for your own model files and for downloads: `checkpoints/`, `loras/`, "
        "`embeddings/`, `upscalers/`, `controlnets/` and `hub/`.",
    )

    @property
    def database(self) -> Path:
        return self.data_dir / "imagen.sqlite3"

    @property
    def images_dir(self) -> Path:
        return self.data_dir / "images"

    @property
    def hashes_file(self) -> Path:
        """Where digests of weights are kept."""
        return self.data_dir / "hashes.json"

    @property
    def previews_dir(self) -> Path:
        """Where painted previews of models and LoRAs are kept."""
        return self.data_dir / "previews"

    @property
    def inputs_dir(self) -> Path:
        return self.data_dir / "inputs"
