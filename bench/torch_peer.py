#!/usr/bin/python3
"""torch_peer.py - PyTorch as a peer: torch_peer.py MODEL.pt THREADS DIMS...

Of the ways in which PyTorch can run the network (as traced; frozen and optimized; the same in channels-last) the
fastest of a short trial is the peer.
"""
import json
import resource
import sys
import time

start = time.monotonic()
import torch  # noqa: E402: importing is part of loading


def fill(dims):
    count = 1
    for d in dims:
        count *= d
    i = torch.arange(count, dtype=torch.int64) * 2654435761 % (1 << 32)
    return ((i >> 16 & 255).float() / 128 - 1).reshape(dims)


def variants(path, x):
    yield "eager", torch.jit.load(path).eval(), x
    frozen = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.load(path).eval()))
    yield "frozen", frozen, x
    if x.dim() == 4:
        net = torch.jit.load(path).eval().to(memory_format=torch.channels_last)
        yield "frozen, channels last", torch.jit.freeze(net), x.contiguous(memory_format=torch.channels_last)


def timed(net, x):
    for _ in range(2):
        y = net(x)
    best = float("inf")
    for _ in range(3):
        t = time.monotonic()
        y = net(x)
        best = min(best, time.monotonic() - t)
    return best, y


def fastest(path, x):
    found = None
    for name, net, data in variants(path, x):
        try:
            seconds, y = timed(net, data)
        except RuntimeError:
            continue
        if not found or seconds < found[0]:
            found = (seconds, name, net, data, y)
    return found[1:]


def measured(net, x):
    before, wall, cpu = resource.getrusage(resource.RUSAGE_SELF), time.monotonic(), time.process_time()
    net(x)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    after = resource.getrusage(resource.RUSAGE_SELF)
    return [wall * 1e3, cpu * 1e3, after.ru_nivcsw - before.ru_nivcsw]


def serve(net, x):
    for line in sys.stdin:
        runs, end = [], time.monotonic() + float(line)
        while len(runs) < 3 or time.monotonic() < end:
            runs.append(measured(net, x))
        print(json.dumps(runs), flush=True)


def main():
    path, threads, dims = sys.argv[1], int(sys.argv[2]), [int(d) for d in sys.argv[3:]]
    torch.set_num_threads(threads)
    with torch.no_grad():
        name, net, x, y = fastest(path, fill(dims))
        print(json.dumps({"version": f"{torch.__version__} ({name})", "load_ms": (time.monotonic() - start) * 1e3,
                          "sum": y.abs().double().sum().item()}), flush=True)
        serve(net, x)


main()
