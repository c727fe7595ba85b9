"""learning.py - makes tests/golden/learning.txt: what PyTorch's optimizers, losses and schedulers do.

Usage: learning.py [OUT]. Lines are "kind name key=value ... : numbers"; tests/unit/learning.c computes the same.
"""
import math
import sys
import warnings

import torch
import torch.nn.functional as F

warnings.filterwarnings("ignore")
out = open(sys.argv[1] if len(sys.argv) > 1 else "tests/golden/learning.txt", "w")
SIZE, STEPS = 5, 100


def put(kind, name, options, values):
    words = [kind, name] + [f"{k}={v:g}" for k, v in options.items()]
    out.write(" ".join(words) + " : " + " ".join(f"{v:.9g}" for v in values) + "\n")


def gradient(t):
    return [math.sin(0.7 * t + 1.3 * i) * (i + 1) * 0.3 for i in range(SIZE)]


def start():
    return torch.tensor([0.5 - 0.25 * i for i in range(SIZE)], requires_grad=True)


def optimizer(name, cls, ours, clip_norm=0, clip_value=0, l1=0, **theirs):
    p = start()
    o = cls([p], lr=0.05, **theirs)
    for t in range(STEPS):
        p.grad = torch.tensor(gradient(t))
        if clip_norm:
            torch.nn.utils.clip_grad_norm_([p], clip_norm)
        if clip_value:
            torch.nn.utils.clip_grad_value_([p], clip_value)
        if l1:
            p.grad += l1 * p.detach().sign()
        o.step()
    if clip_norm:
        ours = dict(ours, clip_norm=clip_norm)
    if clip_value:
        ours = dict(ours, clip=clip_value)
    if l1:
        ours = dict(ours, l1=l1)
    put("optimizer", name, ours, p.tolist())


T = torch.optim
optimizer("sgd", T.SGD, {})
optimizer("sgd", T.SGD, dict(momentum=0.9), momentum=0.9)
optimizer("sgd", T.SGD, dict(momentum=0.9, dampening=0.3, weight_decay=0.01), momentum=0.9, dampening=0.3,
          weight_decay=0.01)
optimizer("sgd", T.SGD, dict(momentum=0.8, nesterov=1, weight_decay=0.1), momentum=0.8, nesterov=True, weight_decay=0.1)
optimizer("sgd", T.SGD, dict(momentum=0.9), clip_norm=0.5, momentum=0.9)
optimizer("sgd", T.SGD, {}, clip_value=0.2)
optimizer("sgd", T.SGD, dict(momentum=0.9), clip_value=0.2, l1=0.1, momentum=0.9)
optimizer("adam", T.Adam, {}, l1=0.05)
optimizer("adam", T.Adam, {})
optimizer("adam", T.Adam, dict(beta1=0.8, beta2=0.9, epsilon=1e-3, weight_decay=0.1), betas=(0.8, 0.9), eps=1e-3,
          weight_decay=0.1)
optimizer("adam", T.Adam, dict(amsgrad=1), amsgrad=True)
optimizer("adamw", T.AdamW, dict(weight_decay=0.1), weight_decay=0.1)
optimizer("adamw", T.AdamW, dict(weight_decay=0.01, amsgrad=1), weight_decay=0.01, amsgrad=True)
optimizer("adagrad", T.Adagrad, dict(epsilon=1e-10))
optimizer("adagrad", T.Adagrad, dict(epsilon=1e-10, lr_decay=0.1, weight_decay=0.1), lr_decay=0.1, weight_decay=0.1)
optimizer("rmsprop", T.RMSprop, {})
optimizer("rmsprop", T.RMSprop, dict(alpha=0.9, momentum=0.9, weight_decay=0.01), alpha=0.9, momentum=0.9,
          weight_decay=0.01)
optimizer("rmsprop", T.RMSprop, dict(centered=1, momentum=0.5), centered=True, momentum=0.5)
optimizer("rmsprop", T.RMSprop, dict(centered=1), centered=True)


def scores(shape):
    n = math.prod(shape)
    return torch.tensor([2 * math.sin(0.9 * i * i + i) for i in range(n)]).reshape(shape).requires_grad_()


def loss(name, shape, target, f, **ours):
    x = scores(shape)
    value = f(x, target)
    value.backward()
    put("loss", name, dict(rank=len(shape), **ours), [value.item()] + x.grad.flatten().tolist())


def dice(x, t, ignore=None):
    p, hot = x.softmax(1), F.one_hot(t.clamp(min=0), x.shape[1]).movedim(-1, 1).float()
    if ignore is not None:
        counted = (t != ignore).unsqueeze(1).float()
        p, hot = p * counted, hot * counted
    over = [0] + list(range(2, x.dim()))
    return 1 - ((2 * (p * hot).sum(over) + 1e-6) / ((p + hot).sum(over) + 1e-6)).mean()


FLAT, DEEP = (3, 4), (2, 3, 2, 2)
labels = torch.tensor([1, 3, 0])
pixels = torch.tensor([0, 2, 1, 1, 2, 0, 0, 1]).reshape(2, 2, 2)
weights = {4: torch.tensor([1.0, 0.5, 2.0, 0.25]), 3: torch.tensor([1.0, 0.5, 2.0])}
for shape, t in ((FLAT, labels), (DEEP, pixels)):
    w = weights[shape[1]]
    loss("cross_entropy", shape, t, F.cross_entropy)
    loss("cross_entropy", shape, t, lambda x, t: F.cross_entropy(x, t, weight=w), weighted=1)
    loss("cross_entropy", shape, t, lambda x, t: F.cross_entropy(x, t, label_smoothing=0.1), smoothing=0.1)
    loss("cross_entropy", shape, t, lambda x, t: F.cross_entropy(x, t, ignore_index=1), ignore=1)
    loss("cross_entropy", shape, t, lambda x, t: F.cross_entropy(x, t, weight=w, label_smoothing=0.2, ignore_index=1),
         weighted=1, smoothing=0.2, ignore=1)
    loss("cross_entropy", shape, t, lambda x, t: F.cross_entropy(x, t, label_smoothing=0.2, ignore_index=1),
         smoothing=0.2, ignore=1)
    loss("nll", shape, t, lambda x, t: F.nll_loss(x, t, weight=w, ignore_index=0), weighted=1, ignore=0)
    loss("dice", shape, t, dice)
    loss("dice", shape, t, lambda x, t: dice(x, t, 1), ignore=1)
    same = torch.tensor([math.cos(0.8 * i) for i in range(math.prod(shape))]).reshape(shape)
    loss("mse", shape, same, F.mse_loss)
    loss("l1", shape, same, F.l1_loss)
    loss("smooth_l1", shape, same, F.smooth_l1_loss, beta=1)
    loss("smooth_l1", shape, same, lambda x, t: F.smooth_l1_loss(x, t, beta=0.5), beta=0.5)
    loss("bce", shape, (same > 0).float() * 0.9, F.binary_cross_entropy_with_logits)

# Schedules: 8 epochs of 5 updates, from a rate of 0.1.
EPOCHS, PER = 8, 5


def schedule(name, make, by_epoch, **ours):
    o = torch.optim.SGD([start()], lr=0.1)
    s = make(o)
    rates = []
    for i in range(EPOCHS * PER):
        rates.append(o.param_groups[0]["lr"])
        o.step()
        if not by_epoch or (i + 1) % PER == 0:
            s.step()
    put("schedule", name, ours, rates)


S = torch.optim.lr_scheduler
schedule("fixed", lambda o: S.LambdaLR(o, lambda t: 1), True)
schedule("step", lambda o: S.StepLR(o, 3, 0.5), True, step_size=3, gamma=0.5)
schedule("multistep", lambda o: S.MultiStepLR(o, [2, 5], 0.1), True, first=2, second=5, gamma=0.1)
schedule("exponential", lambda o: S.ExponentialLR(o, 0.9), True, gamma=0.9)
schedule("poly", lambda o: S.PolynomialLR(o, EPOCHS * PER, 0.9) if hasattr(S, "PolynomialLR") else
         S.LambdaLR(o, lambda t: (1 - t / (EPOCHS * PER)) ** 0.9), False, power=0.9)
schedule("inv", lambda o: S.LambdaLR(o, lambda t: (1 + 0.1 * t) ** -0.75), False, gamma=0.1, power=0.75)
schedule("cosine", lambda o: S.CosineAnnealingLR(o, EPOCHS * PER, 0.01), False, min_lr=0.01)
schedule("cyclic", lambda o: S.CyclicLR(o, 0.1, 0.6, step_size_up=6, cycle_momentum=False), False, step_size=6,
         max_lr=0.6)
schedule("one_cycle", lambda o: S.OneCycleLR(o, 0.1, total_steps=EPOCHS * PER + 1, cycle_momentum=False), False,
         extra=1)
plateau = torch.optim.SGD([start()], lr=0.1)
s = S.ReduceLROnPlateau(plateau, factor=0.5, patience=1, cooldown=1, min_lr=0.02)
rates = []
for v in [3, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1]:
    s.step(v)
    rates.append(plateau.param_groups[0]["lr"])
put("plateau", "plateau", dict(gamma=0.5, patience=1, cooldown=1, min_lr=0.02), rates)
