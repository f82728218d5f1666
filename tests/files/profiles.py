"""Small colour profiles, as ICC.1:2010 lays them out."""

import struct

Triple = tuple[float, float, float]
WHITE: Triple = (0.9642, 1.0, 0.8249)
P3 = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))
GAMMA = 563 / 256
"""2.2, as a profile of one number stores it."""


def rgb(primaries: tuple[Triple, Triple, Triple], curve: bytes = b"") -> bytes:
    """A screen's or a camera's: three primaries (CIE XYZ, D50) and one curve, GAMMA by default."""
    curve = curve or _curve(GAMMA)
    names = zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
    return _profile(
        b"RGB ",
        {
            **{name: _xyz(primary) for name, primary in names},
            **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
        },
    )


def srgb() -> bytes:
    """As cameras write it: the curve as a table, the primaries rounded differently."""
    steps = [n / 1023 for n in range(1024)]
    light = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in steps]
    table = struct.pack(">1024H", *(round(value * 65535) for value in light))
    return rgb(SRGB, b"curv\0\0\0\0" + struct.pack(">I", 1024) + table)


def grey(gamma: float) -> bytes:
    return _profile(b"GRAY", {b"kTRC": _curve(gamma)})


def cmyk(lab_of_all: tuple[int, int, int]) -> bytes:
    """A printer's, on whose paper all inks but black look like this one colour."""
    light, a, b = lab_of_all
    colour = bytes((light * 255 // 100, a + 128, b + 128))
    paper = bytes((255, 128, 128))
    black = bytes((0, 128, 128))
    ramp = bytes(range(256))
    identity = struct.pack(">9i", *(65536 if n % 4 == 0 else 0 for n in range(9)))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + ramp * 4
    return _profile(
        b"CMYK",
        {b"A2B0": table + paper + black + (colour + black) * 7 + ramp * 3},
        b"prtr",
        b"Lab ",
    )


def _xyz(triple: Triple) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in triple))


def _curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def _profile(
    space: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr", between: bytes = b"XYZ "
) -> bytes:
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78)
    tags = {b"desc": text, b"wtpt": _xyz(WHITE), b"cprt": b"text\0\0\0\0none\0", **tags}
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    header = struct.pack(">I", start + len(data)) + b"test" + struct.pack(">I", 0x02400000)
    header += kind + space + between + bytes(12) + b"acsp" + bytes(28)
    header += struct.pack(">3i", *(round(value * 65536) for value in WHITE))
    return header.ljust(128, b"\0") + table + data
