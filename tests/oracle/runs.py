"""runs.py - what the oracles of training share: points of a test, tables of digits, losses of a run's folder."""
import os
import struct


class Verdicts:
    """Counts points as TAP has them."""
    def __init__(self):
        self.number = self.failed = 0

    def __call__(self, good, what):
        self.number += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.number} - {what}", flush=True)


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
