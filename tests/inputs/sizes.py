"""Sizes that the graph fixes or ties together: baked targets, tables of positions, past and new, multiples."""

from __future__ import annotations

from small_model import Small

BAKED = {
    "reshape": Small(
        "(float[1,L] x) => (float[13,17] y) <int64[2] s = {13, 17}> { y = Reshape(x, s) }",
        holds=lambda n: n["L"] == 221,
    ),
    "reshape-product": Small(
        "(float[1,4,H,W] x) => (float[A,B] y) <int64[2] s = {-1, 1024}> { y = Reshape(x, s) }",
        holds=lambda n: 4 * n["H"] * n["W"] % 1024 == 0,
    ),
    "reshape-square": Small(
        "(float[1,4,H,W] x) => (float[1,A] y) <int64[2] s = {1, 1024}> { y = Reshape(x, s) }",
        holds=lambda n: 4 * n["H"] * n["W"] == 1024,
    ),
    "reshape-heads": Small(
        "(float[B,L,E] x) => (float[A,C,D,F] y) <int64[4] s = {0, 0, 4, 16}> { y = Reshape(x, s) }",
        holds=lambda n: n["E"] == 64,
    ),
    "expand": Small(
        "(float[N,T,1] x) => (float[A,B,C] y) <int64[3] s = {2, 7, 5}> { y = Expand(x, s) }",
        holds=lambda n: n["N"] in (1, 2) and n["T"] in (1, 7),
    ),
    "concat": Small(
        "(float[N,C,4] x, float[N,6,T] z) => (float[N,D,4] y) { y = Concat<axis=1>(x, z) }", holds=lambda n: n["T"] == 4
    ),
    "positions-added": Small(
        "(float[1,T,8] x) => (float[1,T,8] y) { y = Add(x, p) }", {"p": (1, 20, 8)}, holds=lambda n: n["T"] in (1, 20)
    ),
    "positions-sliced": Small(
        """(float[1,T,8] x) => (float[1,T,8] y) <int64[1] z = {0}, int64[1] one = {1}, int64[1] ax = {0}> {
        s = Shape(x) t = Gather(s, one) q = Slice(p, z, t, ax) y = Add(x, q) }""",
        {"p": (12, 8)},
        holds=lambda n: n["T"] <= 12,
    ),
    "dense": Small(
        "(float[N,3,H,W] x) => (float[N,5] y) { f = Flatten(x) y = MatMul(f, w) }",
        {"w": (3 * 8 * 8, 5)},
        holds=lambda n: n["H"] * n["W"] == 64,
    ),
    "dense-of-a-sequence": Small(
        "(float[N,T,K] x) => (float[N,T,5] y) { y = MatMul(x, w) }", {"w": (24, 5)}, holds=lambda n: n["K"] == 24
    ),
    "channels": Small(
        "(float[N,C,H,W] x) => (float[A,B,D,E] y) { y = Conv(x, w) }", {"w": (2, 5, 3, 3)}, holds=lambda n: n["C"] == 5
    ),
    "lstm": Small(
        "(float[T,N,I] x) => (float[A,B,C,D] y) { y = LSTM<hidden_size=4>(x, w, r) }",
        {"w": (1, 16, 7), "r": (1, 16, 4)},
        holds=lambda n: n["I"] == 7,
    ),
}

MULTIPLES = {
    "halves": Small(
        "(float[1,L] x) => (float[1,A] a, float[1,B] b) { a, b = Split<axis=1>(x) }",
        holds=lambda n: n["L"] % 2 == 0,
        opset=13,
    ),
    "blocks": Small(
        "(float[1,3,H,W] x) => (float[A,B,C,D] y) { y = SpaceToDepth<blocksize=4>(x) }",
        holds=lambda n: n["H"] % 4 == n["W"] % 4 == 0,
    ),
    "down-and-up": Small(
        """(float[1,2,H,W] x) => (float[A,B,C,D] y) <float[4] s = {1.0, 1.0, 2.0, 2.0}> {
        d = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) u = Resize<mode="nearest">(d, , s)
        y = Concat<axis=1>(u, x) }""",
        holds=lambda n: n["H"] % 2 == n["W"] % 2 == 0,
    ),
    "three-levels": Small(
        """(float[1,2,H,W] x) => (float[A,B,C,D] y) <float[4] s = {1.0, 1.0, 8.0, 8.0}> {
        a = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) b = MaxPool<kernel_shape=[2,2], strides=[2,2]>(a)
        c = MaxPool<kernel_shape=[2,2], strides=[2,2]>(b) u = Resize<mode="nearest">(c, , s) y = Add(u, x) }""",
        holds=lambda n: n["H"] % 8 == n["W"] % 8 == 0,
    ),
    "transposed-convolution": Small(
        """(float[1,2,L] x, float[1,3,M] z) => (float[A,B,C] y) {
        u = ConvTranspose<strides=[2], kernel_shape=[2]>(x, w) y = Add(u, z) }""",
        {"w": (2, 3, 2)},
        holds=lambda n: n["M"] in (1, 2 * n["L"]),
    ),
    "twice": Small(
        "(float[1,N] x, float[1,M] z) => (float[1,M] y) { d = Concat<axis=1>(x, x) y = Mul(d, z) }",
        holds=lambda n: n["M"] in (1, 2 * n["N"]),
    ),
    "eighth": Small(
        """(float[1,2,L] x, float[1,2,S] z) => (float[A,B,C] y) {
        d = AveragePool<kernel_shape=[8], strides=[8]>(x) y = Concat<axis=1>(d, z) }""",
        holds=lambda n: n["S"] == n["L"] // 8,
    ),
    "frames": Small(
        """(float[1,1,L] x, float[1,4,S] z) => (float[A,B,C] y) {
        f = Conv<strides=[160]>(x, w) y = Concat<axis=1>(f, z) }""",
        {"w": (4, 1, 400)},
        holds=lambda n: n["S"] == (n["L"] - 400) // 160 + 1,
    ),
    "one-more": Small(
        "(float[N,T] x, float[N,U] z) => (float[N,U] y) { c = Concat<axis=1>(s, x) y = Mul(c, z) }",
        {"s": (1, 1)},
        holds=lambda n: n["N"] == 1 and n["U"] in (1, n["T"] + 1),
    ),
    "two-less": Small(
        "(float[1,2,T] x, float[1,3,U] z) => (float[1,3,U] y) { c = Conv(x, w) y = Sub(c, z) }",
        {"w": (3, 2, 3)},
        holds=lambda n: n["U"] in (1, n["T"] - 2),
    ),
    "windows": Small(
        """(float[1,H,W,2] x) => (float[A,B,C,D,E,F] y)
        <int64[1] a = {1}, int64[1] b = {2}, int64[1] e = {3}, int64 q = {4}, int64[1] k = {4}> {
        s = Shape(x) h = Slice(s, a, b) w = Slice(s, b, e) r = Div(h, q) c = Div(w, q)
        t = Concat<axis=0>(a, r, k, c, k, b) y = Reshape(x, t) }""",
        holds=lambda n: n["H"] % 4 == n["W"] % 4 == 0,
    ),
}

_STEP = "a = Concat<axis=2>(k, n) t = Transpose<perm=[0,1,3,2]>(a) s = MatMul(n, t)"
PAST = {
    "mask": Small(
        f"(float[B,2,N,4] n, float[B,2,P,4] k, float[B,1,N,T] m) => (float[B,2,N,T] y) {{ {_STEP} y = Add(s, m) }}",
        holds=lambda n: n["T"] in (1, n["P"] + n["N"]),
    ),
    "mask-of-one-row": Small(
        f"(float[B,2,N,4] n, float[B,2,P,4] k, float[B,1,1,T] m) => (float[B,2,N,T] y) {{ {_STEP} y = Add(s, m) }}",
        holds=lambda n: n["T"] in (1, n["P"] + n["N"]),
    ),
    "where": Small(
        f"""(float[B,2,N,4] n, float[B,2,P,4] k, bool[B,T] m) => (float[B,2,N,T] y)
        <float low = {{-1e9}}, int64[2] ax = {{1, 2}}> {{ {_STEP} u = Unsqueeze(m, ax) y = Where(u, s, low) }}""",
        inputs={"m": ("mask", 0, 1)},
        holds=lambda n: n["T"] in (1, n["P"] + n["N"]),
    ),
    "additive": Small(
        f"""(float[B,2,N,4] n, float[B,2,P,4] k, int64[B,T] m) => (float[B,2,N,T] y) <float one = {{1.0}},
        float low = {{-10000.0}}, int64[2] ax = {{1, 2}}> {{ {_STEP} u = Unsqueeze(m, ax) f = Cast<to=1>(u)
        i = Sub(one, f) h = Mul(i, low) b = Add(s, h) y = Softmax(b) }}""",
        inputs={"m": ("mask", 0, 1)},
        holds=lambda n: n["T"] in (1, n["P"] + n["N"]),
    ),
    "one-step": Small(
        f"(float[1,2,1,4] n, float[1,2,P,4] k, float[1,1,1,T] m) => (float[1,2,1,T] y) {{ {_STEP} y = Add(s, m) }}",
        holds=lambda n: n["T"] in (1, n["P"] + 1),
    ),
    "keys-and-values": Small(
        f"""(float[B,2,N,4] n, float[B,2,P,4] k, float[B,2,Q,4] v) => (float[B,2,N,4] y) {{ {_STEP} p = Softmax(s)
        w = Concat<axis=2>(v, n) y = MatMul(p, w) }}""",
        holds=lambda n: n["P"] == n["Q"],
    ),
    "steps-on-axis-1": Small(
        """(float[B,N,8] n, float[B,P,8] k, float[B,N,T] m) => (float[B,N,T] y) { a = Concat<axis=1>(k, n)
        t = Transpose<perm=[0,2,1]>(a) s = MatMul(n, t) y = Add(s, m) }""",
        holds=lambda n: n["T"] in (1, n["P"] + n["N"]),
    ),
    "nameless": Small(
        f"(float[1,2,N,4] n, float[1,2,?,4] k, float[1,1,N,?] m) => (float[1,2,N,T] y) {{ {_STEP} y = Add(s, m) }}",
        holds=lambda n: n["m[3]"] in (1, n["k[2]"] + n["N"]),
    ),
    "ids-and-positions": Small(
        """(int64[B,N] i, int64[B,N] p, float[B,P,8] k, float[B,N,T] m) => (float[B,N,T] y) { e = Gather(t, i)
        f = Gather(u, p) n = Add(e, f) a = Concat<axis=1>(k, n) c = Transpose<perm=[0,2,1]>(a) s = MatMul(n, c)
        y = Add(s, m) }""",
        {"t": (30, 8), "u": (16, 8)},
        {"i": ("ids", 0, 29), "p": ("ids", 0, 15)},
        lambda n: n["T"] in (1, n["P"] + n["N"]),
    ),
    "two-layers": Small(
        """(float[B,N,8] n, float[B,P,8] k, float[B,P,8] l, float[B,N,T] m) => (float[B,N,T] y) {
        a = Concat<axis=1>(k, n) t = Transpose<perm=[0,2,1]>(a) s = MatMul(n, t) o = Add(s, m) p = Softmax(o)
        x = MatMul(p, a) b = Concat<axis=1>(l, x) c = Transpose<perm=[0,2,1]>(b) q = MatMul(x, c) y = Add(q, m) }""",
        holds=lambda n: n["T"] in (1, n["P"] + n["N"]),
    ),
}
"""Each of them has a variation with an empty past."""
