#!/usr/bin/python3
"""torch_peer.py - PyTorch as a peer: torch_peer.py WHAT THREADS DIMS...

WHAT is MODEL.pt, bf16:MODEL.pt, train:NETWORK or train-bf16:NETWORK.

Of the ways in which PyTorch can run the network (as traced; frozen and optimized; the same in channels-last) the
fastest of a short trial is the peer; in bfloat16 these are autocasting, and the whole network narrow. A network of
networks.py that is trained is tried row-major and channels-last, each in a process of its own, so that the trial leaves
no memory behind.
"""
import json
import math
import resource
import subprocess
import sys
import time

start = time.monotonic()
import torch  # noqa: E402: importing is part of loading
import networks  # noqa: E402


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


class Autocast:
    """A network whose products are narrow."""
    def __init__(self, net):
        self.net = net

    def __call__(self, x):
        with torch.cpu.amp.autocast(dtype=torch.bfloat16):
            return self.net(x)


def narrow_variants(path, x):
    last = x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x
    net = torch.jit.load(path).eval()
    net = net.to(memory_format=torch.channels_last) if x.dim() == 4 else net
    yield "autocast", Autocast(net), last
    yield "narrow", torch.jit.freeze(net.to(torch.bfloat16)), last.bfloat16()


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
    for name, net, data in narrow_variants(path[5:], x) if path.startswith("bf16:") else variants(path, x):
        try:
            seconds, y = timed(net, data)
        except RuntimeError:
            continue
        if not found or seconds < found[0]:
            found = (seconds, name, net, data, y)
    return found[1:]


class Training:
    """A step of training, called like a network: it answers with the loss."""
    def __init__(self, name, x, layout, narrow):
        self.narrow = narrow
        net = networks.make(name)[0].train()
        last = layout == "channels last"
        self.net = net.to(memory_format=torch.channels_last) if last else net
        self.x = x.contiguous(memory_format=torch.channels_last) if last else x
        self.optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
        with torch.no_grad():
            shape = [len(x)] + list(net(x[:1]).shape[2:]) if x.dim() == 4 else [len(x)]
        self.labels = torch.arange(math.prod(shape)).remainder(2).reshape(shape)

    def __call__(self, _):
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.narrow):
            y = self.net(self.x)
        loss = torch.nn.functional.cross_entropy(y.float(), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def trial(layout):
    """Seconds of the best of three steps after the first, in a process of its own."""
    command = [sys.executable, __file__, "trial:" + layout] + sys.argv[1:]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    return float(run.stdout or "inf")


def timed_once(step, x):
    begin = time.monotonic()
    step(x)
    return time.monotonic() - begin


def run_trial(layout, path, threads, dims):
    torch.set_num_threads(threads)
    x = fill(dims)
    step = Training(path.split(":")[1], x, layout, path.startswith("train-bf16"))
    step(x)
    print(min(timed_once(step, x) for _ in range(3)))


def fastest_training(path, x):
    layouts = ["row-major", "channels last"] if x.dim() == 4 else ["row-major"]
    layout = min(layouts, key=trial) if len(layouts) > 1 else layouts[0]
    return layout, Training(path.split(":")[1], x, layout, path.startswith("train-bf16"))


def resident():
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def measured(net, x):
    before, wall, cpu = resource.getrusage(resource.RUSAGE_SELF), time.monotonic(), time.process_time()
    net(x)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    after = resource.getrusage(resource.RUSAGE_SELF)
    return [wall * 1e3, cpu * 1e3, after.ru_nivcsw - before.ru_nivcsw]


def serve(net, x):
    for line in sys.stdin:
        runs, begin = [], time.monotonic()
        while not runs or time.monotonic() < begin + (max(3, float(line)) if len(runs) < 3 else float(line)):
            runs.append(measured(net, x))
        print(json.dumps(runs), flush=True)


def tell(name, before, y):
    print(json.dumps({"version": f"{torch.__version__} ({name})", "load_ms": (time.monotonic() - start) * 1e3,
                      "resident_mb": before, "sum": y.abs().double().sum().item()}), flush=True)


def main():
    if sys.argv[1].startswith("trial:"):
        return run_trial(sys.argv[1][6:], sys.argv[2], int(sys.argv[3]), [int(d) for d in sys.argv[4:]])
    path, threads, dims = sys.argv[1], int(sys.argv[2]), [int(d) for d in sys.argv[3:]]
    torch.set_num_threads(threads)
    if path.startswith("train"):
        x, before = fill(dims), resident()
        name, step = fastest_training(path, x)
        tell(name, before, step(x))
        return serve(step, x)
    with torch.no_grad():
        before = resident()
        name, net, x, y = fastest(path, fill(dims))
        tell(name, before, y)
        serve(net, x)


main()
