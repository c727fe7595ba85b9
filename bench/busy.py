#!/usr/bin/python3
"""busy.py - what an endless loop of another program costs a network that runs with two threads on two processors.

    busy.py BUILD [--nets a,b] [--threads 2] [--rounds 5] [--seconds 0.5] [--page FILE]

The peers of bench.py take turns; each has its turn on the quiet machine and one beside the loop, round after round.
Written: a section of the page.
"""
import argparse
import statistics
import subprocess
import sys

import bench
import page

NAMES = ("tenrec", "ort")


def turn(peer, seconds, loop):
    """The median of a turn in milliseconds, beside an endless loop or not."""
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if loop else None
    try:
        peer.turn(seconds)
    finally:
        if neighbour:
            neighbour.kill()
            neighbour.wait()
    return statistics.median(run[0] for run in peer.runs[-1])


def measure(options, net):
    bench.write_network(options, net)
    found = {}
    peers = [bench.Peer(name, command) for name, command in
             bench.commands(options.build, net, options.threads, 1, False).items() if name in NAMES]
    for _ in range(options.rounds):
        for peer in peers:
            found.setdefault(peer.name, []).append([turn(peer, options.seconds, loop) for loop in (False, True)])
    for peer in peers:
        peer.close()
    return found


def cells(pairs):
    idle, busy = (statistics.median(column) for column in zip(*pairs))
    return [f"{idle:.2f}", f"{busy:.2f}", f"{statistics.median(b / a for a, b in pairs):.2f}"]


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("build")
    words.add_argument("--nets", default="resnet18,resnet50,mobilenet_v2,shufflenet_v2,lstm")
    words.add_argument("--threads", type=int, default=2)
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--seconds", type=float, default=0.5)
    words.add_argument("--page", default="performance.md")
    options = words.parse_args()
    heads = [f"{bench.NAMES[name]} {what}" for name in NAMES for what in ("idle", "beside the loop", "times")]
    lines = ["| network | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for net in options.nets.split(","):
        found = measure(options, net)
        lines.append(" | ".join([f"| {net}"] + [cell for name in NAMES for cell in cells(found[name])]) + " |")
        print(lines[-1], flush=True)
    text = [f"Machine: {bench.machine()}. {options.threads} threads, batch 1, milliseconds; {options.rounds} rounds of",
            f"{options.seconds} s, each without and beside the loop; times: medians of the same round.", ""] + lines
    page.put(options.page, "busy neighbour", "\n".join(text))


if __name__ == "__main__":
    main()
