"""What a model's postprocessing says of one sample."""
import struct
import zlib

import numpy


class Classes(list):
    """[(label or class number, score), ...], best first."""

    @property
    def best(self):
        return self[0]

    def _repr_html_(self):
        rows = "".join(f"<tr><td>{_escape(name)}</td><td>{score:.4f}</td></tr>" for name, score in self)
        return f"<table>{rows}</table>"


class Mask(numpy.ndarray):
    """(height, width) int32, a class per pixel; `labels` names them. A notebook shows it in colours."""

    labels = ()

    def __array_finalize__(self, other):
        self.labels = getattr(other, "labels", ())

    def _repr_png_(self):
        classes = numpy.asarray(self).astype(numpy.uint8)
        return _png(classes, _palette()) if self.ndim == 2 else None

    def count(self):
        """{label or class number: pixels}, the largest first."""
        found, pixels = numpy.unique(numpy.asarray(self), return_counts=True)
        pairs = sorted(zip(found.tolist(), pixels.tolist()), key=lambda pair: -pair[1])
        return {self.labels[c] if 0 <= c < len(self.labels) else c: n for c, n in pairs}


class Boxes(list):
    """[(label or class number, score, (left, top, right, bottom)), ...] in pixels of the picture, best first."""

    def _repr_html_(self):
        rows = "".join(f"<tr><td>{_escape(name)}</td><td>{score:.4f}</td><td>{', '.join(f'{x:.1f}' for x in box)}</td></tr>"
                       for name, score, box in self)
        return f"<table>{rows}</table>"


def _escape(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;")


def _palette():
    """Pascal VOC's colours: the bits of a class dealt out to red, green and blue, highest first."""
    colours = numpy.zeros((256, 3), numpy.uint8)
    classes = numpy.arange(256)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((classes >> (3 * bit + channel)) & 1) << (7 - bit)).astype(numpy.uint8)
    return colours


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(indices, palette):
    """An indexed PNG of (height, width) uint8 (W3C PNG, section 11)."""
    height, width = indices.shape
    rows = numpy.concatenate([numpy.zeros((height, 1), numpy.uint8), indices], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"PLTE", palette.tobytes())
            + _chunk(b"IDAT", zlib.compress(rows.tobytes())) + _chunk(b"IEND", b""))
