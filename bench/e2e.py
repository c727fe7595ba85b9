#!/usr/bin/python3
"""e2e.py - whole processes beside PyTorch: JPEGs of 500 x 375 through resnet18, from the command to the table.

    e2e.py TENREC [--rounds 3] [--images 100] [--threads 2]

Makes the model (random weights) and the images in a scratch folder, then lets Tenrec and PyTorch take turns; only
ratios within one round are compared. PyTorch's side is the plain torchvision recipe, one image at a time.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

PEER = """
import glob, sys, torch
from PIL import Image
from torchvision import transforms as T
torch.set_num_threads(int(sys.argv[1]))
model = torch.jit.load("resnet18.pt").eval()
steps = T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor(), T.Normalize([.485, .456, .406], [.229, .224, .225])])
with torch.inference_mode():
    for path in sorted(glob.glob("jpegs/*.jpg")):
        model(steps(Image.open(path).convert("RGB"))[None]).argmax(1).item()
"""

MAKE = """
import os, sys, numpy, torch, torchvision
from PIL import Image
torch.manual_seed(0)
torch.jit.trace(torchvision.models.resnet18().eval(), torch.zeros(1, 3, 224, 224)).save("resnet18.pt")
os.makedirs("jpegs")
draw = numpy.random.RandomState(0)
for i in range(int(sys.argv[1])):  # smooth noise, so that the JPEG is as long as a photo's
    small = Image.fromarray((draw.rand(24, 32, 3) * 255).astype(numpy.uint8)).resize((500, 375), Image.BICUBIC)
    pixels = numpy.asarray(small).astype(numpy.float32) + draw.randn(375, 500, 3) * 8
    Image.fromarray(pixels.clip(0, 255).astype(numpy.uint8)).save(f"jpegs/{i:03d}.jpg", quality=90)
"""


def timed(command, folder):
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tenrec")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    ours = [os.path.abspath(options.tenrec), "score", "resnet18.pt", "jpegs", "--like", "torchvision", "--input",
            "x=Nx3x224x224", "--threads", str(options.threads), "-o", "answers.csv", "--restart"]
    peer = [sys.executable, "-c", PEER, str(options.threads)]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", MAKE, str(options.images)], cwd=folder, check=True)
        rounds = [(timed(ours, folder), timed(peer, folder)) for _ in range(options.rounds)]
    for mine, theirs in rounds:
        print(f"tenrec {mine:.2f} s   PyTorch {theirs:.2f} s   {theirs / mine:.2f} times as long")
    print(f"median of the ratios: {statistics.median(theirs / mine for mine, theirs in rounds):.2f}")


if __name__ == "__main__":
    main()
