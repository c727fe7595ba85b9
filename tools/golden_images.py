"""golden_images.py - what Pillow and torchvision answer to the lines of tests/image_commands.h.

Run with /usr/bin/python3 (Debian 12: Pillow 9.4, torchvision 0.14): writes tests/golden/images/. tests/oracle/images.py
imports answer() and asks random questions.
"""
import hashlib
import io
import os
import random
import struct
import sys
import zlib

import numpy as np
from PIL import Image, ImageOps

FILTERS = {"nearest": 0, "box": 4, "bilinear": 2, "hamming": 5, "bicubic": 3, "lanczos": 1}
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "CMYK"}  # four independent channels: CMYK, which Pillow does not premultiply
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden", "images")


def pattern(seed, width, height, channels):
    """The same numbers as pattern() of image_commands.h, (height, width, channels)."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    if seed % 2:
        return ((x * 7 + y * 5 + c * 50 + (x * y >> 3) + seed) & 255).astype(np.uint8)
    h = np.arange(height * width * channels, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed)
    h ^= h >> np.uint32(15)
    h *= np.uint32(0x85EBCA77)
    h ^= h >> np.uint32(13)
    return (h & np.uint32(255)).astype(np.uint8).reshape(height, width, channels)


def picture(seed, width, height, channels, mode=None):
    values = pattern(seed, width, height, channels)
    if channels == 2:  # as two gray images would be resized: Pillow premultiplies LA
        raise ValueError("no Pillow mode has two independent channels")
    return Image.fromarray(values[:, :, 0] if channels == 1 else values, mode or MODES[channels])


def checksum(array, width, height):
    return "%dx%d %s" % (width, height, hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16])


def image_sum(image):
    return checksum(np.array(image), *image.size)


def tensor_sum(values, planar=True):
    height, width = values.shape[1:] if planar else values.shape[:2]
    return checksum(np.asarray(values, dtype=np.float32), width, height)


def resize(seed, w, h, c, name, ow, oh, left, top, right, bottom, threads):
    box = tuple(map(float, (left, top, right, bottom)))
    return image_sum(picture(seed, w, h, c).resize((ow, oh), FILTERS[name], box))


def resize_as(seed, w, h, c, reference, method, ow, oh):
    values = pattern(seed, w, h, c)
    if reference == 1:  # OpenCV
        import cv2
        cv2.ipp.setUseIPP(False)
        out = cv2.resize(values, (ow, oh), interpolation=cv2.INTER_AREA if method == 2 else cv2.INTER_LINEAR)
        return checksum(out, ow, oh)
    import torch
    from torchvision.transforms import functional
    image = torch.from_numpy(values.transpose(2, 0, 1).copy())
    out = functional.resize(image, [oh, ow], antialias=method == 1)
    return checksum(out.numpy().transpose(1, 2, 0), ow, oh)


def plane(seed, w, h, c, name, ow, oh, left, top, right, bottom, threads):
    values = pattern(seed, w, h, 1)[:, :, 0].astype(np.float32) * np.float32(1.25) - np.float32(100)
    box = tuple(map(float, (left, top, right, bottom)))
    return image_sum(Image.fromarray(values, "F").resize((ow, oh), FILTERS[name], box))


def labels(seed, w, h, c, ow, oh):
    values = pattern(seed, w, h, 1)[:, :, 0].astype(np.int32) * 1000 - 7
    return image_sum(Image.fromarray(values, "I").resize((ow, oh), 0))


def window(seed, w, h, c, left, top, ow, oh):
    return image_sum(picture(seed, w, h, c).crop((left, top, left + ow, top + oh)))


def pad(seed, w, h, c, value, left, top, right, bottom):
    fill = value if c == 1 else (value,) * c
    return image_sum(ImageOps.expand(picture(seed, w, h, c), (left, top, right, bottom), fill))


def crop(seed, w, h, c, ow, oh):
    from torchvision.transforms import functional
    return image_sum(functional.center_crop(picture(seed, w, h, c), [oh, ow]))


def orient(seed, w, h, c, orientation):
    image = picture(seed, w, h, c)
    image.getexif()[0x0112] = orientation
    return image_sum(ImageOps.exif_transpose(image))


def convert(seed, w, h, c, color):
    image = picture(seed, w, h, c, "RGBA" if c == 4 else None)
    return image_sum(image.convert({"gray": "L", "rgb": "RGB", "rgba": "RGBA"}[color]))


def fit(w, h, size, limit):
    from torchvision.transforms.functional import _compute_resized_output_size
    height, width = _compute_resized_output_size((h, w), [size], limit or None)
    return "%dx%d" % (max(1, width), max(1, height))  # torchvision itself fails where nothing is left of a side


def normalize(seed, w, h, c, like):
    from torchvision.transforms import functional
    values = pattern(seed, w, h, c)
    mean, std = np.array(MEAN, dtype=np.float32), np.array(STD, dtype=np.float32)
    if like == "torchvision":
        return tensor_sum(functional.normalize(functional.to_tensor(Image.fromarray(values)), MEAN, STD).numpy())
    if like == "huggingface":
        scaled = (values * 0.00392156862745098).astype(np.float32)
        return tensor_sum(((scaled - mean) / std).transpose(2, 0, 1))
    if like == "rescaling":
        return tensor_sum(values.astype(np.float32) * np.float32(1.0 / 255), planar=False)
    keras = values.astype(np.float32)
    keras /= 127.5
    keras -= 1.0
    return tensor_sum(keras, planar=False)


def preset(seed, w, h, c, name, size, side):
    from torchvision import transforms
    steps = transforms.Compose([
        transforms.Resize(size, transforms.functional._interpolation_modes_from_int(FILTERS[name])),
        transforms.CenterCrop(side), transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    return tensor_sum(steps(picture(seed, w, h, c)).numpy())


def voc_palette():
    colors = []
    for label in range(256):
        color = [0, 0, 0]
        for place in range(8):
            for channel in range(3):
                color[channel] |= (label >> (3 * place + channel) & 1) << (7 - place)
        colors.append(color)
    return np.array(colors, dtype=np.uint8)


def overlay(seed, w, h, c, alpha):
    colors = Image.fromarray(voc_palette()[pattern(seed + 2, w, h, 1)[:, :, 0]])
    return image_sum(Image.blend(picture(seed, w, h, 3), colors, float(alpha)))


def decode(path, how):
    image = Image.open(os.path.join(HERE, path))
    if how == "upright":
        return image_sum(ImageOps.exif_transpose(image).convert("RGB"))
    if how in ("native", "index"):
        image.load()
        if image.mode == "I":
            return checksum(np.array(image).astype(np.uint16), *image.size)
        return image_sum(image.convert("L") if image.mode == "1" else image)
    return image_sum(image.convert({"gray": "L", "rgb": "RGB", "rgba": "RGBA"}[how]))


COMMANDS = {f.__name__: f for f in (resize, plane, labels, window, pad, crop, orient, convert, fit, normalize, preset,
                                    overlay, decode)}
COMMANDS["as"] = resize_as


def answer(line):
    name, *words = line.split()
    return COMMANDS[name](*(int(w) if w.lstrip("-").isdigit() else w for w in words))


# ---- the small files -------------------------------------------------------------------------------------------------

def exif(orientation, order="<"):
    """An EXIF block of one entry: the orientation as SHORT."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return b"Exif\0\0" + mark + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def photo(width, height, channels, seed=0):
    """Smooth colours with some noise: JPEG's cosines and its upsampling both matter."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    wave = 127 + 90 * np.sin(x / (5.0 + c) + seed) * np.cos(y / (7.0 - c))
    return np.clip(wave + pattern(seed * 2, width, height, channels) / 8.0, 0, 255).astype(np.uint8)


def jpeg_bytes(array, mode=None, **options):
    out = io.BytesIO()
    Image.fromarray(array if array.ndim == 3 and array.shape[2] > 1 else array.reshape(array.shape[:2]), mode).save(
        out, "JPEG", **options)
    return out.getvalue()


def adobe(data, transform):
    """Says by an Adobe marker how the components are to be understood (0: as they are; 2: YCCK)."""
    marker = b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])
    at = data.find(b"\xff\xee\x00\x0eAdobe")
    if at >= 0:
        return data[:at] + marker + data[at + 16:]
    jfif = 2 + 2 + struct.unpack(">H", data[4:6])[0]
    return data[:2] + marker + data[jfif:]


def jpeg_files():
    color, gray, cmyk = photo(35, 27, 3), photo(33, 18, 1, 1), photo(29, 21, 4, 2)
    files = {"gray": jpeg_bytes(gray, quality=80), "one": jpeg_bytes(photo(1, 1, 3)),
             "row": jpeg_bytes(photo(50, 1, 3)),
             "cmyk": jpeg_bytes(cmyk, "CMYK"), "ycck": adobe(jpeg_bytes(cmyk, "CMYK"), 2),
             "rgb": adobe(jpeg_bytes(color, quality=90), 0), "q1": jpeg_bytes(color, quality=1),
             "q100": jpeg_bytes(color, quality=100), "optimized": jpeg_bytes(color, optimize=True),
             "tail": jpeg_bytes(color) + b"what is this" * 4}
    for sampling, name in enumerate(("444", "422", "420")):
        files[name] = jpeg_bytes(color, subsampling=sampling, quality=85)
        files["progressive" + name] = jpeg_bytes(color, subsampling=sampling, progressive=True)
    for o in range(1, 9):
        files["orientation%d" % o] = jpeg_bytes(color[:, :20], exif=exif(o, "<>"[o % 2]), quality=40)
    files["orientation9"] = jpeg_bytes(color[:, :20], exif=exif(9), quality=40)
    return {"%s.jpg" % name: data for name, data in files.items()}


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def png_rows(values, depth):
    """Unfiltered scan lines of (height, width, samples)."""
    rows = b""
    for row in values:
        flat = row.reshape(-1)
        if depth == 16:
            rows += b"\0" + flat.astype(">u2").tobytes()
        elif depth == 8:
            rows += b"\0" + flat.astype(np.uint8).tobytes()
        else:
            bits = np.unpackbits(flat.astype(np.uint8)[:, None], axis=1)[:, 8 - depth:]
            rows += b"\0" + np.packbits(bits.reshape(-1)).tobytes()
    return rows


def png_bytes(values, depth, kind, interlaced=False, extra=b"", tail=b""):
    height, width = values.shape[:2]
    data = png_rows(values, depth)
    if interlaced:
        passes = (values[y::dy, x::dx] for x, y, dx, dy in ADAM7)
        data = b"".join(png_rows(part, depth) for part in passes if part.size)
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(data, 9)) + tail +
            chunk(b"IEND", b""))


def png_files():
    files = {}
    noise = np.random.RandomState(7)
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    names = {0: "gray", 2: "rgb", 3: "index", 4: "grayalpha", 6: "rgba"}
    for kind, all_depths in depths.items():
        for depth in all_depths:
            extra = b""
            if kind == 3:
                extra = chunk(b"PLTE", noise.randint(0, 256, 3 * 2 ** depth, dtype=np.uint8).tobytes())
            for interlaced in (False, True):
                values = noise.randint(0, 2 ** depth, (11, 13, SAMPLES[kind]))
                name = "%s%d%s.png" % (names[kind], depth, "i" if interlaced else "")
                files[name] = png_bytes(values, depth, kind, interlaced, extra)
    index = noise.randint(0, 8, (9, 9, 1))
    palette = chunk(b"PLTE", noise.randint(0, 256, 15, dtype=np.uint8).tobytes())
    files["index_short_palette.png"] = png_bytes(index, 8, 3, extra=palette)
    files["index_translucent.png"] = png_bytes(index % 5, 8, 3, extra=palette + chunk(b"tRNS", bytes([0, 255, 128])))
    files["gray_key.png"] = png_bytes(index, 8, 0, extra=chunk(b"tRNS", struct.pack(">H", 3)))
    key = chunk(b"tRNS", struct.pack(">3H", 1, 1, 1))
    files["rgb_key.png"] = png_bytes(np.repeat(index % 3, 3, axis=2), 8, 2, extra=key)
    turned = noise.randint(0, 256, (5, 8, 3))
    files["orientation6.png"] = png_bytes(turned, 8, 2, extra=chunk(b"eXIf", exif(6)[6:]))
    files["orientation8_late.png"] = png_bytes(turned, 8, 2, tail=chunk(b"eXIf", exif(8, ">")[6:]))
    return files


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def tiff_gray16_big():
    """Big-endian, one strip, 16 bits: what microscopes write and Pillow does not."""
    values = np.random.RandomState(9).randint(0, 65536, (5, 7)).astype(">u2").tobytes()
    tags = ((256, 3, 7), (257, 3, 5), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 3, 5),
            (279, 4, len(values)))
    entries = b"".join(struct.pack(">HHI", tag, kind, 1) + (struct.pack(">HH", v, 0) if kind == 3 else
                                                             struct.pack(">I", v)) for tag, kind, v in tags)
    head = struct.pack(">2sHI", b"MM", 42, 8 + len(values))
    return head + values + struct.pack(">H", len(tags)) + entries + b"\0\0\0\0"


def other_files():
    color, gray = Image.fromarray(photo(35, 27, 3)), Image.fromarray(photo(33, 18, 1, 1)[:, :, 0])
    few = color.quantize(13)
    bits = gray.convert("1")
    alpha = Image.fromarray(photo(23, 17, 4, 3), "RGBA")
    frames = [Image.fromarray(photo(40, 30, 1, seed)[:, :, 0]).convert("P") for seed in (1, 2)]
    big = Image.fromarray(np.random.RandomState(3).randint(0, 200, (90, 110), dtype=np.uint8)).convert("P")
    wide = Image.fromarray(np.arange(7 * 9, dtype=np.uint16).reshape(7, 9) * 1000)
    files = {"color.jp2": saved(color, "JPEG2000"), "gray.j2k": saved(gray, "JPEG2000", no_jp2=True),
             "alpha.jp2": saved(alpha, "JPEG2000"), "lossy.jp2": saved(color, "JPEG2000", quality_layers=[20],
                                                                       irreversible=True),
             "color.bmp": saved(color, "BMP"), "gray.bmp": saved(gray, "BMP"), "index.bmp": saved(few, "BMP"),
             "bits.bmp": saved(bits, "BMP"), "alpha.bmp": saved(color.convert("RGBA"), "BMP"),
             "color.ppm": saved(color, "PPM"), "gray.pgm": saved(gray, "PPM"), "bits.pbm": saved(bits, "PPM"),
             "text.ppm": b"P3 # made by hand\n2 2\n255\n1 2 3  40 50 60\n255 0 255 9 9 9\n",
             "text.pbm": b"P1\n3 2\n1 0 1\n011", "seven.pgm": b"P5 3 1 7\n\0\3\7",
             "index.gif": saved(few, "GIF"), "interlaced.gif": saved(few, "GIF", interlace=1),
             "gray.gif": saved(gray, "GIF"), "noise.gif": saved(big, "GIF"),
             "frames.gif": saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=9),
             "key.gif": saved(few, "GIF", transparency=3),
             "lossy.webp": saved(color, "WEBP", quality=70), "lossless.webp": saved(color, "WEBP", lossless=True),
             "alpha.webp": saved(alpha, "WEBP", lossless=True),
             "orientation6.webp": saved(color, "WEBP", exif=exif(6)),
             "frames.webp": saved(color, "WEBP", save_all=True, append_images=[color.rotate(90)], lossless=True),
             "color.tif": saved(color, "TIFF"), "lzw.tif": saved(color, "TIFF", compression="tiff_lzw"),
             "deflate.tif": saved(color, "TIFF", compression="tiff_adobe_deflate"),
             "gray.tif": saved(gray, "TIFF"), "index.tif": saved(few, "TIFF"), "bits.tif": saved(bits, "TIFF"),
             "gray16.tif": saved(wide, "TIFF"), "gray16big.tif": tiff_gray16_big(),
             "alpha.tif": saved(alpha, "TIFF"), "pages.tif": saved(gray, "TIFF", save_all=True, append_images=[bits]),
             **{"orientation%d.tif" % n: saved(color if n % 2 else few, "TIFF", tiffinfo={274: n})
                for n in range(2, 9)}}
    return files


def decode_lines(name):
    lines = ["decode %s %s" % (name, how) for how in ("rgb", "gray")]
    if not name.endswith((".jpg", ".png")):
        return ["decode %s rgb" % name] + (["decode %s index" % name] if name.startswith(("index", "gray16.")) else [])
    if name.startswith("index"):
        lines.append("decode %s index" % name)
    elif not name.startswith(("cmyk", "ycck", "grayalpha16")) and not (name.startswith("rgb") and "16" in name):
        lines.append("decode %s native" % name)
    if name.startswith("orientation"):
        lines.append("decode %s upright" % name)
    if name.endswith(".png") and not name.startswith("gray16"):
        lines.append("decode %s rgba" % name)
    return lines


# ---- the lines -------------------------------------------------------------------------------------------------------

def random_resize(rng, command="resize", most=90):
    w, h, ow, oh = (rng.choice((rng.randint(1, 6), rng.randint(1, most))) for _ in range(4))
    box = "0 0 %d %d" % (w, h)
    if rng.random() < 0.4:
        x, y = sorted(rng.uniform(0, w) for _ in range(2)), sorted(rng.uniform(0, h) for _ in range(2))
        box = "%.3f %.3f %.3f %.3f" % (x[0], y[0], min(x[1] + 0.01, w), min(y[1] + 0.01, h))
    channels = 1 if command == "plane" else rng.choice((1, 3, 4))
    return "%s %d %d %d %d %s %d %d %s %d" % (command, rng.randint(0, 999), w, h, channels, rng.choice(list(FILTERS)),
                                            ow, oh, box, rng.choice((1, 2, 3)))


def random_line(rng):
    seed, w, h, c = rng.randint(0, 999), rng.randint(1, 60), rng.randint(1, 60), rng.choice((1, 3))
    start = "%d %d %d" % (seed, w, h)
    kind = rng.choice(("resize", "resize", "resize", "plane", "labels", "window", "pad", "crop", "orient", "convert",
                       "fit", "normalize", "preset", "overlay"))
    if kind in ("resize", "plane"):
        return random_resize(rng, kind, 200)
    if kind == "window":
        return "window %s %d %d %d %d %d" % (start, c, rng.randint(-9, w), rng.randint(-9, h), rng.randint(1, 70),
                                             rng.randint(1, 70))
    if kind == "pad":
        return "pad %s %d %d %s" % (start, c, rng.randint(0, 255), " ".join(str(rng.randint(0, 9)) for _ in range(4)))
    if kind == "fit":
        size = rng.randint(1, 600)
        return "fit %d %d %d %d" % (rng.randint(1, 5000), rng.randint(1, 5000), size,
                                    rng.choice((0, size + rng.randint(1, 600))))
    rest = {"labels": lambda: "1 %d %d" % (rng.randint(1, 200), rng.randint(1, 200)),
            "crop": lambda: "%d %d %d" % (c, rng.randint(1, 80), rng.randint(1, 80)),
            "orient": lambda: "%d %d" % (c, rng.randint(1, 8)),
            "convert": lambda: "%d %s" % (rng.choice((1, 3, 4)), rng.choice(("gray", "rgb", "rgba"))),
            "normalize": lambda: "3 %s" % rng.choice(("torchvision", "huggingface", "rescaling", "keras")),
            "preset": lambda: "3 %s %d %d" % (rng.choice(list(FILTERS)), rng.randint(1, 64), rng.randint(1, 70)),
            "overlay": lambda: "3 %.2f" % rng.random()}[kind]()
    return "%s %s %s" % (kind, start, rest)


def fixed_lines():
    """Every filter with reductions, enlargements, one axis only, and boxes; then the other operations."""
    lines = []
    for w, h, ow, oh in ((61, 47, 30, 20), (30, 20, 61, 47), (64, 48, 32, 24), (64, 48, 16, 8), (50, 40, 49, 3),
                         (7, 1, 20, 1), (1, 9, 5, 4), (33, 21, 33, 10)):
        for c in (1, 3):
            lines.append("as 4 %d %d %d 1 0 %d %d" % (w, h, c, ow, oh))
            lines.append("as 6 %d %d %d 1 2 %d %d" % (w, h, c, ow, oh))
    # Torch's weights that are exact in binary: its vector code adds with one rounding, ours with two, else
    lines += ["as 8 %d %d %d 2 %d %d %d" % (w, h, c, m, ow, oh) for w, h, ow, oh in
              ((64, 48, 32, 24), (64, 48, 16, 12), (16, 8, 32, 16), (8, 8, 32, 64)) for c in (1, 3) for m in (0, 1)]
    for name in FILTERS:
        for channels in (1, 3, 4):
            for ow, oh in ((17, 13), (100, 80), (61, 20), (20, 47), (61, 47), (1, 1), (3, 90)):
                for seed in (2, 3):
                    lines.append("resize %d 61 47 %d %s %d %d 0 0 61 47 1" % (seed, channels, name, ow, oh))
            lines.append("resize 4 61 47 %d %s 30 30 3.5 2.25 50.125 40.75 2" % (channels, name))
            lines.append("resize 5 640 480 %d %s 224 224 0 0 640 480 3" % (channels, name))
        lines.append("plane 6 61 47 1 %s 33 70 0 0 61 47 1" % name)
    rng = random.Random(11)
    return lines + [random_line(rng) for _ in range(150)]


def main():
    files = {**jpeg_files(), **png_files(), **other_files()}
    for name, data in files.items():
        with open(os.path.join(HERE, name), "wb") as out:
            out.write(data)
    lines = fixed_lines() + [line for name in files for line in decode_lines(name)]
    with open(os.path.join(HERE, "golden.txt"), "w") as out:
        out.writelines("%s = %s\n" % (line, answer(line)) for line in lines)
    print("%d lines, %d files" % (len(lines), len(files)))


if __name__ == "__main__":
    sys.exit(main())
