"""Numbers of a kind: timesteps, pixels, states, probabilities, thresholds; and what is drawn inside a model."""

from __future__ import annotations

from math import inf

from small_model import Small

TIME = ("timesteps", 0, 999)
PIXELS = ("pixels", 0, 255)
STATE = ("states", -inf, inf)
PROBABILITY = ("probabilities", 0, 1)
_F = "float[4] f = {1.0, 0.1, 0.01, 0.001}"


def _time(body: str, kind: str = "float", shape: str = "2", more: str = "") -> Small:
    text = f"({kind}[{shape}] t) => (float[A,B] y) <{_F}, int64[1] ax = {{1}}{more}> {{ {body} }}"
    return Small(text, inputs={"t": TIME})


def _image(body: str, kind: str = "float", shape: str = "1,3,8,8", more: str = "") -> Small:
    text = f"({kind}[{shape}] x) => (float[A,B,C,D] y) <{more}> {{ {body} y = Conv(n, w) }}"
    return Small(text, {"w": (4, 3, 3, 3)}, {"x": PIXELS})


TIMESTEPS = {
    "sine": _time("u = Unsqueeze(t, ax) a = Mul(u, f) y = Sin(a)"),
    "cosine": _time("u = Unsqueeze(t, ax) a = Mul(u, f) y = Cos(a)"),
    "both": _time("u = Unsqueeze(t, ax) a = Mul(u, f) s = Sin(a) c = Cos(a) y = Concat<axis=1>(s, c)"),
    "whole": _time("c = Cast<to=1>(t) u = Unsqueeze(c, ax) a = Mul(u, f) y = Sin(a)", "int64"),
    "int32": _time("u = Unsqueeze(t, ax) c = Cast<to=1>(u) a = Mul(c, f) y = Sin(a)", "int32"),
    "scalar": Small(f"(float t) => (float[4] y) <{_F}> {{ a = Mul(t, f) y = Sin(a) }}", inputs={"t": TIME}),
    "reshaped": _time("u = Reshape(t, s) a = Mul(u, f) y = Sin(a)", more=", int64[2] s = {-1, 1}"),
    "scaled-twice": _time("u = Unsqueeze(t, ax) b = Mul(u, k) a = Mul(b, f) y = Sin(a)", more=", float k = {0.5}"),
    "divided": _time("u = Unsqueeze(t, ax) a = Div(u, f) y = Cos(a)"),
    "open-batch": Small(
        f"""(float[N] t) => (float[N,4] y) <{_F}, int64[1] ax = {{1}}> {{
        u = Unsqueeze(t, ax) a = Mul(u, f) y = Sin(a) }}""",
        inputs={"t": TIME},
    ),
    "half": _time("c = Cast<to=1>(t) u = Unsqueeze(c, ax) a = Mul(u, f) y = Sin(a)", "float16"),
}

_MEANS = "float[1,3,1,1] m = {123.7, 116.3, 103.5}, float[1,3,1,1] s = {58.4, 57.1, 57.4}"
PIXEL_IMAGES = {
    "by-255": _image("n = Div(x, k)", more="float k = {255.0}"),
    "by-256": _image("n = Div(x, k)", more="float k = {256.0}"),
    "times": _image("n = Mul(x, k)", more="float k = {0.003921569}"),
    "to-one": _image("d = Div(x, k) n = Sub(d, one)", more="float k = {127.5}, float one = {1.0}"),
    "less-128": _image("d = Sub(x, k) n = Div(d, k)", more="float k = {127.5}"),
    "means": _image("d = Sub(x, m) n = Div(d, s)", more=_MEANS),
    "means-added": _image(
        "d = Add(x, m) n = Mul(d, s)", more="float[1,3,1,1] m={-123.7,-116.3,-103.5}, float s={0.017}"
    ),
    "channels-last": _image(
        "t = Transpose<perm=[0,3,1,2]>(x) n = Div(t, k)", shape="1,8,8,3", more="float k = {255.0}"
    ),
    "bytes": Small(
        """(uint8[1,3,8,8] x) => (float[A,B,C,D] y) <float k = {255.0}> {
        f = Cast<to=1>(x) n = Div(f, k) y = Conv(n, w) }""",
        {"w": (4, 3, 3, 3)},
        {"x": ("integers", 0, 255)},
    ),
    "whole": _image("f = Cast<to=1>(x) n = Div(f, k)", "int32", more="float k = {255.0}"),
    "open-size": _image("n = Div(x, k)", shape="N,3,H,W", more="float k = {255.0}"),
}

_RNN = {"w": (1, 16, 5), "r": (1, 16, 4)}
_CACHE = {"k": STATE, "v": STATE}
STATES = {
    "lstm": Small(
        """(float[3,1,5] x, float[1,1,4] h, float[1,1,4] c) => (float[A,B,C,D] y, float[1,1,4] p, float[1,1,4] q) {
        y, p, q = LSTM<hidden_size=4>(x, w, r, , , h, c) }""",
        _RNN,
        {"h": STATE, "c": STATE},
    ),
    "gru": Small(
        "(float[3,1,5] x, float[1,1,4] h) => (float[A,B,C,D] y) { y = GRU<hidden_size=4>(x, w, r, , , h) }",
        {"w": (1, 12, 5), "r": (1, 12, 4)},
        {"h": STATE},
    ),
    "rnn": Small(
        "(float[3,1,5] x, float[1,1,4] h) => (float[A,B,C,D] y) { y = RNN<hidden_size=4>(x, w, r, , , h) }",
        {"w": (1, 4, 5), "r": (1, 4, 4)},
        {"h": STATE},
    ),
    "stacked": Small(
        """(float[3,1,5] x, float[2,1,1,4] s) => (float[A,B,C,D] y) <int64 a = {0}, int64 b = {1}> {
        h = Gather(s, a) c = Gather(s, b) y = LSTM<hidden_size=4>(x, w, r, , , h, c) }""",
        _RNN,
        {"s": STATE},
    ),
    "flat": Small(
        """(float[3,1,5] x, float[1,8] s) => (float[A,B,C,D] y) <int64[3] k = {1, 1, 4}> {
        a, b = Split<axis=1>(s) h = Reshape(a, k) c = Reshape(b, k) y = LSTM<hidden_size=4>(x, w, r, , , h, c) }""",
        _RNN,
        {"s": STATE},
        opset=13,
    ),
    "cache": Small(
        """(float[1,2,1,4] q, float[1,2,P,4] k, float[1,2,P,4] v) =>
        (float[1,2,T,4] nk, float[1,2,T,4] nv, float[A,B,C,D] y) {
        nk = Concat<axis=2>(k, q) nv = Concat<axis=2>(v, q) t = Transpose<perm=[0,1,3,2]>(nk) s = MatMul(q, t)
        p = Softmax(s) y = MatMul(p, nv) }""",
        inputs=_CACHE,
    ),
    "convolution": Small(
        """(float[1,2,9] x, float[1,2,4] k) => (float[A,B,C] y, float[1,2,4] left)
        <int64[1] a = {-4}, int64[1] b = {9223372036854775807}, int64[1] ax = {2}> {
        all = Concat<axis=2>(k, x) left = Slice(all, a, b, ax) y = Conv(all, w) }""",
        {"w": (3, 2, 5)},
        {"k": STATE},
    ),
    "called-so": Small(
        """(float[1,4] x, float[1,4] state) => (float[1,4] new_state) {
        a = MatMul(x, w) b = MatMul(state, r) c = Add(a, b) new_state = Tanh(c) }""",
        {"w": (4, 4), "r": (4, 4)},
        {"state": STATE},
    ),
    "hidden-and-cell": Small(
        """(float[1,4] x, float[1,4] hidden, float[1,4] cell) => (float[1,4] h, float[1,4] c) { a = MatMul(x, w)
        b = MatMul(hidden, r) s = Add(a, b) g = Sigmoid(s) k = Mul(g, cell) t = Tanh(s) i = Mul(g, t) c = Add(k, i)
        u = Tanh(c) h = Mul(g, u) }""",
        {"w": (4, 4), "r": (4, 4)},
        {"hidden": STATE, "cell": STATE},
    ),
    "scan": Small(
        """(float[2] s, float[5,2] x) => (float[2] e, float[5,2] y) { e, y = Scan<num_scan_inputs=1,
        body = b (float[2] v, float[2] i) => (float[2] w, float[2] o) { w = Add(v, i) o = Tanh(w) }>(s, x) }""",
        inputs={"s": STATE},
    ),
    "in-a-branch": Small(
        """(float[3,1,5] x, float[1,1,4] h, bool c) => (float[3,1,1,4] y) { y = If(c)<
        then_branch = a () => (float[3,1,1,4] p) { p = GRU<hidden_size=4>(x, w, r, , , h) },
        else_branch = b () => (float[3,1,1,4] q) { t = GRU<hidden_size=4>(x, w, r, , , h) q = Neg(t) }> }""",
        {"w": (1, 12, 5), "r": (1, 12, 4)},
        {"h": STATE, "c": ("mask", 0, 1)},
    ),
}

_ONE = "float one = {1.0}, float e = {1e-7}"


def _likely(body: str, low: float = 0, high: float = 1, more: str = "float z = {0.0}") -> Small:
    return Small(
        f"(float[2,5] p, float[2,5] x) => (float[2,5] y) <{_ONE}, {more}> {{ {body} }}",
        inputs={"p": ("probabilities", low, high)},
    )


PROBABILITIES = {
    "log": _likely("a = Add(p, e) l = Log(a) y = Mul(l, x)"),
    "log-of-rest": _likely("q = Sub(one, p) a = Add(q, e) l = Log(a) y = Mul(l, x)"),
    "cross-entropy": _likely(
        "q = Sub(one, p) a = Log(p) b = Log(q) c = Mul(x, a) d = Mul(b, x) y = Add(c, d)", 1e-3, 0.999
    ),
    "guarded-cross-entropy": _likely(
        "u = Add(p, e) v = Sub(one, p) w = Add(v, e) a = Log(u) b = Log(w) c = Mul(x, a) d = Mul(b, x) y = Add(c, d)"
    ),
    "clipped-log": _likely("c = Clip(p, e, h) l = Log(c) y = Mul(l, x)", more="float h = {0.9999999}"),
    "blend": _likely("q = Sub(one, p) a = Mul(p, x) b = Mul(q, x) y = Add(a, b)"),
    "threshold": _likely("c = Greater(p, k) y = Where(c, x, p)", more="float k = {0.3}"),
    "half-threshold": _likely("c = GreaterOrEqual(p, k) y = Where(c, x, p)", more="float k = {0.5}"),
    "below-noise": Small(
        "(float[2,5] p, float[2,5] x) => (float[2,5] y) { r = RandomUniformLike(p) c = Less(r, p) y = Where(c, x, p) }",
        inputs={"p": PROBABILITY},
    ),
    "bernoulli": Small("(float[2,5] p) => (float[2,5] y) { y = Bernoulli(p) }", inputs={"p": PROBABILITY}),
    "odds": _likely("q = Sub(one, p) d = Div(p, q) y = Add(d, x)", high=0.9),
}

THRESHOLDS = {
    "clip": Small(
        "(float[4,9] x) => (float[4,9] y) <float a = {-100.0}, float b = {100.0}> { y = Clip(x, a, b) }",
        inputs={"x": ("numbers within bounds", -100, 100)},
    ),
    "clip-above": Small("(float[4,9] x) => (float[4,9] y) <float b = {200.0}> { y = Clip(x, , b) }"),
    "min": Small("(float[4,9] x) => (float[4,9] y) <float b = {200.0}> { y = Min(x, b) }"),
    "band": Small(
        """(float[2,4] x, float low, float high) => (float[2] y)
        <float[4] scale = {50.0, 100.0, 400.0, 900.0}, float none = {0.0}, int64[1] one = {1}> {
        a = GreaterOrEqual(scale, low) b = LessOrEqual(scale, high) c = And(a, b) w = Abs(x) k = Where(c, w, none)
        m = Mul(k, scale) n = ReduceSum<keepdims=0>(m, one) d = ReduceSum<keepdims=0>(k, one) y = Div(n, d) }""",
        inputs={
            "low": ("numbers within bounds", 50, 100),
            "high": ("numbers within bounds", 100, 900),
        },
    ),
    "bins": Small(
        """(float[6,1] x) => (int64[6] y) <float[4] edges = {-200.0, 10.0, 300.0, 500.0}, int64[1] one = {1}> {
        c = Less(edges, x) i = Cast<to=7>(c) y = ReduceSum<keepdims=0>(i, one) }""",
        inputs={"x": ("numbers within bounds", -200, 500)},
    ),
    "max": Small("(float[4,9] x) => (float[4,9] y) <float b = {-150.0}> { y = Max(x, b) }"),
    "leaky": Small(
        """(float[4,9] x) => (float[4,9] y) <float z = {0.0}, float a = {0.1}> {
        c = Greater(x, z) m = Mul(x, a) y = Where(c, x, m) }""",
        inputs={"x": ("numbers", -inf, inf)},
    ),
    "relu-from": Small("(float[4,9] x) => (float[4,9] y) { y = ThresholdedRelu<alpha=120.0>(x) }"),
    "compare": Small("(float[4,9] x) => (float[4,9] y) <float b={130.0}> { c = Less(x, b) y = Where(c, x, b) }"),
    "safe-root": Small("(float[4,9] x) => (float[4,9] y) <float e = {1e-6}> { m = Max(x, e) y = Sqrt(m) }"),
    "root": Small(
        "(float[4,9] x) => (float[4,9] y) { y = Sqrt(x) }", inputs={"x": ("numbers within bounds", 1e-3, inf)}
    ),
    "angle": Small("(float[4,9] x) => (float[4,9] y) { y = Acos(x) }", inputs={"x": ("numbers within bounds", -1, 1)}),
}

RANDOM = {
    "noise-like": Small("(float[2,5] x) => (float[2,5] y) { n = RandomNormalLike(x) y = Add(x, n) }"),
    "noise-of-a-shape": Small("(float[2,5] x) => (float[2,5] y) { n = RandomNormal<shape=[2,5]>() y = Add(x, n) }"),
    "silent-noise": Small("(float[2,5] x) => (float[2,5] y) { n = RandomNormalLike<scale=0.0>(x) y = Add(x, n) }"),
    "silent-noise-of-a-shape": Small(
        "(float[2,5] x) => (float[2,5] y) { n = RandomNormal<shape=[2,5], scale=0.0, mean=3.0>() y = Add(x, n) }"
    ),
    "uniform-like": Small("(float[2,5] x) => (float[2,5] y) { n = RandomUniformLike(x) y = Mul(x, n) }"),
    "uniform-of-a-shape": Small("(float[2,5] x) => (float[2,5] y) { n = RandomUniform<shape=[2,5]>() y = Mul(x, n) }"),
    "uniform-of-nothing": Small(
        "(float[2,5] x) => (float[2,5] y) { n = RandomUniformLike<low=2.0, high=2.0>(x) y = Mul(x, n) }"
    ),
    "classes": Small("(float[2,5] x) => (int32[2,3] y) { y = Multinomial<sample_size=3>(x) }"),
    "dropout": Small("(float[2,5] x) => (float[2,5] y) <float r = {0.5}, bool t = {1}> { y = Dropout(x, r, t) }"),
    "latent": Small(
        """(float[2,5] x) => (float[2,5] y, float[2,5] m) <float h = {0.5}> { m = Tanh(x) l = Mul(x, h) s = Exp(l)
        n = RandomNormalLike(m) d = Mul(n, s) y = Add(m, d) }"""
    ),
    "in-a-loop": Small(
        """(float[2,3] x, int64 n) => (float[2,3] y) { y = Loop<body = b (int64 i, bool c, float[2,3] v) =>
        (bool d, float[2,3] w) { d = Identity(c) r = RandomNormalLike(v) w = Add(v, r) }>(n, , x) }""",
        inputs={"n": ("count", 0, 4)},
    ),
}
