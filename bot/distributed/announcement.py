"""What a worker says of itself, and the bot believes after a look at every field."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from bot.errors import WireError
from bot.recipe import Environment
from bot.wire.codec import Codec

WIRE: Final = 10
"""The version of everything that the bot and a worker send each other. Only the same one fits."""
JSON_MAX: Final = 65_536
DEVICES_MAX: Final = 16
LIBRARIES_MAX: Final = 32
FAMILIES_MAX: Final = 32
NETWORKS_MAX: Final = 8
FILES_MAX: Final = 100_000
"""Files of which a worker can say that it has them."""
DIGEST: Final = 64

Device = Annotated[str, StringConstraints(pattern=r"^[a-z0-9:]{1,20}$")]
Card = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 ()/._@+-]{0,100}$")]
Key = Annotated[str, StringConstraints(pattern=r"^[a-z0-9._-]{1,100}$")]
Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.+_-]{0,40}$")]
Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{0,64}$")]
Fact = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,60}$")]
Format = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_, ]{1,100}$")]
Formats = Annotated[Mapping[Fact, Format], Field(max_length=NETWORKS_MAX)]
Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]


@dataclass(frozen=True, slots=True)
class DeviceState:
    """One device of a worker.

    device: as its owner names it, such as `cuda:0`. name: of the card. memory: bytes; None if it is
    not known. loaded: key of the model in memory. environment: the id of what its images depend on
    besides the weights; "" before it was first used. formats: how it stores the networks of each
    family, see `bot.recipe.Environment`. busy: whether a job is there. loading: whether
    it takes no jobs yet, as it imports its libraries and loads the default model.
    """

    device: Device
    name: Card = ""
    memory: Annotated[int, Field(ge=0, le=2**50)] | None = None
    loaded: Key | None = None
    environment: Id = ""
    busy: bool = False
    loading: bool = False
    formats: Annotated[Mapping[Key, Formats], Field(max_length=FAMILIES_MAX)] = field(
        default_factory=dict
    )

    @property
    def told(self) -> Environment:
        """What its images depend on besides the request and the weights."""
        return Environment(self.environment, self.formats)


@dataclass(frozen=True, slots=True)
class Announcement:
    """A worker as it is now.

    wire: see WIRE. version: of the bot's code there. session: another with every start. beat:
    another with every announcement. libraries: versions by name. files: the sha256 of the list of
    files that it has; "" if it has none. downloads: from how many repositories of the hub it has to
    get some of these first. fetches: whether it gets from the bot what it lacks. leaving: whether
    it takes no more jobs.
    """

    wire: int
    version: Version
    session: Hex
    beat: Annotated[int, Field(ge=0, le=2**53)]
    devices: Annotated[tuple[DeviceState, ...], Field(min_length=1, max_length=DEVICES_MAX)]
    libraries: Annotated[dict[Key, Version], Field(max_length=LIBRARIES_MAX)]
    files: Digest = ""
    downloads: Annotated[int, Field(ge=0, le=FILES_MAX)] = 0
    fetches: bool = False
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class OtherVersion:
    """What can be said of a worker with another WIRE."""

    wire: int
    version: Version = ""


_CODEC: Final = Codec(Announcement, "announcement", JSON_MAX)
_ANY_VERSION: Final = TypeAdapter(tuple[OtherVersion])


def encode(announcement: Announcement) -> bytes:
    return _CODEC.encode(announcement)


def decode(data: bytes) -> Announcement | OtherVersion:
    """Raises WireError for anything else."""
    if len(data) > JSON_MAX:
        raise WireError(f"announcement: {len(data)} bytes; allowed are {JSON_MAX}")
    try:
        (other,) = _ANY_VERSION.validate_json(data)
    except ValidationError:
        raise WireError("announcement: wire: allowed is a number") from None
    return other if other.wire != WIRE else _CODEC.decode(data)


def encode_files(digests: Iterable[str]) -> bytes:
    """The sha256 of every file, one after the other."""
    return "".join(sorted(set(digests))).encode("ascii")


def decode_files(data: bytes, expected: str) -> frozenset[str]:
    """expected: `Announcement.files`. Raises WireError unless these are its digests."""
    if len(data) > FILES_MAX * DIGEST or len(data) % DIGEST:
        raise WireError(f"files: {len(data)} bytes; allowed are {FILES_MAX} digests")
    if digest_of(data) != expected:
        raise WireError("files: they have another sha256 than announced")
    if not set(data) <= set(b"0123456789abcdef"):
        raise WireError("files: allowed are digits 0-9, a-f")
    text = data.decode("ascii")
    return frozenset(text[at : at + DIGEST] for at in range(0, len(text), DIGEST))


def digest_of(files: bytes) -> str:
    return hashlib.sha256(files).hexdigest() if files else ""
