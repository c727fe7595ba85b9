#!/usr/bin/python3
"""start.py - whole processes from their start to an answer, and the memory they take.

    start.py BUILD [--rounds 6] [--threads 2] [--page FILE]

One photo through a packaged resnet18 and resnet50, beside a C program of ONNX Runtime (ort_jpeg.c) and PyTorch's
recipe; and `tenrec --version`. All take turns, forwards and backwards; the first round, which warms the files up, is
not counted. Memory is the most that was resident, less the pages of programs and libraries. Written: a section of the
page.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import bench
import page

PHOTO = """
import numpy, sys
from PIL import Image
draw = numpy.random.RandomState(0)
small = Image.fromarray((draw.rand(24, 32, 3) * 255).astype(numpy.uint8)).resize((500, 375), Image.BICUBIC)
pixels = numpy.asarray(small).astype(numpy.float32) + draw.randn(375, 500, 3) * 8
Image.fromarray(pixels.clip(0, 255).astype(numpy.uint8)).save(sys.argv[1], quality=90)
"""

TORCH = """
import sys, torch
from PIL import Image
from torchvision import transforms as T
torch.set_num_threads(int(sys.argv[2]))
model = torch.jit.load(sys.argv[1]).eval()
steps = T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor(), T.Normalize([.485, .456, .406], [.229, .224, .225])])
with torch.inference_mode():
    print(model(steps(Image.open(sys.argv[3]).convert("RGB"))[None]).argmax(1).item())
"""


def code_pages(pid):
    """Megabytes resident that programs and libraries are mapped to."""
    total, counts = 0, False
    try:
        with open(f"/proc/{pid}/smaps", encoding="utf-8") as maps:
            for line in maps:
                words = line.split()
                if not words[0].endswith(":"):
                    counts = len(words) > 5 and (".so" in words[5] or "/bin/" in words[5] or "r-xp" in words[1])
                elif counts and words[0] == "Rss:":
                    total += int(words[1])
    except (OSError, IndexError):
        return 0
    return total / 1024


def run(command, watch=False):
    """Seconds, and megabytes at most; `watch`: less those of code, looked at again and again (which takes time)."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    begin, code, done = time.perf_counter(), 0, 0
    pid = os.posix_spawnp(command[0], command, os.environ,
                          file_actions=[(os.POSIX_SPAWN_DUP2, quiet, 1), (os.POSIX_SPAWN_DUP2, quiet, 2)])
    while not done:
        done, status, used = os.wait4(pid, os.WNOHANG if watch else 0)
        code = max(code, code_pages(pid)) if watch and not done else code
    os.close(quiet)
    if status:
        raise SystemExit(f"{' '.join(command)}: failed")
    return time.perf_counter() - begin, used.ru_maxrss / 1024 - code


def processes(options, folder):
    tenrec, models, photo = f"{options.build}/tenrec", f"{options.build}/bench/models", f"{folder}/photo.jpg"
    subprocess.run([sys.executable, "-c", PHOTO, photo], check=True)
    found, threads = {"tenrec --version": [tenrec, "--version"]}, str(options.threads)
    for net in ("resnet18", "resnet50"):
        bench.write_network(options, net)
        package = f"{folder}/{net}.tenrec"
        subprocess.run([tenrec, "import", f"{models}/{net}.onnx", "-o", package, "--like", "torchvision"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found[f"{net}, Tenrec"] = [tenrec, "score", package, photo, "-o", f"{folder}/answer.csv", "--restart",
                                   "--threads", threads]
        found[f"{net}, ONNX Runtime"] = [f"{options.build}/bench/ort-jpeg", bench.ort_library(options.build),
                                         f"{models}/{net}.onnx", threads, photo]
        found[f"{net}, PyTorch"] = [sys.executable, "-W", "ignore", "-c", TORCH, f"{models}/{net}.pt", threads, photo]
    return found


def promised(options, folder, net):
    """Megabytes of weights and of the arena, and 15."""
    command = [f"{options.build}/tenrec", "bench", f"{folder}/{net}.tenrec", "--seconds", "0.01", "--json"]
    facts = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return (facts["packed_bytes"] + facts["run_bytes"]) / (1 << 20) + 15


def table(seconds, memory):
    lines = ["| process | ms | times as long as Tenrec | MB without code |", "|---|---|---|---|"]
    for name, times in seconds.items():
        own = seconds.get(name.split(",")[0] + ", Tenrec", times)
        ratio = statistics.median(a / b for a, b in zip(times, own))
        lines.append(f"| {name} | {statistics.median(times) * 1e3:.1f} | {ratio:.2f} | {memory[name]:.0f} |")
    return "\n".join(lines)


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("build")
    words.add_argument("--rounds", type=int, default=6)
    words.add_argument("--threads", type=int, default=2)
    words.add_argument("--page", default="performance.md")
    options = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        commands = processes(options, folder)
        seconds = {name: [] for name in commands}
        for i in range(options.rounds + 1):
            for name in list(commands)[::1 if i % 2 else -1]:  # who comes behind whom matters: memory is new or not
                took = run(commands[name])[0]
                if i:
                    seconds[name].append(took)
        memory = {name: run(command, watch=True)[1] for name, command in commands.items()}
        limits = {net: promised(options, folder, net) for net in ("resnet18", "resnet50")}
    text = [f"Machine: {bench.machine()}. A photo of 500 x 375, {options.threads} threads, {options.rounds} rounds.",
            "", table(seconds, memory), "",
            "Weights, arena and 15 MB: " + ", ".join(f"{net} {mb:.0f} MB" for net, mb in limits.items()) + "."]
    page.put(options.page, "start", "\n".join(text))
    print("\n".join(text))


if __name__ == "__main__":
    main()
