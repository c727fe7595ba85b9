#!/usr/bin/python3
"""bench.py - Tenrec beside ONNX Runtime and PyTorch on this machine.

    bench.py BUILD [--nets a,b] [--threads 1,2] [--batches 1,8] [--rounds 5] [--seconds 0.4]
                   [--further | --train | --low | --recipes] [--runs 3] [--page FILE]

With --further it is networks beyond those that are asked for; with --train the runs are steps of training (forward,
loss, backward, update by SGD with momentum) beside PyTorch's; with --low bfloat16 and 8-bit integers (one file for both
programs, by `tenrec quantize`) beside ONNX Runtime's float32; with --recipes each network once more by the recipe that
`tenrec bench --tune` writes for it first. With --runs all rows are measured so often, after the first time without
PyTorch, and what the runs say is told beneath the table of the first.

All peers of a workload are loaded first; then they take turns, round after round, so that what the machine does
meanwhile hits all alike. Only ratios within one round are compared. A run in which the kernel took the processor from
the peer (involuntary context switches) is left out; where too few quiet runs remain, all count and the figure has a *.
Written after each row: the section of the page that these rows are, and BUILD/bench/SECTION.json.
"""
import argparse
import glob
import json
import math
import os
import platform
import statistics
import subprocess
import sys

import page

HERE = os.path.dirname(os.path.abspath(__file__))
SHAPES = {"resnet18": "3 224 224", "resnet50": "3 224 224", "mobilenet_v2": "3 224 224", "shufflenet_v2": "3 224 224",
          "vgg16": "3 224 224", "unet": "3 256 256", "deeplabv3": "3 520 520", "lstm": "100 256", "digits": "1 28 28",
          "densenet121": "3 224 224", "convnext_tiny": "3 224 224", "vit_b_16": "3 224 224"}
ASKED = ["resnet18", "resnet50", "mobilenet_v2", "shufflenet_v2", "vgg16", "unet", "deeplabv3", "lstm"]
# Of each section: its networks with their batches, threads, peers, and whom they are compared to.
SECTIONS = {
    "float32": (dict.fromkeys(ASKED, (1, 8)), (1, 2), ["tenrec", "ort", "torch"], "tenrec"),
    "further": (dict.fromkeys(["densenet121", "convnext_tiny", "vit_b_16"], (1,)), (1, 2), ["tenrec", "ort", "torch"],
                "tenrec"),
    "training": ({"digits": (64, 2048), "resnet18": (16,), "unet": (2,), "lstm": (32,)}, (2,),
                 ["tenrec", "torch", "tenrec-bf16"], "tenrec"),
    "low precision": (dict.fromkeys(["resnet18", "resnet50", "mobilenet_v2", "shufflenet_v2", "vgg16", "unet"], (1, 8)),
                      (1, 2), ["ort", "tenrec-bf16", "torch-bf16", "tenrec-int8", "ort-int8"], "ort"),
    "recipes": (dict.fromkeys(ASKED, (1,)), (2,), ["ort", "tenrec", "tenrec-tuned"], "ort")}
NAMES = {"tenrec": "Tenrec", "ort": "ONNX Runtime", "torch": "PyTorch", "tenrec-bf16": "Tenrec bf16",
         "torch-bf16": "PyTorch bf16", "tenrec-int8": "Tenrec int8", "ort-int8": "ONNX Runtime int8",
         "tenrec-tuned": "Tenrec, recipe"}
AGREE = {"bf16": 0.03, "int8": 0.2}  # share of the sums of outputs; float32: 1e-3


class Peer:
    """A process that holds one loaded network."""
    def __init__(self, name, command):
        env = dict(os.environ, PYTHONWARNINGS="ignore")
        for choice in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # the library is to choose its kernels itself
            env.pop(choice, None)
        self.name, self.runs = name, []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.facts = self.read()

    def read(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def turn(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        self.runs.append(self.read() or [])

    def memory(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ort_library(build):
    """The path of ONNX Runtime's library, of this machine; empty where there is none."""
    library = glob.glob(f"{build}/bench/node_modules/onnxruntime-node/bin/napi-v*/linux/*/libonnxruntime.so.1")
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), "")
    return next((path for path in library if f"/{machine}/" in path), "")


def commands(build, net, threads, batch, train):
    model, tail = f"{build}/bench/models/{net}", [str(threads), str(batch)] + SHAPES[net].split()
    tenrec, ort = f"{build}/bench/tenrec-peer", [f"{build}/bench/ort-peer", ort_library(build)]
    torch = [sys.executable, f"{HERE}/torch_peer.py"]
    if train:  # of the archive: what is written as ONNX has its batch normalization folded
        return {name + suffix: command + tail for suffix in ("", "-bf16") for name, command in (
            ("tenrec", [tenrec, "train" + suffix, f"{model}.pt"]), ("torch", torch + [f"train{suffix}:{net}"]))}
    return {"tenrec": [tenrec, "infer", f"{model}.onnx"] + tail,
            "ort": ort + [f"{model}.onnx"] + tail,
            "torch": torch + [f"{model}.pt"] + tail,
            "tenrec-tuned": [tenrec, f"infer:{model}.recipe", f"{model}.onnx"] + tail,
            "tenrec-bf16": [tenrec, "infer-bf16", f"{model}.onnx"] + tail,
            "torch-bf16": torch + [f"bf16:{model}.pt"] + tail,
            "tenrec-int8": [tenrec, "infer", f"{model}.int8.onnx"] + tail,
            "ort-int8": ort + [f"{model}.int8.onnx"] + tail}


def quiet(runs, field):
    """The median of the undisturbed runs of one turn, and whether there were any."""
    clean = [r[field] for r in runs if r[2] == 0]
    return statistics.median(clean or [r[field] for r in runs]), bool(clean)


def compare(peers, net, threads, batch, reference):
    """One row of figures: medians over rounds, and medians of the same-round ratios to the reference."""
    row = {"net": net, "threads": threads, "batch": batch, "peers": {}}
    reference = peers.get(reference)
    for name, peer in peers.items():
        wall = [quiet(runs, 0) for runs in peer.runs]
        cpu = [quiet(runs, 1) for runs in peer.runs]
        good = [t for t, clean in wall if clean]
        entry = {"ms": statistics.median(good if len(good) > 1 else [t for t, _ in wall]),
                 "cpu_ms": statistics.median(t for t, _ in cpu), "quiet_rounds": len(good), "rounds": len(wall),
                 "memory_mb": round(peer.memory(), 1), "own_mb": round(peer.memory() - peer.facts["resident_mb"], 1),
                 **peer.facts}
        if reference is not None and peer is not reference:
            pairs = [(quiet(a, 0), quiet(b, 0)) for a, b in zip(reference.runs, peer.runs)]
            both = [b[0] / a[0] for a, b in pairs if a[1] and b[1]]
            entry["ratio"] = statistics.median(both if len(both) > 1 else [b[0] / a[0] for a, b in pairs])
            entry["ratio_disturbed"] = len(both) < 2
            entry["cpu_ratio"] = statistics.median(quiet(b, 1)[0] / quiet(a, 1)[0]
                                                   for a, b in zip(reference.runs, peer.runs))
            entry["agrees"] = math.isclose(peer.facts["sum"], reference.facts["sum"],
                                           rel_tol=AGREE.get(name.split("-")[-1], 1e-3))
        row["peers"][name] = entry
    return row


def write_network(options, net):
    """The network's files, unless they are there; by a process of its own, because importing torch takes seconds."""
    folder = f"{options.build}/bench/models"
    if not os.path.exists(f"{folder}/{net}.onnx"):
        quiet_env = dict(os.environ, PYTHONWARNINGS="ignore")
        subprocess.run([sys.executable, f"{HERE}/networks.py", folder, net], check=True, env=quiet_env,
                       stderr=subprocess.DEVNULL)


def write_quantized(options, net):
    """The network in 8-bit integers, its ranges taken from random numbers as its input is."""
    import numpy
    model = f"{options.build}/bench/models/{net}"
    if os.path.exists(f"{model}.int8.onnx"):
        return
    rows = numpy.random.default_rng(0).uniform(-1, 1, [8] + [int(n) for n in SHAPES[net].split()])
    numpy.save(f"{model}.rows.npy", rows.astype(numpy.float32))
    subprocess.run([f"{options.build}/tenrec", "quantize", f"{model}.onnx", "--data", f"{model}.rows.npy", "--rows",
                    "1", "--weight-bits", "8", "--force", "-o", f"{model}.int8.onnx"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def write_recipe(options, net, threads, batch):
    """Which kernels are fastest here for this network, these threads and this batch."""
    model = f"{options.build}/bench/models/{net}"
    subprocess.run([f"{options.build}/tenrec", "bench", f"{model}.onnx", "--tune", f"{model}.recipe", "--threads",
                    str(threads), "--batch", str(batch), "--seconds", "0.1"], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def measure(options, net, threads, batch, names):
    peers = {}
    if "tenrec-tuned" in names:
        write_recipe(options, net, threads, batch)
    for name, command in commands(options.build, net, threads, batch, options.section == "training").items():
        if name not in names:
            continue
        peer = Peer(name, command)
        if peer.facts:
            peers[name] = peer
        else:
            print(f"{net} batch {batch}: {NAMES[name]} fails", file=sys.stderr)
    for i in range(options.rounds):
        for peer in list(peers.values())[::1 if i % 2 else -1]:
            peer.turn(options.seconds)
    row = compare(peers, net, threads, batch, options.reference)
    for peer in peers.values():
        peer.close()
    return row


def figure(entry, inverse):
    if not entry:
        return ""
    text = f"{entry['ms']:.2f}" if entry["ms"] < 10 else f"{entry['ms']:.1f}"
    text += "" if entry["quiet_rounds"] > 1 else "*"
    if "ratio" not in entry:
        return text
    mark = "*" if entry["ratio_disturbed"] else ""
    doubt = "" if entry["agrees"] else " (other numbers!)"
    ratios = [1 / entry[f] if inverse else entry[f] for f in ("ratio", "cpu_ratio")]
    return f"{text} ({ratios[0]:.2f}{mark}, cpu {ratios[1]:.2f}){doubt}"


def memory_figure(entry):
    return f"{entry['own_mb']:.0f}" if entry else ""


def mean_ratio(rows, name, field, inverse):
    ratios = [row["peers"][name][field] for row in rows if field in row["peers"].get(name, {})]
    return statistics.geometric_mean(ratios) ** (-1 if inverse else 1) if ratios else None


def table(rows, peers, inverse):
    lines = ["| network | threads | batch | " + " | ".join(NAMES[p] for p in peers) + " | MB: " +
             " | ".join(NAMES[p] for p in peers) + " |", "|---|---|---|" + "---|" * len(peers) * 2]
    for row in rows:
        cells = [figure(row["peers"].get(p), inverse) for p in peers]
        cells += [memory_figure(row["peers"].get(p)) for p in peers]
        lines.append(f"| {row['net']} | {row['threads']} | {row['batch']} | " + " | ".join(cells) + " |")
    means = [f"{NAMES[p]}: {mean_ratio(rows, p, 'ratio', inverse):.2f} by the clock, "
             f"{mean_ratio(rows, p, 'cpu_ratio', inverse):.2f} by processor time"
             for p in peers if mean_ratio(rows, p, "ratio", inverse)]
    return "\n".join(lines + ["", "Geometric means: " + "; ".join(means) + "."])


def machine():
    with open("/proc/cpuinfo", encoding="ascii") as info:
        lines = info.read().splitlines()
    model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())
    flags = next((line.split(": ")[1].split() for line in lines if line.startswith("flags")), [])
    best = [f for f in ("amx_bf16", "avx512_bf16", "avx512_vnni", "avx512f", "avx2") if f in flags]
    return f"{model}, {os.cpu_count()} processors, {best[0] if best else 'no AVX2'}"


def versions(rows):
    found = {p.split("-")[0]: e["version"].split(" ")[0] for row in rows for p, e in row["peers"].items()}
    return ", ".join(f"{NAMES[p]} {v}" for p, v in found.items())


def again(runs, inverse):
    """What each of several runs says of Tenrec and of the first peer it is compared with, ONNX Runtime."""
    told = []
    for rows in runs:
        name = next(n for n, e in rows[0]["peers"].items() if "ratio" in e)
        ratios = {(row["net"], row["threads"], row["batch"]): row["peers"][name]["ratio"] ** (-1 if inverse else 1)
                  for row in rows}
        least = min(ratios, key=ratios.get)
        told.append(f"mean {statistics.geometric_mean(ratios.values()):.2f}, least {ratios[least]:.2f} "
                    f"({least[0]}, {least[1]} thread{'s' * (least[1] > 1)}, batch {least[2]})")
    return ["Tenrec beside ONNX Runtime by the clock, run by run of these rows:", *(f"- {line}" for line in told)]


def report(runs, options):
    rows, inverse = runs[0], options.reference == "ort"
    what = "a step of training" if options.section == "training" else "a batch"
    brackets = "times as long as Tenrec in the same round, by the clock and by processor time; above 1 Tenrec is faster"
    if inverse:
        brackets = "times as fast as ONNX Runtime in float32 in the same round, by the clock and by processor time"
    text = [f"Machine: {machine()}. {versions(rows)}.",
            f"{options.rounds} interleaved rounds of {options.seconds} s a peer.",
            f"Milliseconds {what}, float32 unless it says otherwise; in brackets: how many",
            brackets + ".",
            "`*`: the machine was busy with something else, so the clock is not to be trusted; with one thread the",
            "processor time still is. MB: the most memory that was resident, less what was before the network was",
            "built or read.", "", table(rows, options.peers, inverse)]
    text += ["", *again(runs, inverse)] if len(runs) > 1 else []
    page.put(options.page, options.section, "\n".join(text))
    with open(f"{options.build}/bench/{options.section}.json", "w", encoding="utf-8") as out:
        json.dump({"machine": machine(), "runs": runs}, out, indent=1)
        out.write("\n")


def parse():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("build")
    words.add_argument("--nets", help="of " + ", ".join(SHAPES))
    words.add_argument("--threads", help="default: what the section has, mostly 1,2")
    words.add_argument("--batches", help="default: what the section has, mostly 1,8")
    words.add_argument("--peers", help="of " + ", ".join(NAMES))
    section = words.add_mutually_exclusive_group()
    for flag, name, text in (("--further", "further", "networks beyond those asked for"),
                             ("--train", "training", "measure steps of training"),
                             ("--low", "low precision", "bfloat16 and 8-bit integers"),
                             ("--recipes", "recipes", "each network by a recipe, too")):
        section.add_argument(flag, dest="section", action="store_const", const=name, help=text)
    words.add_argument("--runs", type=int, default=1)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--seconds", type=float, default=0.4)
    words.add_argument("--page", default="performance.md")
    options = words.parse_args()
    options.section = options.section or "float32"
    nets, threads, peers, options.reference = SECTIONS[options.section]
    options.batches = [int(n) for n in options.batches.split(",")] if options.batches else None
    options.threads = [int(n) for n in options.threads.split(",")] if options.threads else threads
    options.peers = options.peers.split(",") if options.peers else peers
    names = options.nets.split(",") if options.nets else nets
    options.workloads = [(net, n, batch) for net in names for n in options.threads
                         for batch in options.batches or nets.get(net, (1, 8))]
    return options


def main():
    options = parse()
    runs = []
    for i in range(options.runs):
        runs.append([])
        peers = [name for name in options.peers if not i or name != "torch"]
        for net, threads, batch in options.workloads:
            write_network(options, net)
            if options.section == "low precision":
                write_quantized(options, net)
            runs[-1].append(measure(options, net, threads, batch, peers))
            print(table(runs[-1][-1:], peers, options.reference == "ort").splitlines()[2], flush=True)
            report(runs, options)


if __name__ == "__main__":
    main()
