"""write.py - writes this folder: small models saved by Keras itself, with what Keras computes.

    write.py FOLDER      with Keras 3 on PYTHONPATH (written with 3.15.1, its numpy backend)

Nothing runs it: Keras is no package of Debian. NAME.keras or NAME.h5 goes with NAME.io.npz (in0 .., out0 ..).
"""
import json
import os
import sys
import tempfile
import zipfile

os.environ["KERAS_BACKEND"] = "numpy"
import keras
import numpy as np
from keras import layers as L
from keras import ops

rng = np.random.RandomState(3)
FOLDER = sys.argv[1]


def rand(*shape):
    return rng.uniform(-1, 1, shape).astype("f4")


def save(name, xs, build):
    """build: from the inputs' tensors to the outputs'."""
    keras.utils.set_random_seed(1)
    ins = [keras.Input(x.shape[1:], dtype=str(x.dtype)) for x in xs]
    model = keras.Model(ins, build(*ins))
    for v in model.weights:
        if "float" in str(v.dtype):
            a = rng.uniform(-0.5, 0.5, v.shape)
            v.assign((np.abs(a) + 0.5 if "variance" in v.path else a).astype("f4"))
    outs = keras.tree.flatten(model(xs if len(xs) > 1 else xs[0], training=False))
    model.save(os.path.join(FOLDER, name))
    io = {f"in{i}": x for i, x in enumerate(xs)}
    for i, y in enumerate(np.asarray(t) for t in outs):  # numpy's places are int64, Keras' int32
        io[f"out{i}"] = y.astype("i4") if y.dtype == np.int64 else y
    np.savez(os.path.join(FOLDER, name.rsplit(".", 1)[0] + ".io.npz"), **io)


def two_outputs():
    a = keras.Input((6,))
    b = L.Dense(4, name="d")(a)
    return keras.Model(a, [b, L.Add()([b, L.Dense(4, activation="relu")(b)])], name="inner")


def calls_of_one_model(x, y):
    """Outputs of the second call taken before those of the first; both kinds of reference."""
    m = two_outputs()
    a, b = m(x), m(y)
    return [a[1], b[0], L.Subtract()([a[0], b[1]])]


def dictionaries(x):
    a = keras.Input((6,), name="q")
    m = keras.Model({"q": a}, {"z": L.Dense(3)(a), "b": L.Dense(2)(a)})
    out = m({"q": x})
    return [out["b"], out["z"]]


def save_in_pieces(name, x):
    """An archive whose weights are several files, as saving with max_shard_size makes them."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input(x.shape[1:]), L.Dense(6), L.BatchNormalization(), L.Dense(6), L.Dense(2)])
    with tempfile.TemporaryDirectory() as d:
        model.save_weights(d + "/model.weights.json", max_shard_size=2e-7)
        with zipfile.ZipFile(os.path.join(FOLDER, name), "w") as z:
            z.writestr("config.json", model.to_json())
            z.writestr("metadata.json", json.dumps({"keras_version": keras.__version__}))
            for file in sorted(os.listdir(d)):
                z.write(os.path.join(d, file), file)
    np.savez(os.path.join(FOLDER, name.rsplit(".", 1)[0] + ".io.npz"), in0=x, out0=np.asarray(model(x)))


def embedded(ids, *more):
    x = L.Embedding(6, 4, mask_zero=True)(ids)
    for layer in more:
        x = layer(x)
    return x


def main():
    ids = rng.randint(1, 6, (3, 7)).astype("int32")
    ids[0, 4:] = ids[1, 2:] = ids[2, 0] = ids[2, 3] = 0
    seq, v, im = rand(3, 7, 5), rand(2, 6), rand(2, 9, 11, 3)
    save("calls_of_one_model.keras", [v, rand(2, 6)], calls_of_one_model)
    save("dictionaries.h5", [v], dictionaries)
    save("both_ways_masked.keras", [ids], lambda x: embedded(
        x, L.Bidirectional(L.LSTM(3, return_sequences=True)), L.Bidirectional(L.GRU(2, return_sequences=True))))
    save("zeros_for_masked.h5", [ids], lambda x: embedded(
        x, L.SimpleRNN(3, return_sequences=True, go_backwards=True, zero_output_for_mask=True)))
    save("cells_both_ways.keras", [seq], lambda x: L.Bidirectional(L.RNN(L.GRUCell(3), return_sequences=True))(x))
    save("stacked_cells.h5", [ids], lambda x: L.RNN([L.LSTMCell(3), L.LSTMCell(2)], return_state=True)(embedded(x)))
    save("swish_lstm_masked.keras", [ids], lambda x: embedded(
        x, L.LSTM(3, activation="swish", recurrent_activation="hard_silu", return_sequences=True)))
    save("gelu_gru.h5", [seq], lambda x: [
        L.GRU(3, activation="gelu", reset_after=r, go_backwards=r)(x) for r in (False, True)])
    save("conv_lstm.keras", [rand(2, 4, 7, 8, 3)], lambda x: L.ConvLSTM2D(
        3, 2, strides=2, padding="same", return_sequences=True, return_state=True, go_backwards=True)(x))
    save("conv_lstm_first.h5", [rand(2, 4, 2, 7)], lambda x: L.ConvLSTM1D(3, 3, data_format="channels_first")(x))
    save("gated_heads.keras", [rand(2, 4, 6)], lambda x: L.MultiHeadAttention(2, 3, use_gate=True)(x, x))
    save("grouped_heads.keras", [rand(2, 4, 6)], lambda x: L.GroupQueryAttention(3, 4, 2)(x, x, use_causal_mask=True))
    save("norms_elsewhere.h5", [im], lambda x: L.Softmax(axis=(1, 2))(
        L.GroupNormalization(groups=3, axis=2)(L.BatchNormalization(axis=2)(L.Cropping2D(((0, 0), (1, 1)))(x)))))
    save("categories.keras", [rand(3, 6), ids], lambda x, i: [
        L.Discretization([-0.5, 0, 0.5])(x), L.Discretization([0.0, 0.1], output_mode="multi_hot")(x),
        L.CategoryEncoding(6, output_mode="count")(i), L.CategoryEncoding(6, output_mode="one_hot")(i)])
    save("stretched.keras", [np.abs(im) * 200], lambda x: L.AutoContrast()(
        L.Pipeline([L.Rescaling(0.5), L.RandomCrop(4, 4)])(x)))
    save("operations.keras", [seq], lambda x: [
        ops.sort(x, axis=1), *ops.top_k(x, 3), ops.roll(x, 2, axis=1), ops.tril(x, -1), ops.cumsum(x, axis=1),
        ops.arctan2(x, -x), ops.one_hot(ops.cast(ops.abs(x) * 3, "int32"), 3, axis=1), ops.normalize(x, axis=1),
        ops.tensordot(x, x[0], axes=[[2], [1]]), ops.softmax(x, axis=(1, 2)), ops.logaddexp(x, 2 * x), x % 0.3,
        ops.diff(x, axis=1), ops.argsort(x, axis=1), ops.slice(x, (0, 1, 2), (3, 2, 2))])
    save("image_operations.h5", [im], lambda x: [
        L.Resizing(14, 7, pad_to_aspect_ratio=True, fill_value=0.5)(x), L.Resizing(5, 13, antialias=True)(x),
        L.Resizing(4, 5, interpolation="bicubic", antialias=True)(x), ops.max_pool(x, 2, 2, "same"),
        ops.average_pool(x, 3, 2), ops.image.resize(x, (5, 6)),
        ops.image.rgb_to_grayscale(x), ops.image.crop_images(x, 1, 2, 1, 2), ops.image.pad_images(x, 1, 2, 3, 1)])
    save_in_pieces("in_pieces.keras", rand(3, 5))


main()
