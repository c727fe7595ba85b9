"""A model file of any framework, or a package, opened."""
import contextlib
import ctypes
import json
import os
import threading
from collections import namedtuple

import numpy

from . import native
from .answers import Boxes, Classes, Mask

# name; numpy dtype (None: any); shape with None or a name for a free dimension; whether it takes images
Port = namedtuple("Port", "name dtype shape is_image")

_DTYPES = {1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool",
           10: "float16", 11: "float64", 12: "uint32", 13: "uint64"}
_NUMBERS = {numpy.dtype(name): number for number, name in _DTYPES.items()}


def _dtype(number):
    if number not in _DTYPES:
        raise native.Error(-7, f"numpy has no {native.call('dtype_name', number).decode()}")
    return numpy.dtype(_DTYPES[number])


def _encode(text):
    return None if text is None else os.fsencode(text)


def _to_tensor(array, name):
    array = numpy.ascontiguousarray(array) if numpy.ndim(array) else numpy.asarray(array)
    if array.dtype not in _NUMBERS or array.ndim > native.MAX_RANK:
        raise TypeError(f"input {name}: an array of {array.dtype} with {array.ndim} dimensions is no tensor")
    tensor = native.Tensor(_NUMBERS[array.dtype], array.ndim, data=array.ctypes.data)
    tensor.dim[:array.ndim] = array.shape
    return tensor, array


def _to_array(tensor):
    """A copy: the memory is the session's, until its next call."""
    shape = tuple(tensor.dim[:tensor.rank])
    dtype = _dtype(tensor.dtype)
    array = numpy.empty(shape, dtype)
    if array.size:
        ctypes.memmove(array.ctypes.data, tensor.data, array.nbytes)
    return array


def _to_image(picture):
    """A path, the bytes of a file, a picture of Pillow, or pixels (height, width[, channels]) uint8; with what keeps
    them alive."""
    if isinstance(picture, (str, os.PathLike)):
        with open(picture, "rb") as file:
            picture = file.read()
    if isinstance(picture, (bytes, bytearray, memoryview)):
        data = bytes(picture)
        return native.Image(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data)), data
    mode = getattr(picture, "mode", None)
    if mode:  # Pillow's: indices, CMYK and bits are no colours
        picture = picture.convert(mode if mode in ("L", "RGB", "RGBA") else "RGB")
    pixels = numpy.ascontiguousarray(picture)
    if pixels.dtype != numpy.uint8 or pixels.ndim not in (2, 3):
        raise TypeError("a picture is a path, bytes, Pillow's, or an array (height, width[, channels]) of uint8, "
                        f"not {pixels.dtype} with {pixels.ndim} dimensions")
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    return native.Image(pixels.ctypes.data, pixels.nbytes, pixels.shape[1], pixels.shape[0], channels), pixels


def _reopen(kind, path, options):
    return kind(path, **options)


class Model:
    """Opens PATH: a package, or a model file of another framework.

    labels, preprocess: files; like: "torchvision", "timm", "keras" or "caffe", how images become inputs;
    weights: the second file where a format has two; inputs: ["NAME=Nx3xHxW"] where the file does not say; features: an
    inner layer whose numbers are wanted instead of the outputs; log: called with (level, text) for what was guessed.
    Calls from several threads wait for each other: open the model once per thread to have them side by side. A forked
    process may go on with it, and a pickled one is opened anew where it arrives.
    """

    def __init__(self, path, *, labels=None, like=None, preprocess=None, weights=None, inputs=(), features=None,
                 threads=0, log=None):
        self._model = self._session = None
        self._lock, self._process = threading.RLock(), os.getpid()
        self._options = {"labels": labels, "like": like, "preprocess": preprocess, "weights": weights,
                         "inputs": inputs, "features": features, "threads": threads, "log": log}
        self._path = path
        hints = (native.TEXT * (len(inputs) + 1))(*[text.encode() for text in inputs], None)
        say = native.LOG(lambda _, level, text: log(level, text.decode(errors="replace"))) if log else native.LOG()
        options = native.Options(ctypes.sizeof(native.Options), _encode(weights), _encode(labels), _encode(like),
                                 _encode(preprocess), hints, log=say, features=_encode(features))
        self._model = native.call("open", _encode(path), ctypes.byref(options))
        self._session = self._new_session()
        self.inputs = [self._port("input", i) for i in range(native.call("n_inputs", self._model))]
        self.outputs = [self._port("output", i) for i in range(native.call("n_outputs", self._model))]

    def _new_session(self):
        options = native.SessionOptions(ctypes.sizeof(native.SessionOptions), self._options["threads"])
        return native.call("session_new", self._model, ctypes.byref(options))

    @contextlib.contextmanager
    def _turn(self):
        """Around every call, until what it gave is copied."""
        if self._process != os.getpid():
            if not self._lock.acquire(blocking=False):  # a thread that is not here any more was at work
                self._session = self._new_session()
            self._lock, self._process = threading.RLock(), os.getpid()
        with self._lock:
            if not self._model:
                raise ValueError("the model is closed")
            yield

    def close(self):
        """Gives all memory back; the model cannot be used after it."""
        with self._lock:
            session, model, self._session, self._model = self._session, self._model, None, None
        if session:
            native.call("session_free", session)
        if model:
            native.call("close", model)

    def __del__(self):
        if hasattr(self, "_lock"):
            self.close()

    def __reduce__(self):
        return _reopen, (type(self), os.path.abspath(self._path), self._options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        ports = ", ".join(f"{port.name}{list(port.shape)}" for port in self.inputs + self.outputs)
        return f"<tenrec.Model {ports}>"

    def _port(self, side, i):
        port = native.PortStruct()
        native.call(side, self._model, i, ctypes.byref(port))
        shape = tuple(dim if dim >= 0 else name.decode() if name else None
                      for dim, name in list(zip(port.dim, port.dim_name))[:max(port.rank, 0)])
        return Port(port.name.decode(), _dtype(port.dtype) if port.dtype else None, shape, bool(port.is_image))

    @property
    def labels(self):
        """Names of the classes; empty where the model has none."""
        names = []
        with self._turn():
            while (name := native.call("label", self._model, len(names))) is not None:
                names.append(name.decode())
        return names

    @property
    def manifest(self):
        """What the package says of itself, as a dictionary."""
        with self._turn():
            return json.loads(native.call("manifest", self._model))

    def save(self, path):
        """Writes the model as one package."""
        with self._turn():
            native.call("save", self._model, _encode(path))

    def verify(self):
        """Checksums and golden examples; the findings as lines. Raises Error where one differs."""
        lines = []
        with self._turn():
            native.call("verify", self._model, native.SAY(lambda _, line: lines.append(line.decode())), None)
        return lines

    def reset(self):
        """A model that keeps state between calls begins anew."""
        with self._turn():
            native.call("reset", self._session)

    def run(self, *arrays, **named):
        """One forward pass: arrays in the order of the inputs or by name; a dictionary of arrays by output."""
        given = dict(zip((port.name for port in self.inputs), arrays))
        if len(arrays) > len(self.inputs) or set(given) & set(named):
            raise TypeError(f"{len(arrays) + len(named)} arrays for {len(self.inputs)} inputs")
        given.update(named)
        unknown = set(given) - {port.name for port in self.inputs}
        missing = [port.name for port in self.inputs if port.name not in given]
        if unknown or missing:
            raise TypeError(f"inputs are {[port.name for port in self.inputs]}: missing {missing}, "
                            f"unknown {sorted(unknown)}")
        pairs = [_to_tensor(given[port.name], port.name) for port in self.inputs]
        tensors = (native.Tensor * len(pairs))(*[tensor for tensor, _ in pairs])
        results = (native.Tensor * len(self.outputs))()
        with self._turn():
            native.call("run", self._session, tensors, len(pairs), results, len(self.outputs))
            return {port.name: _to_array(result) for port, result in zip(self.outputs, results)}

    def preprocess(self, picture, input=0):
        """What an input would be given for the picture: (1, C, H, W) or (1, H, W, C)."""
        image, _alive = _to_image(picture)
        tensor = native.Tensor()
        with self._turn():
            native.call("preprocess", self._session, input, ctypes.byref(image), ctypes.byref(tensor))
            return _to_array(tensor)

    def predict(self, picture, *more):
        """Scores a picture (a path, bytes of a file, one of Pillow's, or pixels); one argument per input of the model.

        Gives Classes, a Mask, Boxes or an array; a dictionary of them by name where the model has several outputs.
        Of a list of pictures (one list per input) a list of answers: a batch, which changes no answer.
        """
        given = (picture, *more)
        if not any(isinstance(each, (list, tuple)) for each in given):
            return self._score([given])[0]
        if not all(isinstance(each, (list, tuple)) and len(each) == len(picture) for each in given):
            raise TypeError("a batch is a list of pictures for every input, all of one length")
        return self._score(list(zip(*given))) if picture else []

    def _score(self, samples):
        pairs = [_to_image(each) for sample in samples for each in sample]
        images = (native.Image * len(pairs))(*[image for image, _ in pairs])
        answers = (native.Answer * (len(self.outputs) * len(samples)))()
        with self._turn():
            native.call("score", self._session, images, len(pairs), answers, len(answers))
            rows = [answers[i:i + len(self.outputs)] for i in range(0, len(answers), len(self.outputs))]
            named = [{port.name: self._answer(one) for port, one in zip(self.outputs, row) if one.kind != 4}
                     for row in rows]
        return [next(iter(found.values())) if len(found) == 1 else found for found in named]

    def stream(self, pictures, errors="raise"):
        """predict() of each picture as it comes. errors="yield": a bad picture gives its Error and the rest goes on."""
        for picture in pictures:
            try:
                yield self.predict(picture)
            except (native.Error, OSError) as reason:
                if errors != "yield":
                    raise
                yield reason

    def _answer(self, answer):
        names = (answer.label[i].decode() if answer.label[i] else int(answer.index[i]) for i in range(answer.n))
        if answer.kind == 3:
            corners = (tuple(answer.box[4 * i:4 * i + 4]) for i in range(answer.n))
            return Boxes(zip(names, answer.score[:answer.n], corners))
        if answer.kind == 1:
            return Classes(zip(names, answer.score[:answer.n]))
        if answer.kind == 2:
            shape = (answer.height, answer.width)
            mask = numpy.ctypeslib.as_array(answer.mask, shape).copy().view(Mask)
            mask.labels = tuple(self.labels)
            return mask
        return _to_array(answer.tensor)
