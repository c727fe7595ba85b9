"""images.py - random resizes, crops, conversions and files, by our library and by Pillow, torchvision and OpenCV: same
bits.

Usage: images.py PROGRAM [SEED]; PROGRAM is built from images.c.
"""
import collections
import io
import os
import random
import subprocess
import sys
import tempfile
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import golden_images as golden
import numpy as np
from PIL import Image

N_LINES, N_OPENCV, N_FILES = 6000, 1000, 500


def random_file(rng, folder, number):
    """A JPEG or PNG with random contents and settings, and a line that decodes it."""
    width, height = (rng.choice((rng.randint(1, 20), rng.randint(1, 200))) for _ in range(2))
    mode = rng.choice(("L", "RGB", "RGB", "CMYK", "P", "RGBA", "LA", "1"))
    channels = {"RGB": 3, "CMYK": 4, "RGBA": 4, "LA": 2}.get(mode, 1)
    if rng.random() < 0.7:
        values = golden.photo(width, height, channels, number)
    else:
        values = golden.pattern(number * 2, width, height, channels)
    flat = values[:, :, 0] if channels == 1 else values
    image = Image.fromarray(flat, mode if mode not in ("P", "1") else None).convert(mode)
    jpeg = mode in ("L", "RGB", "CMYK") and (mode == "CMYK" or rng.random() < 0.7)
    name = "%d.%s" % (number, "jpg" if jpeg else "png")
    options = {}
    if jpeg:
        options = {"quality": rng.randint(1, 100), "subsampling": rng.randint(0, 2), "progressive": rng.random() < 0.4,
                   "optimize": rng.random() < 0.3, "exif": golden.exif(rng.randint(0, 9), rng.choice("<>"))}
    out = io.BytesIO()
    image.save(out, "JPEG" if jpeg else "PNG", **options)
    data = bytearray(out.getvalue())
    if jpeg and rng.random() < 0.3:  # damaged entropy data: the same damaged pixels, or an error from both
        for _ in range(rng.randint(1, 3)):
            data[rng.randint(len(data) * 2 // 3, len(data) - 3)] ^= 1 << rng.randint(0, 7)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)
    return "decode %s/%s %s" % (folder, name, rng.choice(("rgb", "gray", "upright")))


def random_opencv(rng):
    sizes = [rng.choice((rng.randint(1, 20), rng.randint(1, 200))) for _ in range(4)]
    return "as %d %d %d %d 1 %d %d %d" % (rng.randint(0, 999), *sizes[:2], rng.choice((1, 3)), rng.choice((0, 2)),
                                          *sizes[2:])


def pillow(line):
    try:
        return golden.answer(line)
    except (OSError, SyntaxError, ValueError) as fault:
        return "error: %s" % fault


def same(ours, theirs):
    if theirs.startswith("error: "):
        return "JPEG" in ours or "PNG" in ours
    return ours == theirs


def main():
    warnings.simplefilter("ignore")
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    with tempfile.TemporaryDirectory() as folder:
        lines = [golden.random_line(rng) for _ in range(N_LINES)]
        lines += [random_opencv(rng) for _ in range(N_OPENCV)]
        lines += [random_file(rng, folder, i) for i in range(N_FILES)]
        done = subprocess.run([sys.argv[1], folder], input="\n".join(lines) + "\n", capture_output=True, text=True,
                              check=True)
        count, bad = collections.Counter(), collections.Counter()
        for line, ours in zip(lines, done.stdout.splitlines(), strict=True):
            theirs, name = pillow(line), line.split()[0]
            count[name] += 1
            if not same(ours, theirs):
                bad[name] += 1
                print("# %s\n#   ours   %s\n#   theirs %s" % (line, ours, theirs))
    print("1..%d" % len(count))
    for number, name in enumerate(sorted(count), 1):
        print("%sok %d - %s: %d, %d differ" % ("not " * (bad[name] > 0), number, name, count[name], bad[name]))
    return bad.total() > 0


if __name__ == "__main__":
    sys.exit(main())
