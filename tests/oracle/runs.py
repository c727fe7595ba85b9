"""runs.py - what oracles share: points of a test, models run by tenrec, tables of digits, losses of a run's folder."""
import os
import struct
import subprocess

import numpy as np


class Verdicts:
    """Counts points as TAP has them."""
    def __init__(self):
        self.number = self.failed = 0
        self.worst = 0.0

    def __call__(self, good, what):
        self.number += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.number} - {what}", flush=True)


    def compare(self, name, got, want, bound):
        """A point: arrays within `bound` of each wanted one's scale; `got` may be what tenrec said instead."""
        if isinstance(got, str) or [g.shape for g in got] != [w.shape for w in want]:
            self(False, "%s: %s" % (name, got if isinstance(got, str) else
                                    "shapes %s, expected %s" % ([g.shape for g in got], [w.shape for w in want])))
            return
        d = max(float(abs(g - w).max() / max(abs(w).max(), 1e-9)) for g, w in zip(got, want))
        self.worst = max(self.worst, d)
        self(d <= bound, "%s: %.1e" % (name, d))

    def close(self):
        """The plan and the worst difference; whether anything failed."""
        print("# worst %.1e\n1..%d" % (self.worst, self.number))
        return self.failed > 0


def answers(tenrec, folder, files, inputs, *words):
    """The outputs of `tenrec run`, or the end of what it said. `inputs`: arrays in order, or by name."""
    named = isinstance(inputs, dict)
    out, arrays = os.path.join(folder, "out.npz"), []
    for i, x in enumerate(inputs.items() if named else inputs):
        arrays.append(os.path.join(folder, "in%d.npy" % i))
        np.save(arrays[-1], np.asarray(x[1] if named else x))
        if named:
            arrays[-1] = "%s=%s" % (x[0], arrays[-1])
    done = subprocess.run([tenrec, "run", *files, *arrays, "-o", out, *words], capture_output=True, text=True,
                          timeout=120)
    if done.returncode:
        return done.stderr.strip()[-300:].replace("\n", " ")
    with np.load(out) as z:
        return [z[name] for name in z.files]


def write_idx(path, images, labels):
    with open(path + "-images-idx3-ubyte", "wb") as f:
        f.write(struct.pack(">4i", 0x803, *images.shape) + images.tobytes())
    with open(path + "-labels-idx1-ubyte", "wb") as f:
        f.write(struct.pack(">2i", 0x801, len(labels)) + labels.tobytes())


def losses_of(folder):
    """train/loss of every update, from the event file (which is also checked to be one)."""
    name = next(f for f in os.listdir(folder) if "tfevents" in f)
    data = open(os.path.join(folder, name), "rb").read()
    out, at = [], 0
    while at < len(data):
        size = struct.unpack("<Q", data[at:at + 8])[0]
        body = data[at + 12:at + 12 + size]
        at += size + 16
        mark = body.find(b"train/loss\x15")
        if mark >= 0:
            out.append(struct.unpack("<f", body[mark + 11:mark + 15])[0])
    return out
