"""Torch modules and functions with the shapes that people use, to be exported, fixed, converted and compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch_blocks as blocks
from torch import Tensor, nn
from torch.nn import functional

IMAGE, SMALL, SEQUENCE, ROWS, SIGNAL = (1, 3, 32, 32), (2, 8, 10, 12), (2, 7, 16), (4, 10), (2, 4, 50)


class Entry(NamedTuple):
    """One module.

    Attributes:
        name: Unique.
        build: Makes the module, after a fixed seed.
        inputs: Makes its inputs, after a fixed seed.
    """

    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[], tuple[Tensor, ...]]


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Tensor) -> Any:
        """Call it."""
        return self.function(*args)


class First(nn.Module):
    """The first output of a module that has several."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Tensor) -> Tensor:
        """Call it, drop the others."""
        found: Tensor = self.module(*args)[0]
        return found


CORPUS: list[Entry] = []


def _module(name: str, build: Callable[[], nn.Module], *shapes: tuple[int, ...]) -> None:
    CORPUS.append(Entry(name, build, lambda: tuple(torch.randn(shape) for shape in shapes)))


def _function(name: str, function: Callable[..., Any], *shapes: tuple[int, ...]) -> None:
    _module(name, lambda: Function(function), *shapes)


def _fed(name: str, build: Callable[[], nn.Module], inputs: Callable[[], tuple[Tensor, ...]]) -> None:
    CORPUS.append(Entry(name, build, inputs))


# ---- convolutions ------------------------------------------------------------------------------------------------

_module("conv1d", lambda: nn.Conv1d(4, 6, 5), SIGNAL)
_module("conv1d-strided-dilated", lambda: nn.Conv1d(4, 6, 3, stride=2, dilation=2, padding=2), SIGNAL)
_module("conv1d-grouped", lambda: nn.Conv1d(4, 8, 3, groups=4, bias=False), SIGNAL)
_module("conv2d", lambda: nn.Conv2d(3, 8, 3, padding=1), IMAGE)
_module("conv2d-same", lambda: nn.Conv2d(3, 8, 4, padding="same"), IMAGE)
_module("conv2d-strided", lambda: nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), IMAGE)
_module("conv2d-dilated", lambda: nn.Conv2d(3, 8, 3, dilation=2, padding=2), IMAGE)
_module("conv2d-depthwise", lambda: nn.Conv2d(8, 8, 3, padding=1, groups=8), SMALL)
_module("conv2d-grouped", lambda: nn.Conv2d(8, 16, 3, groups=4), SMALL)
_module("conv2d-asymmetric", lambda: nn.Conv2d(8, 6, (3, 5), padding=(0, 2)), SMALL)
_module("conv2d-reflect", lambda: nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"), IMAGE)
_module("conv2d-circular", lambda: nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular"), IMAGE)
_module("conv3d", lambda: nn.Conv3d(2, 4, 3, padding=1), (1, 2, 6, 8, 8))
_module("conv-transpose1d", lambda: nn.ConvTranspose1d(4, 6, 4, stride=2, padding=1), SIGNAL)
_module("conv-transpose2d", lambda: nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1), SMALL)
_module("conv-transpose2d-grouped", lambda: nn.ConvTranspose2d(8, 8, 2, stride=2, groups=4, bias=False), SMALL)
_module("conv-transpose3d", lambda: nn.ConvTranspose3d(2, 3, 2, stride=2), (1, 2, 4, 5, 6))
_module("conv-norm-act", lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU6()), IMAGE)
_function("unfold", lambda x: functional.unfold(x, 3, padding=1), SMALL)
_function("fold", lambda x: functional.fold(x, (8, 9), (3, 3)), (2, 18, 42))
_module("pixel-shuffle", lambda: nn.PixelShuffle(2), SMALL)
_module("pixel-unshuffle", lambda: nn.PixelUnshuffle(2), SMALL)
_module("channel-shuffle", lambda: nn.ChannelShuffle(4), SMALL)

# ---- pooling and resizing ----------------------------------------------------------------------------------------

_module("max-pool1d", lambda: nn.MaxPool1d(3, stride=2), SIGNAL)
_module("max-pool2d", lambda: nn.MaxPool2d(2), IMAGE)
_module("max-pool2d-ceil", lambda: nn.MaxPool2d(3, stride=2, ceil_mode=True), (1, 8, 13, 15))
_module("max-pool2d-dilated", lambda: nn.MaxPool2d(2, stride=1, dilation=2), SMALL)
_module("max-pool2d-indices", lambda: nn.MaxPool2d(2, return_indices=True), SMALL)
_module("max-pool3d", lambda: nn.MaxPool3d(2), (2, 3, 6, 8, 8))
_module("avg-pool1d", lambda: nn.AvgPool1d(3, stride=2, padding=1), SIGNAL)
_module("avg-pool2d", lambda: nn.AvgPool2d(3, stride=2, padding=1), SMALL)
_module("avg-pool2d-excluding-pads", lambda: nn.AvgPool2d(3, padding=1, count_include_pad=False), SMALL)
_module("avg-pool2d-ceil", lambda: nn.AvgPool2d(3, stride=2, ceil_mode=True), (1, 8, 13, 15))
_module("avg-pool3d", lambda: nn.AvgPool3d(2), (2, 3, 6, 8, 8))
_module("lp-pool2d", lambda: nn.LPPool2d(2, 3, stride=2), SMALL)
_module("adaptive-avg-pool2d", lambda: nn.AdaptiveAvgPool2d(1), SMALL)
_module("adaptive-avg-pool2d-divisible", lambda: nn.AdaptiveAvgPool2d((5, 6)), SMALL)
_module("adaptive-max-pool2d", lambda: nn.AdaptiveMaxPool2d(1), SMALL)
_module("adaptive-avg-pool1d", lambda: nn.AdaptiveAvgPool1d(5), SIGNAL)
_function("upsample-nearest", lambda x: functional.interpolate(x, scale_factor=2, mode="nearest"), SMALL)
_function("upsample-bilinear", lambda x: functional.interpolate(x, scale_factor=2, mode="bilinear"), SMALL)
_function(
    "upsample-bilinear-aligned",
    lambda x: functional.interpolate(x, size=(17, 23), mode="bilinear", align_corners=True),
    SMALL,
)
_function("upsample-bicubic", lambda x: functional.interpolate(x, scale_factor=2, mode="bicubic"), SMALL)
_function("upsample-linear", lambda x: functional.interpolate(x, scale_factor=2, mode="linear"), SIGNAL)
_function("upsample-trilinear", lambda x: functional.interpolate(x, scale_factor=2, mode="trilinear"), (1, 2, 3, 4, 5))
_function("shrink-bilinear", lambda x: functional.interpolate(x, size=(5, 7), mode="bilinear"), SMALL)
_function("shrink-nearest", lambda x: functional.interpolate(x, size=(5, 7), mode="nearest"), SMALL)
_function("resize-to-another", lambda x, y: functional.interpolate(x, size=y.shape[2:]), SMALL, (1, 1, 20, 24))
_fed(
    "grid-sample",
    lambda: Function(lambda x, g: functional.grid_sample(x, g, align_corners=False)),
    lambda: (torch.randn(SMALL), torch.rand(2, 6, 7, 2) * 2 - 1),
)
_fed(
    "grid-sample-aligned-border",
    lambda: Function(lambda x, g: functional.grid_sample(x, g, padding_mode="border", align_corners=True)),
    lambda: (torch.randn(SMALL), torch.rand(2, 6, 7, 2) * 2.4 - 1.2),
)
_function("affine-grid", lambda t: functional.affine_grid(t, [2, 3, 5, 6], align_corners=False), (2, 2, 3))

# ---- activations -------------------------------------------------------------------------------------------------

for _name in [
    "relu",
    "relu6",
    "sigmoid",
    "tanh",
    "silu",
    "gelu",
    "mish",
    "elu",
    "selu",
    "celu",
    "softplus",
    "softsign",
    "tanhshrink",
    "hardtanh",
    "hardswish",
    "hardsigmoid",
    "logsigmoid",
    "leaky_relu",
    "hardshrink",
    "softshrink",
]:
    _function(_name.replace("_", "-"), getattr(functional, _name), SMALL)
_function("gelu-tanh", lambda x: functional.gelu(x, approximate="tanh"), SMALL)
_module("prelu", lambda: nn.PReLU(8), SMALL)
_module("prelu-shared", nn.PReLU, SMALL)
_function("glu", lambda x: functional.glu(x, dim=1), SMALL)
_function("threshold", lambda x: functional.threshold(x, 0.1, -2.0), SMALL)
_function("softmax", lambda x: functional.softmax(x, dim=-1), SEQUENCE)
_function("softmax-channels", lambda x: functional.softmax(x, dim=1), SMALL)
_function("log-softmax", lambda x: functional.log_softmax(x, dim=1), ROWS)
_function("softmin", lambda x: functional.softmin(x, dim=-1), ROWS)

# ---- normalisation -----------------------------------------------------------------------------------------------

_module("batch-norm1d", lambda: nn.BatchNorm1d(10).eval(), ROWS)
_module("batch-norm2d", lambda: nn.BatchNorm2d(8), SMALL)
_module("batch-norm2d-plain", lambda: nn.BatchNorm2d(8, affine=False), SMALL)
_module("instance-norm2d", lambda: nn.InstanceNorm2d(8, affine=True), SMALL)
_module("instance-norm1d", lambda: nn.InstanceNorm1d(4), SIGNAL)
_module("layer-norm", lambda: nn.LayerNorm(16), SEQUENCE)
_module("layer-norm-2", lambda: nn.LayerNorm((10, 12)), SMALL)
_module("group-norm", lambda: nn.GroupNorm(4, 8), SMALL)
_module("rms-norm", lambda: nn.RMSNorm(16), SEQUENCE)
_module("local-response-norm", lambda: nn.LocalResponseNorm(3), SMALL)
_function("normalize", lambda x: functional.normalize(x, dim=1), SMALL)
_function(
    "weight-standardised", lambda x: (x - x.mean((2, 3), keepdim=True)) / (x.std((2, 3), keepdim=True) + 1e-5), SMALL
)

# ---- linear, attention, recurrent --------------------------------------------------------------------------------

_module("linear", lambda: nn.Linear(10, 7), ROWS)
_module("linear-without-bias", lambda: nn.Linear(16, 5, bias=False), SEQUENCE)
_module("bilinear", lambda: nn.Bilinear(10, 6, 4), ROWS, (4, 6))
_module("flatten-linear", lambda: nn.Sequential(nn.Flatten(), nn.Linear(960, 5)), SMALL)
_function("matmul", torch.matmul, (2, 3, 4), (2, 4, 5))
_function("matmul-broadcast", torch.matmul, (2, 3, 4, 5), (5, 6))
_function("matmul-vector", torch.matmul, (3, 4), (4,))
_function("dot", torch.dot, (6,), (6,))
_function("bmm", torch.bmm, (2, 3, 4), (2, 4, 5))
_function("addmm", lambda b, x, w: torch.addmm(b, x, w, beta=0.5, alpha=2.0), (5,), (3, 4), (4, 5))
_function("einsum-attention", lambda q, k: torch.einsum("bhqd,bhkd->bhqk", q, k), (2, 3, 5, 4), (2, 3, 6, 4))
_function("einsum-outer", lambda a, b: torch.einsum("i,j->ij", a, b), (4,), (5,))
_function("einsum-three", lambda a, b, c: torch.einsum("ij,jk,kl->il", a, b, c), (2, 3), (3, 4), (4, 5))
_function("einsum-diagonal", lambda a: torch.einsum("bii->bi", a), (2, 4, 4))
_function("outer", torch.outer, (4,), (5,))
_function(
    "scaled-dot-product-attention", functional.scaled_dot_product_attention, (2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 4)
)
_function(
    "causal-attention",
    lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, is_causal=True),
    (2, 3, 5, 4),
    (2, 3, 5, 4),
    (2, 3, 5, 4),
)
_module(
    "transformer-encoder-layer",
    lambda: nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, dropout=0.0).eval(),
    SEQUENCE,
)
_module("lstm", lambda: First(nn.LSTM(16, 8, batch_first=True)), SEQUENCE)
_module("lstm-states", lambda: nn.LSTM(16, 8), (7, 2, 16))
_module("lstm-bidirectional", lambda: First(nn.LSTM(16, 8, bidirectional=True)), (7, 2, 16))
_module("lstm-two-layers", lambda: First(nn.LSTM(16, 8, num_layers=2, batch_first=True)), SEQUENCE)
_module("gru", lambda: First(nn.GRU(16, 8, batch_first=True)), SEQUENCE)
_module("gru-bidirectional", lambda: First(nn.GRU(16, 8, bidirectional=True)), (7, 2, 16))
_module("rnn", lambda: First(nn.RNN(16, 8, batch_first=True)), SEQUENCE)
_module("rnn-relu", lambda: First(nn.RNN(16, 8, nonlinearity="relu")), (7, 2, 16))
_module("lstm-cell", lambda: nn.LSTMCell(10, 6), ROWS)
_module("gru-cell", lambda: nn.GRUCell(10, 6), ROWS)
_fed("embedding", lambda: nn.Embedding(20, 8), lambda: (torch.randint(0, 20, (2, 7)),))
_fed("embedding-bag", lambda: nn.EmbeddingBag(20, 8, mode="mean"), lambda: (torch.randint(0, 20, (3, 5)),))

# ---- reductions --------------------------------------------------------------------------------------------------

_function("sum", lambda x: x.sum(dim=1), SMALL)
_function("sum-all", torch.sum, SMALL)
_function("mean-keepdim", lambda x: x.mean(dim=(2, 3), keepdim=True), SMALL)
_function("max-values", lambda x: x.max(dim=1)[0], SMALL)
_function("max-indices", lambda x: x.max(dim=1)[1], SMALL)
_function("amin", lambda x: x.amin(dim=(1, 2)), SMALL)
_function("prod", lambda x: x.prod(dim=1), ROWS)
_function("norm", lambda x: x.norm(dim=1), ROWS)
_function("norm-1", lambda x: x.norm(p=1, dim=1), ROWS)
_function("std", lambda x: x.std(dim=1), ROWS)
_function("var", lambda x: x.var(dim=(2, 3), unbiased=False), SMALL)
_function("logsumexp", lambda x: torch.logsumexp(x, dim=1), ROWS)
_function("argmax", lambda x: x.argmax(dim=1), ROWS)
_function("argmin-flat", lambda x: x.argmin(), ROWS)
_function("cumsum", lambda x: x.cumsum(dim=1), ROWS)
_function("cumprod", lambda x: x.cumprod(dim=1), ROWS)
_function("topk", lambda x: x.topk(3, dim=1), ROWS)
_function("sort", lambda x: x.sort(dim=1), ROWS)
_function("any", lambda x: (x > 1).any(dim=1), ROWS)
_function("all", lambda x: (x > -2).all(dim=1), ROWS)
_function("cosine-similarity", lambda x, y: functional.cosine_similarity(x, y, dim=1), ROWS, ROWS)
_function("pairwise-distance", functional.pairwise_distance, ROWS, ROWS)
_function("cdist", torch.cdist, (2, 5, 4), (2, 6, 4))

# ---- elementwise -------------------------------------------------------------------------------------------------

_PLAIN = "abs neg sign floor ceil round exp sin cos erf reciprocal trunc frac square"
for _name in _PLAIN.split():
    _function(_name, getattr(torch, _name), ROWS)
for _name in ["log", "sqrt", "rsqrt", "log2", "log1p", "log10"]:
    _fed(_name, lambda name=_name: Function(getattr(torch, name)), lambda: (torch.rand(ROWS) + 0.1,))  # type: ignore[misc]
for _name in ["asin", "acos", "atan", "sinh", "cosh", "asinh", "atanh", "tan"]:
    _fed(_name, lambda name=_name: Function(getattr(torch, name)), lambda: (torch.rand(ROWS) * 1.8 - 0.9,))  # type: ignore[misc]
for _name in ["add", "sub", "mul", "div", "maximum", "minimum"]:
    _function(f"{_name}-broadcast", getattr(torch, _name), SMALL, (8, 1, 1))
_function("atan2", torch.atan2, ROWS, ROWS)
_function("expm1", torch.expm1, ROWS)
_function("pow", lambda x: x.abs() ** 1.7, ROWS)
_function("pow-2", lambda x: x**2, ROWS)
_function("remainder", lambda x: torch.remainder(x, 0.7), ROWS)
_function("fmod", lambda x: torch.fmod(x, 0.7), ROWS)
_function("floor-divide", lambda x: torch.floor_divide(x, 0.3), ROWS)
_function("clamp", lambda x: x.clamp(-0.5, 0.8), ROWS)
_function("clamp-min", lambda x: x.clamp(min=0.1), ROWS)
_function("where", lambda x, y: torch.where(x > y, x, y * 2), ROWS, ROWS)
_function("comparisons", lambda x, y: ((x < y) & (x >= -y) | (x == y)).float(), ROWS, ROWS)
_function("less-equal", lambda x, y: (x <= y).to(torch.int64), ROWS, ROWS)
_function("masked-fill", lambda x: x.masked_fill(x > 0.5, -1e9), ROWS)
_function("lerp", lambda x, y: torch.lerp(x, y, 0.3), ROWS, ROWS)
_function("isnan", lambda x: torch.isnan(x).float(), ROWS)
_function("integers", lambda x: (x * 10).int() // 3 % 4, ROWS)
_function("cast-bool", lambda x: x.round().bool().float() + x.to(torch.uint8).float(), (3, 4))
_fed(
    "bitwise",
    lambda: Function(lambda x, y: (x & y) ^ (x | y)),
    lambda: (torch.randint(0, 100, (3, 4), dtype=torch.int32), torch.randint(0, 100, (3, 4), dtype=torch.int32)),
)

# ---- shapes and indices ------------------------------------------------------------------------------------------

_function("view-dynamic", lambda x: x.view(x.size(0), -1), SMALL)
_function("permute", lambda x: x.permute(0, 2, 3, 1).contiguous(), SMALL)
_function("transpose", lambda x: x.transpose(1, 2), SEQUENCE)
_function("squeeze-unsqueeze", lambda x: x.unsqueeze(1).squeeze(1).unsqueeze(-1), ROWS)
_function("flatten-unflatten", lambda x: x.flatten(1).unflatten(1, (8, 120)), SMALL)
_function("chunk", lambda x: torch.cat(x.chunk(2, dim=1)[::-1], dim=1), SMALL)
_function("split-uneven", lambda x: x.split([3, 4, 3], dim=1), ROWS)
_function("stack", lambda x, y: torch.stack((x, y), dim=1), ROWS, ROWS)
_function("expand", lambda x: x.unsqueeze(1).expand(-1, 3, -1), ROWS)
_function("repeat", lambda x: x.repeat(2, 3), ROWS)
_function("repeat-interleave", lambda x: x.repeat_interleave(2, dim=1), ROWS)
_function("tile", lambda x: x.tile((1, 2)), ROWS)
_function("flip", lambda x: x.flip(2, 3), SMALL)
_function("roll", lambda x: x.roll((2, -1), (2, 3)), SMALL)
_function("slice", lambda x: x[:, 1:-1:2, ::3], SMALL)
_function("slice-last", lambda x: x[..., -3:], SMALL)
_function("index-negative", lambda x: x[:, -1], SEQUENCE)
_function("narrow", lambda x: x.narrow(1, 2, 4), ROWS)
_function("index-select", lambda x: x.index_select(1, torch.tensor([3, 0, 7])), ROWS)
_function("fancy-index", lambda x: x[:, torch.tensor([3, 0, -1])], ROWS)
_fed(
    "gather",
    lambda: Function(lambda x, i: x.gather(1, i)),
    lambda: (torch.randn(ROWS), torch.randint(0, 10, (4, 3))),
)
_fed(
    "scatter",
    lambda: Function(lambda x, i, s: x.scatter(1, i, s)),
    lambda: (torch.randn(ROWS), torch.tensor([[0, 3, 5]] * 4), torch.randn(4, 3)),
)
_fed(
    "scatter-add",
    lambda: Function(lambda x, i, s: x.scatter_add(1, i, s)),
    lambda: (torch.randn(ROWS), torch.randint(0, 10, (4, 3)), torch.randn(4, 3)),
)
_fed("one-hot", lambda: Function(lambda i: functional.one_hot(i, 6).float()), lambda: (torch.randint(0, 6, (3, 4)),))
_function("pad-zero", lambda x: functional.pad(x, (1, 2, 3, 0)), SMALL)
_function("pad-value", lambda x: functional.pad(x, (1, 1), value=3.5), SEQUENCE)
_function("pad-negative", lambda x: functional.pad(x, (-1, 2)), SEQUENCE)
_function("pad-reflect", lambda x: functional.pad(x, (2, 1, 1, 2), mode="reflect"), SMALL)
_function("pad-replicate", lambda x: functional.pad(x, (2, 1, 1, 2), mode="replicate"), SMALL)
_function("tril", torch.tril, (5, 5))
_function("triu-1", lambda x: torch.triu(x, diagonal=1), (2, 4, 6))
_function("diagonal", lambda x: torch.diagonal(x, dim1=-2, dim2=-1), (2, 4, 4))
_function("arange-like", lambda x: x + torch.arange(x.size(1)), ROWS)
_function("full-like", lambda x: torch.full_like(x, 0.5) + torch.zeros_like(x) + torch.ones(x.shape), ROWS)
_function("linspace", lambda x: x * torch.linspace(0, 1, 10), ROWS)
_function("meshgrid", lambda x, y: torch.stack(torch.meshgrid(x, y, indexing="ij")), (3,), (4,))
_function("unbind", lambda x: x.unbind(1)[0] + x.unbind(1)[-1], ROWS)
_function("masked-positions", lambda x: x * (torch.arange(10) < 5).float(), ROWS)

# ---- blocks ------------------------------------------------------------------------------------------------------


class _SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return found


class _SqueezeExcite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 2, 1), nn.SiLU(), nn.Conv2d(2, 8, 1), nn.Hardsigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x * self.gate(x)
        return found


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.body(x))


class _Detector(nn.Module):
    """A YOLO-like head: sigmoid, grid, concatenated boxes."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(8, 14, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        y = self.head(x).view(batch, 2, 7, height, width).permute(0, 1, 3, 4, 2).sigmoid()
        grid = torch.stack(torch.meshgrid(torch.arange(width), torch.arange(height), indexing="xy"), -1).float()
        boxes = torch.cat(((y[..., :2] * 2 - 0.5 + grid) * 8, (y[..., 2:4] * 2) ** 2, y[..., 4:]), -1)
        return boxes.view(batch, -1, 7)


class _PositionalEncoding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        angles = torch.arange(20).unsqueeze(1) * torch.exp(torch.arange(0, 16, 2) * -0.5)
        self.register_buffer("table", torch.stack((angles.sin(), angles.cos()), -1).flatten(1))
        self.table: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table[: x.size(1)]


_module("multihead-attention", _SelfAttention, SEQUENCE)
_module("squeeze-excite", _SqueezeExcite, SMALL)
_module("residual", _Residual, SMALL)
_module("detector-head", _Detector, SMALL)
_module("positional-encoding", _PositionalEncoding, SEQUENCE)
_module(
    "small-classifier",
    lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5), nn.Softmax(1)
    ),
    IMAGE,
)
_module("mlp", lambda: nn.Sequential(nn.Linear(10, 20), nn.GELU(), nn.Dropout(0.1), nn.Linear(20, 3)), ROWS)

# ---- of popular networks -----------------------------------------------------------------------------------------

for _block, _shapes in {
    blocks.Fire: (SMALL,),
    blocks.InvertedResidual: (SMALL,),
    blocks.ShuffleUnit: (SMALL,),
    blocks.DenseLayer: (SMALL,),
    blocks.ConvNeXt: (SMALL,),
    blocks.ChannelAndSpatialAttention: (SMALL,),
    blocks.VisionTokens: (IMAGE,),
    blocks.WindowAttention: ((2, 8, 8, 8),),
    blocks.AtrousPyramid: (SMALL,),
    blocks.UpBlock: (SMALL, (2, 4, 21, 25)),
    blocks.SuperResolution: (IMAGE,),
    blocks.FlowWarp: (SMALL, (2, 2, 10, 12)),
    blocks.SpatialPyramid: (SMALL,),
    blocks.CrossStage: (SMALL,),
    blocks.FocusStem: (IMAGE,),
    blocks.DistributionHead: (SMALL, (2, 8, 20, 24)),
    blocks.FeaturePyramid: ((2, 8, 20, 24), SMALL),
    blocks.BoxDecoding: ((2, 20, 4), (2, 20, 3)),
    blocks.PeakDecoding: ((2, 3, 10, 12), (2, 2, 10, 12)),
    blocks.BestBoxes: ((2, 20, 4), (2, 20, 3)),
    blocks.Overlaps: ((5, 2), (6, 2)),
    blocks.SoftArgmax: (SMALL,),
    blocks.Margins: (ROWS,),
    blocks.LogMel: ((2, 400),),
    blocks.ConformerConvolution: (SEQUENCE,),
    blocks.GatedWave: (SIGNAL,),
    blocks.KeywordSpotter: ((2, 20, 12),),
    blocks.DecoderLayer: (SEQUENCE, (2, 5, 16)),
    blocks.GroupedAttention: ((2, 3, 16), (2, 2, 5, 4), (2, 2, 5, 4)),
    blocks.RelativeBias: ((2, 4, 5, 3), (2, 4, 6, 3), (2, 4, 6, 3)),
    blocks.Experts: (SEQUENCE,),
    blocks.KernelAttention: ((2, 3, 5, 4), (2, 3, 5, 4), (2, 3, 5, 4)),
    blocks.GraphConvolution: ((2, 7, 6), (2, 7, 7)),
}.items():
    _module("".join(f"-{c.lower()}" if c.isupper() else c for c in _block.__name__).lstrip("-"), _block, *_shapes)
_fed(
    "padded-encoder",
    blocks.PaddedEncoder,
    lambda: (torch.randint(0, 20, (2, 7)), torch.tensor([[1] * 7, [1] * 5 + [0] * 2])),
)
