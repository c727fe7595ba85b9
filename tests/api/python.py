"""python.py - the Python package from outside; prints TAP. Usage: python.py SOURCE, with TENREC_LIBRARY set."""
import multiprocessing
import os
import pickle
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

try:
    import numpy
except ImportError:
    print("ok 1 - the Python package # SKIP needs python3-numpy\n1..1")
    sys.exit(0)

source = sys.argv[1]
demo = os.path.join(source, "examples", "demo")
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(source, "python"))
import tenrec  # noqa: E402


def file(*parts):
    return os.path.join(demo, *parts)


def shapes(**more):
    return tenrec.Model(file("shapes.onnx"), labels=file("shapes.txt"), preprocess=file("shapes.yaml"), **more)


def raises(kind, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except kind as reason:
        return str(reason)
    raise AssertionError(f"no {kind.__name__}")


def wrong_words_are_refused():
    assert "nowhere" in raises(tenrec.Error, tenrec.Model, "/nowhere/at.all")
    model = shapes()
    assert "image" in raises(TypeError, model.run)
    assert "nonsense" in raises(TypeError, model.run, nonsense=numpy.zeros(3, numpy.float32))
    assert "3" in raises(tenrec.Error, model.run, numpy.zeros((1, 1, 64, 64), numpy.float32))
    raises(TypeError, model.run, numpy.zeros((1, 3, 64, 64), numpy.complex64))
    raises(TypeError, model.predict, numpy.zeros((4, 4, 3), numpy.float32))
    raises(tenrec.Error, model.predict, b"not a picture")
    assert model.predict(file("shapes", "star_0.png")).best[0] == "star"


def a_picture_is_a_path_bytes_or_pixels():
    model = shapes()
    path = file("shapes", "cross_0.png")
    with open(path, "rb") as data:
        assert model.predict(data.read()) == model.predict(path)
    assert model.predict(path).best[0] == "cross"
    grey = numpy.full((30, 40), 128, numpy.uint8)
    assert model.predict(grey) == model.predict(numpy.repeat(grey[:, :, None], 3, axis=2))
    assert "cross" in model.predict(path)._repr_html_()


class Indices:
    """What Pillow gives for a file with a palette, as far as it matters."""
    mode = "P"

    def __init__(self, pixels):
        self.pixels = pixels

    def __array__(self, dtype=None, copy=None):
        return numpy.zeros(self.pixels.shape[:2], numpy.uint8)

    def convert(self, mode):
        assert mode == "RGB"
        return self.pixels


def colours_are_looked_up_where_a_picture_has_indices():
    pixels = numpy.arange(30 * 40 * 3, dtype=numpy.uint8).reshape(30, 40, 3)
    assert shapes().predict(Indices(pixels)) == shapes().predict(pixels)


def every_named_shape_is_recognised():
    model = shapes()
    for name in sorted(os.listdir(file("shapes"))):
        assert model.predict(file("shapes", name)).best[0] == name.split("_")[0], name


def a_batch_gives_the_bits_of_its_samples():
    model = shapes()
    rows = [model.preprocess(file("shapes", name)) for name in sorted(os.listdir(file("shapes")))]
    whole = model.run(numpy.concatenate(rows))["logits"]
    assert whole.shape == (len(rows), 5) and whole.dtype == numpy.float32
    for row, expected in zip(rows, whole):
        assert (model.run(image=row)["logits"][0] == expected).all()


def a_list_is_a_batch():
    model = shapes()
    pictures = [file("shapes", name) for name in sorted(os.listdir(file("shapes")))]
    assert model.predict(pictures) == [model.predict(picture) for picture in pictures] and model.predict([]) == []
    assert "image 1: " in raises(tenrec.Error, model.predict, [pictures[0], b"nonsense"])
    raises(TypeError, model.predict, pictures, pictures[0])


def an_inner_layer_gives_vectors():
    model = shapes(features="/Flatten_output_0")
    vectors = model.predict([file("shapes", "star_0.png"), file("shapes", "cross_0.png")])
    assert all(vector.shape == (1, 64) for vector in vectors) and (vectors[0] != vectors[1]).any()
    assert "layer" in raises(tenrec.Error, shapes, features="nonsense")


def a_stream_goes_on_after_a_bad_picture():
    model = shapes()
    pictures = [file("shapes", "star_0.png"), b"nonsense", file("shapes", "circle_0.png")]
    found = list(model.stream(pictures, errors="yield"))
    assert found[0].best[0] == "star" and isinstance(found[1], tenrec.Error) and found[2].best[0] == "circle"
    raises(tenrec.Error, lambda: list(model.stream(pictures)))


def a_mask_counts_its_classes_and_shows_itself():
    said = []
    model = tenrec.Model(file("streets.pt"), inputs=["Nx3xHxW"], labels=file("streets.txt"),
                         log=lambda level, text: said.append(text))
    mask = model.predict(file("streets", "street_0.jpg"))
    assert mask.dtype == numpy.int32 and mask.ndim == 2 and mask.size == sum(mask.count().values())
    assert "road" in mask.count() and mask._repr_png_()[:4] == b"\x89PNG" and said


def threads_take_turns():
    model = shapes()
    picture, expected = file("shapes", "star_0.png"), shapes().predict(file("shapes", "star_0.png"))
    with ThreadPoolExecutor(8) as threads:
        assert all(found == expected for found in threads.map(model.predict, [picture] * 40))
        later = [threads.submit(model.predict, picture) for _ in range(20)]
        model.close()
        assert all(each.exception() is None or isinstance(each.exception(), ValueError) for each in later)


def other_processes_get_the_same_answers():
    model = shapes()
    picture, expected = file("shapes", "star_0.png"), model.predict(file("shapes", "star_0.png"))
    assert pickle.loads(pickle.dumps(model)).predict(picture) == expected
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as processes:
        assert all(found == expected for found in processes.map(model.predict, [picture] * 4, timeout=120))


def a_closed_model_says_so():
    model = shapes()
    model.close()
    model.close()
    for call in (lambda: model.predict(file("shapes", "star_0.png")), lambda: model.labels, lambda: model.manifest,
                 lambda: model.run(numpy.zeros((1, 3, 64, 64), numpy.float32)), model.verify, model.reset):
        assert raises(ValueError, call) == "the model is closed"


def a_package_is_saved_described_and_verified():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "shapes.tenrec")
        shapes().save(path)
        with tenrec.Model(path, threads=1) as model:
            assert model.labels == ["circle", "cross", "square", "star", "triangle"]
            assert model.manifest["format"] == "tenrec-model" and model.verify()
            assert model.inputs[0].shape[1:] == (3, 64, 64) and model.inputs[0].is_image
            assert model.predict(file("shapes", "star_0.png")) == shapes().predict(file("shapes", "star_0.png"))


tests = [wrong_words_are_refused, a_picture_is_a_path_bytes_or_pixels, every_named_shape_is_recognised,
         colours_are_looked_up_where_a_picture_has_indices, a_batch_gives_the_bits_of_its_samples, a_list_is_a_batch,
         an_inner_layer_gives_vectors, a_stream_goes_on_after_a_bad_picture, threads_take_turns,
         other_processes_get_the_same_answers, a_closed_model_says_so, a_mask_counts_its_classes_and_shows_itself,
         a_package_is_saved_described_and_verified]
failures = 0
for number, test in enumerate(tests, 1):
    try:
        test()
        print(f"ok {number} - {test.__name__}", flush=True)
    except Exception as reason:  # noqa: BLE001: whatever it is, it is a failure with these words
        failures += 1
        print(f"# {type(reason).__name__}: {reason}\nnot ok {number} - {test.__name__}", flush=True)
print(f"1..{len(tests)}")
sys.exit(failures != 0)
