"""presets.py - what a model sees of an image is bit for bit what the named framework would have shown it.

    presets.py TENREC

A model that only hands its input on is run on images of odd sizes and kinds. torchvision is compared with its own
transforms; timm with the same transforms by timm's rule; Keras, Caffe and Hugging Face with their formulas in numpy:
Hugging Face's image processors resize with Pillow, then (float32)(pixel as float64 * rescale_factor), then
(x - mean) / std in float32, and cut an odd number of pixels with (length - crop) // 2.
"""
import json
import math
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import onnx.helper
    import torch
    from PIL import Image
    from torchvision import transforms as T
    from torchvision.transforms import InterpolationMode as Mode
except ImportError as why:
    print(f"1..0 # SKIP {why}")
    sys.exit(0)

PROGRAM = os.path.abspath(sys.argv[1])
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
HALF = [0.5, 0.5, 0.5]
number = failed = 0


def write_images():
    rng = np.random.default_rng(7)
    sizes = [(31, 47), (224, 224), (500, 333), (333, 500), (257, 256), (640, 481), (97, 701), (1, 9), (299, 301)]
    names = []
    for i, (w, h) in enumerate(sizes):
        small = rng.integers(0, 256, (max(h // 9, 1), max(w // 9, 1), 3), np.uint8)
        image = Image.fromarray(small).resize((w, h), Image.BICUBIC)
        names.append(f"rgb{i}.{'jpg' if i % 2 else 'png'}")
        image.save(names[-1], **({"quality": 90, "subsampling": i % 3} if i % 2 else {}))
        if i in (2, 3):
            for mode, end in (("L", "png"), ("L", "jpg"), ("RGBA", "png"), ("P", "png"), ("LA", "png")):
                names.append(f"{mode}{i}.{end}")
                picture = image.convert(mode)
                if "A" in mode:
                    picture.putalpha(Image.fromarray(rng.integers(0, 256, (h, w), np.uint8)))
                picture.save(names[-1])
    return names


def write_model(name, dims, metadata=()):
    io = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["N"] + dims) for n in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", io[:1], io[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)])
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.save(model, name)


def check(name, model, options, want, images):
    """want(PIL image) -> array (C, H, W)"""
    global number, failed
    faults = []
    for path in images:
        run = subprocess.run([PROGRAM, "run", model, path, "-o", "y.npy", *options], capture_output=True, text=True)
        if run.returncode:
            faults.append(path + ": " + run.stderr)
            continue
        got, expected = np.load("y.npy")[0], np.asarray(want(Image.open(path)), np.float32)
        if got.shape != expected.shape:
            faults.append(f"{path}: {got.shape} instead of {expected.shape}")
        elif not np.array_equal(got, expected):
            worst = np.abs(got - expected).max()
            faults.append(f"{path}: {np.mean(got != expected):.1%} differ, by at most {worst:.3g}")
    number += 1
    failed += bool(faults)
    print(f"{'not ok' if faults else 'ok'} {number} - {name}: {len(images)} images", flush=True)
    for line in faults:
        print("# " + line.strip().replace("\n", " "))


def torch_way(size, crop, mode=Mode.BILINEAR, mean=MEAN, std=STD, color="RGB"):
    steps = [T.Resize(size, mode)] + ([T.CenterCrop(crop)] if crop else [])
    steps += [T.ToTensor()] + ([T.Normalize(mean, std)] if mean else [])
    chain = T.Compose(steps)
    return lambda image: chain(image.convert(color)).numpy()


def keras_way(image):
    x = np.asarray(image.convert("RGB").resize((96, 80), Image.NEAREST), np.float32)
    return (x / np.float32(127.5) - np.float32(1)).transpose(2, 0, 1)


def caffe_way(image):
    x = np.asarray(image.convert("RGB").resize((96, 80), Image.BILINEAR), np.float32)[..., ::-1]
    return (x - np.array([103.939, 116.779, 123.68], np.float32)).transpose(2, 0, 1)


def shortest(image, edge):
    w, h = image.size
    small, large = min(w, h), max(w, h)
    other = int(edge * large / small)
    return (edge, other) if w <= h else (other, edge)


def hf_crop(x, height, width):
    h, w, _ = x.shape
    out = np.zeros((height, width, 3), x.dtype)
    top, left = (h - height) // 2, (w - width) // 2
    a, b = max(top, 0), max(left, 0)
    part = x[a:top + height, b:left + width]
    out[a - top:a - top + part.shape[0], b - left:b - left + part.shape[1]] = part
    return out


def hf_way(resize, crop=None, filter=Image.BILINEAR, factor=1 / 255, mean=HALF, std=HALF, flip=False):
    """resize: (width, height), or the shorter edge"""
    def prepare(image):
        image = image.convert("RGB")
        if resize:
            image = image.resize(shortest(image, resize) if isinstance(resize, int) else resize, filter)
        x = np.asarray(image)
        x = hf_crop(x, *crop) if crop else x
        x = x[..., ::-1] if flip else x
        x = (x * factor).astype(np.float32) if factor else x.astype(np.float32)
        if mean:
            x = (x - np.array(mean, np.float32)) / np.array(std, np.float32)
        return x.transpose(2, 0, 1)
    return prepare


def letterbox(size):
    def prepare(image):
        image = image.convert("RGB")
        r = min(size / image.width, size / image.height)
        w, h = max(1, round(image.width * r)), max(1, round(image.height * r))
        canvas = Image.new("RGB", (size, size), (114, 114, 114))
        canvas.paste(image.resize((w, h), Image.BILINEAR), ((size - w) // 2, (size - h) // 2))
        return (np.asarray(canvas).astype(np.float32) / np.float32(255)).transpose(2, 0, 1)
    return prepare


# Real files, shortened to what counts.
CONFIGS = {
    "ViT, a plain number is a square": (
        {"do_normalize": True, "do_resize": True, "image_mean": HALF, "image_std": HALF, "size": 224},
        hf_way((224, 224))),
    "ViT, as it is written now": (
        {"do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": HALF, "image_std": HALF,
         "image_processor_type": "ViTImageProcessor", "resample": 2, "rescale_factor": 0.00392156862745098,
         "size": {"height": 224, "width": 224}},
        hf_way((224, 224), factor=0.00392156862745098)),
    "ConvNeXT, crop_pct below 384": (
        {"crop_pct": 0.875, "do_normalize": True, "do_resize": True,
         "feature_extractor_type": "ConvNextFeatureExtractor",
         "image_mean": MEAN,
         "image_std": STD, "resample": 3, "size": 224},
        hf_way(int(224 / 0.875), (224, 224), Image.BICUBIC, mean=MEAN, std=STD)),
    "ConvNeXT at 384": (
        {"crop_pct": 0.875, "do_normalize": True, "do_resize": True, "image_processor_type": "ConvNextImageProcessor",
         "image_mean": MEAN, "image_std": STD, "resample": 3, "size": {"shortest_edge": 384}},
        hf_way((384, 384), None, Image.BICUBIC, mean=MEAN, std=STD)),
    "ResNet": (
        {"crop_pct": 0.875, "do_normalize": True, "do_rescale": True, "do_resize": True, "rescale_factor": 1 / 255,
         "image_processor_type": "ConvNextImageProcessor", "image_mean": MEAN, "image_std": STD, "resample": 3,
         "size": {"shortest_edge": 224}},
        hf_way(256, (224, 224), Image.BICUBIC, mean=MEAN, std=STD)),
    "MobileNetV2": (
        {"crop_size": {"height": 224, "width": 224}, "do_center_crop": True, "do_normalize": True, "do_rescale": True,
         "do_resize": True, "feature_extractor_type": "MobileNetV2FeatureExtractor", "image_mean": HALF,
         "image_std": HALF, "resample": 2, "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 256}},
        hf_way(256, (224, 224))),
    "CLIP": (
        {"crop_size": 224, "do_center_crop": True, "do_normalize": True, "do_resize": True, "do_convert_rgb": True,
         "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": MEAN, "image_std": STD, "resample": 3,
         "size": 224},
        hf_way(224, (224, 224), Image.BICUBIC, mean=MEAN, std=STD)),
    "DeiT": (
        {"crop_size": 224, "do_center_crop": True, "do_normalize": True, "do_resize": True,
         "feature_extractor_type": "DeiTFeatureExtractor", "image_mean": MEAN, "image_std": STD, "resample": 3,
         "size": 256},
        hf_way((256, 256), (224, 224), Image.BICUBIC, mean=MEAN, std=STD)),
    "LeViT": (
        {"crop_size": {"height": 224, "width": 224}, "do_center_crop": True, "do_normalize": True, "do_resize": True,
         "image_processor_type": "LevitImageProcessor", "image_mean": MEAN, "image_std": STD, "resample": 3,
         "size": {"shortest_edge": 224}},
        hf_way(256, (224, 224), Image.BICUBIC, mean=MEAN, std=STD)),
    "PoolFormer": (
        {"crop_pct": 0.9, "crop_size": {"height": 224, "width": 224}, "do_normalize": True, "do_resize_and_center_crop":
         False, "do_resize": True, "do_center_crop": True, "feature_extractor_type": "PoolFormerFeatureExtractor",
         "image_mean": MEAN, "image_std": STD, "resample": 3, "size": {"shortest_edge": 224}},
        hf_way(int(224 / 0.9), (224, 224), Image.BICUBIC, mean=MEAN, std=STD)),
    "MobileViT, BGR and no normalisation": (
        {"crop_size": {"height": 256, "width": 256}, "do_center_crop": True, "do_flip_channel_order": True,
         "do_resize": True, "feature_extractor_type": "MobileViTFeatureExtractor", "resample": 2,
         "size": {"shortest_edge": 288}},
        hf_way(288, (256, 256), mean=None, flip=True)),
    "no resize, no rescale": (
        {"do_resize": False, "do_rescale": False, "do_normalize": True, "image_mean": [10, 20, 30],
         "image_std": [2, 3, 4]},
        hf_way(None, factor=None, mean=[10, 20, 30], std=[2, 3, 4])),
}
YAML = """
- {op: decode, color_space: RGB}
- {op: resize, mode: shortest_edge, size: 96, interpolation: lanczos}
- {op: center_crop, size: [64, 80]}
- {op: rescale, factor: 0.017}
- {op: normalize, mean: [0.1, 0.2, 0.3]}
"""


def refused(name, config, word):
    global number, failed
    with open("bad.json", "w") as f:
        json.dump(config, f)
    run = subprocess.run([PROGRAM, "run", "any.onnx", "rgb0.png", "--preprocess", "bad.json"], capture_output=True,
                         text=True)
    number += 1
    fault = run.returncode != 2 or word not in run.stderr
    failed += fault
    print(f"{'not ok' if fault else 'ok'} {number} - refused: {name}" + (f"\n# {run.stderr}" if fault else ""))


def main():
    torch.set_num_threads(1)
    images = write_images()
    write_model("224.onnx", [3, 224, 224])
    write_model("299.onnx", [3, 299, 299])
    write_model("wide.onnx", [3, 80, 96])
    write_model("any.onnx", [3, "H", "W"])
    write_model("gray.onnx", [1, 28, 28])
    write_model("nhwc.onnx", ["H", "W", 3])
    raw = ["--task", "raw"]  # the shapes look like a segmentation, which would see the whole image
    like = ["--like", "torchvision"]
    check("torchvision at 224", "224.onnx", like + raw, torch_way(256, 224), images)
    check("torchvision at 299", "299.onnx", like + raw, torch_way(341, 299), images)
    check("torchvision, not square", "wide.onnx", like, torch_way((80, 96), None), images)
    check("torchvision, any size", "any.onnx", like + raw, torch_way(256, 224), images)
    check("torchvision, segmentation sees all", "any.onnx", like + ["--task", "image-segmentation", "--set",
          "resize.size=120"], torch_way(120, None), images[:6])
    check("torchvision, gray", "gray.onnx", like + raw, torch_way(32, 28, mean=[0.5], std=[0.5], color="L"), images)
    check("timm", "224.onnx", ["--like", "timm"] + raw, torch_way(math.floor(224 / 0.875), 224, Mode.BICUBIC), images)
    check("keras", "wide.onnx", ["--like", "keras"], keras_way, images)
    check("caffe", "wide.onnx", ["--like", "caffe"], caffe_way, images)
    for name, (config, want) in CONFIGS.items():
        with open("preprocessor_config.json", "w") as f:
            json.dump(config, f)
        check("Hugging Face: " + name, "any.onnx", [], want, images)
    pixels = hf_way(None, factor=None, mean=[10, 20, 30], std=[2, 3, 4])
    check("Hugging Face: channels last", "nhwc.onnx", ["--preprocess", "preprocessor_config.json"],
          lambda image: pixels(image).transpose(1, 2, 0), images[:4])
    os.remove("preprocessor_config.json")
    base = CONFIGS["ViT, as it is written now"][0]
    refused("an unknown switch", {**base, "do_thumbnail": True}, "do_thumbnail")
    refused("an unknown size", {**base, "size": {"longest_edge": 800, "shortest_edge": 400}}, "size")
    refused("a filter that is none", {**base, "resample": 9}, "resample")
    refused("rescale_offset", {**base, "rescale_offset": True}, "rescale_offset")
    refused("crop_pct 0", {**base, "crop_pct": 0}, "crop_pct")
    with open("steps.yaml", "w") as f:
        f.write(YAML)
    chain = T.Compose([T.Resize(96, Mode.LANCZOS), T.CenterCrop((64, 80))])

    def by_yaml(image):
        x = np.asarray(chain(image.convert("RGB"))).astype(np.float32) / np.float32(0.017)
        return (x - np.array([0.1, 0.2, 0.3], np.float32)).transpose(2, 0, 1)
    check("steps from YAML", "any.onnx", ["--preprocess", "steps.yaml"], by_yaml, images)
    write_model("yolo.onnx", [3, "H", "W"],
                {"imgsz": "[160, 160]", "stride": "32", "task": "segment", "names": "{0: 'a'}"})
    check("Ultralytics' metadata: a letterbox", "yolo.onnx", [], letterbox(160), images)
    write_model("yolocls.onnx", [3, "H", "W"], {"imgsz": "[64, 64]", "stride": "1", "task": "classify"})
    check("Ultralytics' classifiers", "yolocls.onnx", [], torch_way(64, 64, mean=None), images)
    print(f"1..{number}")
    return failed > 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.exit(main())
