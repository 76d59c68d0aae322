"""What selects and what hides: ids, masks, lengths, positions, counts."""

from __future__ import annotations

from small_model import Small

T = {"t": (40, 8)}
IDS = ("ids", 0, 39)
MASK = ("mask", 0, 1)
S = "scores"
_SCORES = {"w": (8, 8)}
_ATTEND = "s = MatMul(x, w)"
_SOFT = "y = Softmax(b)"


def _ids(body: str, kind: str = "int64", shape: str = "2,5", low: float = 0, high: float = 39, more: str = "") -> Small:
    return Small(f"({kind}[{shape}] x) => (float[A,B,C] y) <{more}> {{ {body} }}", T, {"x": ("ids", low, high)})


def _mask(body: str, kind: str = "int64", shape: str = "1,8", more: str = "") -> Small:
    text = f"(float[1,5,8] q, {kind}[{shape}] m) => (float[1,5,8] y) <{more}> {{ s = MatMul(q, w) {body} }}"
    return Small(text, _SCORES, {"m": MASK})


IDS_BY_TABLE = {
    "plain": _ids("y = Gather(t, x)"),
    "cast-int32": _ids("i = Cast<to=7>(x) y = Gather(t, i)", "int32"),
    "float": _ids("i = Cast<to=7>(x) y = Gather(t, i)", "float"),
    "half": _ids("f = Cast<to=1>(x) i = Cast<to=6>(f) y = Gather(t, i)", "float16"),
    "add-offset": _ids("i = Add(x, k) y = Gather(t, i)", high=36, more="int64 k = {3}"),
    "offsets-of-columns": _ids("i = Add(x, k) y = Gather(t, i)", shape="2,3", high=9, more="int64[3] k = {0, 10, 30}"),
    "sub-one": _ids("i = Sub(x, k) y = Gather(t, i)", low=1, high=40, more="int64 k = {1}"),
    "twice": _ids("i = Mul(x, k) y = Gather(t, i)", high=19, more="int64 k = {2}"),
    "clip-to-table": _ids("i = Clip(x, a, b) y = Gather(t, i)", more="int64 a = {0}, int64 b = {39}"),
    "clip-below-table": _ids("i = Clip(x, a, b) y = Gather(t, i)", high=30, more="int64 a = {0}, int64 b = {30}"),
    "min-and-max": _ids("u = Min(x, b) i = Max(u, a) y = Gather(t, i)", more="int64 a = {0}, int64 b = {39}"),
    "reshape": _ids("i = Reshape(x, k) y = Gather(t, i)", more="int64[1] k = {-1}"),
    "flatten-and-squeeze": _ids(
        "f = Flatten(x) i = Squeeze(f, k) y = Gather(t, i)", shape="1,5", more="int64[1] k={0}"
    ),
    "transpose": _ids("i = Transpose(x) y = Gather(t, i)"),
    "slice": _ids("i = Slice(x, a, b, c) y = Gather(t, i)", more="int64[1] a={1}, int64[1] b={4}, int64[1] c={1}"),
    "split": _ids("i, j = Split<axis=0>(x) y = Gather(t, j)", shape="2,5"),
    "concat-with-start": _ids("i = Concat<axis=1>(k, x) y = Gather(t, i)", shape="1,5", more="int64[1,1] k = {0}"),
    "where-padding": _ids("n = Less(x, z) i = Where(n, z, x) y = Gather(t, i)", more="int64 z = {0}"),
    "of-axis-1": _ids("y = Gather<axis=1>(t, x)", high=7),
    "one-hot": Small(
        "(int64[4] x) => (float[4,9] y) <int64 d = {9}, float[2] v = {0.0, 1.0}> { y = OneHot(x, d, v) }",
        inputs={"x": ("ids", 0, 8)},
    ),
    "one-hot-by-equal": Small(
        """(int32[2,5] x) => (float[2,5,8] y) <int64[1] ax = {2}, int32[1,1,6] k = {0,1,2,3,4,5}> {
        u = Unsqueeze(x, ax) e = Equal(u, k) f = Cast<to=1>(e) y = MatMul(f, t) }""",
        {"t": (6, 8)},
        {"x": ("ids", 0, 5)},
    ),
    "elements": Small(
        "(int64[2,3] x, float[2,9] d) => (float[2,3] y) { y = GatherElements<axis=1>(d, x) }",
        inputs={"x": ("ids", 0, 8)},
    ),
    "rows-and-columns": Small(
        "(int64[3,2] x, float[6,9] d) => (float[3] y) { y = GatherND(d, x) }", inputs={"x": ("ids", 0, 5)}
    ),
    "two-tables": Small(
        "(int64[2,5] x) => (float[A,B,C] y) { a = Gather(t, x) b = Gather(u, x) y = Add(a, b) }",
        T | {"u": (12, 8)},
        {"x": ("ids", 0, 11)},
    ),
    "a-table-each": Small(
        "(int64[2,5] x, int64[2,5] z) => (float[A,B,C] y) { a = Gather(t, x) b = Gather(u, z) y = Add(a, b) }",
        T | {"u": (4, 8)},
        {"x": IDS, "z": ("ids", 0, 3)},
    ),
    "in-a-branch": Small(
        """(int64[2,5] x, bool c) => (float[2,5,8] y) { y = If(c)<
        then_branch = a () => (float[2,5,8] p) { p = Gather(t, x) },
        else_branch = b () => (float[2,5,8] q) { r = Gather(t, x) q = Neg(r) }> }""",
        T,
        {"x": IDS, "c": MASK},
    ),
    "scatter": Small(
        "(int64[1,3] x, float[1,3] u, float[1,9] d) => (float[1,9] y) { y = ScatterElements<axis=1>(d, x, u) }",
        inputs={"x": ("ids", 0, 8)},
    ),
}

_LOW = "float one = {1.0}, float low = {-10000.0}"
MASKS = {
    "additive": _mask(f"f = Cast<to=1>(m) i = Sub(one, f) h = Mul(i, low) b = Add(s, h) {_SOFT}", more=_LOW),
    "additive-float": _mask(f"i = Sub(one, m) h = Mul(i, low) b = Add(s, h) {_SOFT}", "float", more=_LOW),
    "additive-unsqueezed": _mask(
        f"u = Unsqueeze(m, ax) f = Cast<to=1>(u) i = Sub(one, f) h = Mul(i, low) b = Add(s, h) {_SOFT}",
        more=f"{_LOW}, int64[1] ax = {{1}}",
    ),
    "less-one": _mask(
        f"f = Cast<to=1>(m) i = Sub(f, one) h = Mul(i, k) b = Add(s, h) {_SOFT}", more="float one={1.0}, float k={1e9}"
    ),
    "lowest-of-float": _mask(
        f"f = Cast<to=1>(m) i = Sub(one, f) h = Mul(i, low) b = Add(s, h) {_SOFT}",
        more="float one = {1.0}, float low = {-3.4e38}",
    ),
    "where-low": _mask(f"c = Cast<to=9>(m) b = Where(c, s, low) {_SOFT}", more="float low = {-1e9}"),
    "where-infinity": _mask(
        f"n = Not(m) z = Sub(one, one) i = Div(one, z) l = Neg(i) b = Where(n, l, s) {_SOFT}",
        "bool",
        more="float one = {1.0}",
    ),
    "equal-to-zero": _mask(f"c = Equal(m, z) b = Where(c, low, s) {_SOFT}", more="int64 z = {0}, float low = {-1e9}"),
    "above-zero": _mask(
        f"c = Greater(m, z) b = Where(c, s, low) {_SOFT}", "int32", more="int32 z={0}, float low={-1e9}"
    ),
    "and": Small(
        """(float[1,5,8] q, bool[1,1,8] m, bool[1,5,1] n) => (float[1,5,8] y) <float low = {-1e9}> {
        s = MatMul(q, w) c = And(m, n) b = Where(c, s, low) y = Softmax(b) }""",
        _SCORES,
        {"m": MASK, "n": MASK},
    ),
    "or-not": Small(
        """(float[1,8,8] q, bool[1,1,8] m, bool[1,8,1] n) => (float[1,8,8] y) <float low = {-1e9}> {
        s = MatMul(q, w) k = Not(m) c = Or(k, n) b = Where(c, s, low) y = Softmax(b) }""",
        _SCORES,
        {"m": MASK, "n": MASK},
    ),
    "masked-mean": Small(
        """(float[2,6,8] x, int64[2,6] m) => (float[2,8] y) <int64[1] ax = {2}, int64[1] st = {1}, float e = {1e-9}> {
        c = Cast<to=9>(m) f = Cast<to=1>(c) u = Unsqueeze(f, ax) p = Mul(x, u) a = ReduceSum<keepdims=0>(p, st)
        n = ReduceSum<keepdims=0>(u, st) d = Clip(n, e) y = Div(a, d) }""",
        inputs={"m": MASK},
    ),
    "mean-of-steps": Small(
        """(float[2,6,8] x, int64[2,6] m) => (float[2,8] y) <int64[1] ax = {2}, int64[1] st = {1}, float e = {1e-9}> {
        u = Unsqueeze(m, ax) s = Shape(x) z = Expand(u, s) f = Cast<to=1>(z) p = Mul(x, f)
        a = ReduceSum<keepdims=0>(p, st) n = ReduceSum<keepdims=0>(f, st) d = Clip(n, e) y = Div(a, d) }""",
        inputs={"m": MASK},
    ),
    "mean-by-product": Small(
        """(float[2,6,8] x, int64[2,6] m) => (float[2,1,8] y) <int64[1] ax = {1}, int64[1] st = {2}, float e = {1.0}> {
        f = Cast<to=1>(m) u = Unsqueeze(f, ax) a = MatMul(u, x) n = ReduceSum<keepdims=1>(u, st) d = Max(n, e)
        y = Div(a, d) }""",
        inputs={"m": MASK},
    ),
    "xor": Small("(bool[2,6] m, bool[2,6] n) => (bool[2,6] y) { y = Xor(m, n) }", inputs={"m": MASK, "n": MASK}),
}

LENGTHS = {
    "below-range": Small(
        """(float[2,7] x, int64[2,1] l) => (float[2,7] y) <int64 z={0}, int64 n={7}, int64 one={1}, float no={0.0}> {
        r = Range(z, n, one) c = Less(r, l) y = Where(c, x, no) }""",
        inputs={"l": ("lengths", 1, 7)},
    ),
    "below-open-range": Small(
        """(float[2,T] x, int64[2] l) => (float[2,T] y) <int64 z={0}, int64 one={1}, float no={0.0}, int64[1] ax={1}> {
        s = Shape(x) n = Gather(s, one) r = Range(z, n, one) u = Unsqueeze(l, ax) c = Less(r, u)
        y = Where(c, x, no) }""",
    ),
    "below-stored": Small(
        """(float[2,4] x, int32[2,1] l) => (float[2,4] y) <int32[4] r = {0,1,2,3}, float no = {0.0}> {
        c = Greater(l, r) y = Where(c, x, no) }""",
        inputs={"l": ("lengths", 1, 4)},
    ),
    "reverse": Small(
        "(int64[2] l, float[9,2,4] x) => (float[9,2,4] y) { y = ReverseSequence<time_axis=0, batch_axis=1>(x, l) }",
        inputs={"l": ("lengths", 1, 9)},
    ),
    "lstm": Small(
        "(float[6,2,5] x, int32[2] l) => (float[6,1,2,4] y) { y = LSTM<hidden_size=4>(x, w, r, , l) }",
        {"w": (1, 16, 5), "r": (1, 16, 4)},
        {"l": ("lengths", 1, 6)},
    ),
    "gru": Small(
        "(float[6,2,5] x, int32[2] l) => (float[6,1,2,4] y) { y = GRU<hidden_size=4>(x, w, r, , l) }",
        {"w": (1, 12, 5), "r": (1, 12, 4)},
        {"l": ("lengths", 1, 6)},
    ),
    "last-step": Small(
        """(float[2,7] x, int64[2,1] l) => (float[2,1] y) <int64 one = {1}> {
        i = Sub(l, one) y = GatherElements<axis=1>(x, i) }""",
        inputs={"l": ("ids", 1, 7)},
    ),
    "positions": Small(
        "(int64[1,6] p) => (float[1,6,8] y) { y = Gather(t, p) }", {"t": (64, 8)}, {"p": ("ids", 0, 63)}
    ),
    "positions-of-sine": Small(
        "(int64[1,6] p) => (float[1,6,8] y) { i = Cast<to=7>(p) s = Gather(t, i) y = Sin(s) }",
        {"t": (32, 8)},
        {"p": ("ids", 0, 31)},
    ),
    "position-of-a-row": Small("(int64 p) => (float[8] y) { y = Gather(t, p) }", {"t": (20, 8)}, {"p": ("ids", 0, 19)}),
    "position-in-a-sequence": Small(
        "(float[1,9,8] x, int64[1] p) => (float[1,1,8] y) { y = Gather<axis=1>(x, p) }", {}, {"p": ("ids", 0, 8)}
    ),
}

_LOOP = """body = b (int64 i, bool c, float[2,3] v) => (bool d, float[2,3] w) { d = Identity(c) w = Add(v, one) }"""
_GROW = """body = b (int64 i, bool c, float[2] v) => (bool d, float[2] w, float[2] e) {
    d = Identity(c) w = Add(v, one) e = Mul(w, w) }"""
COUNTS = {
    "trips": Small(
        f"(float[2,3] x, int64 n) => (float[2,3] y) <float one = {{1.0}}> {{ y = Loop<{_LOOP}>(n, , x) }}",
        inputs={"n": ("count", 0, 4)},
    ),
    "trips-of-one": Small(
        f"""(float[2,3] x, int64[1] n) => (float[2,3] y) <float one = {{1.0}}, int64[1] ax = {{0}}> {{
        s = Squeeze(n, ax) y = Loop<{_LOOP}>(s, , x) }}""",
        inputs={"n": ("count", 0, 4)},
    ),
    "trips-of-int32": Small(
        f"""(float[2,3] x, int32 n) => (float[2,3] y) <float one = {{1.0}}> {{
        s = Cast<to=7>(n) y = Loop<{_LOOP}>(s, , x) }}""",
        inputs={"n": ("count", 0, 4)},
    ),
    "trips-plus-one": Small(
        f"""(float[2,3] x, int64 n) => (float[2,3] y) <float one = {{1.0}}, int64 k = {{1}}> {{
        s = Add(n, k) y = Loop<{_LOOP}>(s, , x) }}""",
        inputs={"n": ("count", 0, 3)},
    ),
    "trips-and-condition": Small(
        f"(float[2,3] x, int64 n, bool c) => (float[2,3] y) <float one = {{1.0}}> {{ y = Loop<{_LOOP}>(n, c, x) }}",
        inputs={"n": ("count", 0, 4), "c": MASK},
    ),
    "rows-of-trips": Small(
        f"(float[2] x, int64 n) => (float[2] y, float[N,2] z) <float one = {{1.0}}> {{ y, z = Loop<{_GROW}>(n, , x) }}",
        inputs={"n": ("count", 0, 4)},
    ),
    "branch": Small(
        """(float[2,3] x, bool c) => (float[2,3] y) { y = If(c)<
        then_branch = a () => (float[2,3] p) { p = Tanh(x) }, else_branch = b () => (float[2,3] q) { q = Neg(x) }> }""",
        inputs={"c": MASK},
    ),
    "top": Small(
        "(float[2,7] x, int64[1] k) => (float[2,K] y, int64[2,K] i) { y, i = TopK(x, k) }",
        inputs={"k": ("sizes", 1, 4)},
    ),
    "range": Small(
        "(int64 n) => (int64[N] y) <int64 z = {0}, int64 one = {1}> { r = Range(z, n, one) y = Add(r, one) }",
        inputs={"n": ("sizes", 1, 4)},
    ),
    "tile": Small("(float[2,3] x, int64[2] n) => (float[A,B] y) { y = Tile(x, n) }", inputs={"n": ("sizes", 1, 4)}),
    "expand": Small(
        """(float[2,1] x, int64 n) => (float[A,B] y) <int64[1] k = {2}, int64[1] ax = {0}> {
        u = Unsqueeze(n, ax) s = Concat<axis=0>(k, u) y = Expand(x, s) }""",
        inputs={"n": ("sizes", 1, 4)},
    ),
}
