"""Shelf: what files of one kind said, until they change."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from catalog.disk import is_scarce, passing_fault
from catalog.stamps import Stamp
from catalog.weight_files import HeaderError

Said = TypeVar("Said")


@dataclass(slots=True)
class Shelf(Generic[Said]):
    """What each file said, by path, and the stamps of all that was read for it, its own first.

    of: the class of what they say. Errors are kept as well.
    """

    of: type[Said]
    _known: dict[str, tuple[tuple[Stamp, ...], Said | HeaderError]] = field(default_factory=dict)

    def knows(self, path: str, stamps: tuple[Stamp, ...]) -> bool:
        """Whether it was read when it had these stamps."""
        known = self._known.get(path)
        return known is not None and known[0] == stamps

    def once(self, path: str, stamps: tuple[Stamp, ...], read: Callable[[], Said]) -> Said:
        """What `read` returns or raises, called only if the file had other stamps before.

        Raises HeaderError, and OSError if something is scarce, so that nothing can be said now.
        """
        known = self._known.get(path)
        if known is not None and known[0] == stamps:
            said = known[1]
        else:
            try:
                said = read()
            except HeaderError as error:
                if fault := passing_fault(error):
                    if is_scarce(fault):
                        raise fault from error
                    raise
                said = error
            self._known[path] = stamps, said
        if isinstance(said, HeaderError):
            raise HeaderError(str(said))
        return said

    def put(self, path: str, stamps: tuple[Stamp, ...], said: object) -> None:
        """Put back what `lasting` gave."""
        if isinstance(said, (self.of, HeaderError)):
            self._known[path] = stamps, said

    def lasting(self, path: str) -> tuple[tuple[Stamp, ...], Said | HeaderError] | None:
        """What is known about a file and may be kept; None if there is nothing."""
        known = self._known.get(path)
        # A folder's permissions or a mount may mend an OSError without touching the file.
        return None if known is None or isinstance(known[1], OSError) else known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    @property
    def stamps(self) -> Iterator[Stamp]:
        """Of everything that was read."""
        for stamps, _ in self._known.values():
            yield from stamps

    def forget_all_but(self, paths: Collection[str]) -> None:
        """Drop what is known about other files."""
        self._known = {path: known for path, known in self._known.items() if path in paths}
