"""The blocks that popular networks are made of: classifiers, detectors and what follows them, speech, transformers.

Written after the papers, in the way in which their code is usually exported.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv(inputs: int, outputs: int, size: int = 3, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, normalisation and SiLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.SiLU(),
    )


# ---- images ------------------------------------------------------------------------------------------------------


class Fire(nn.Module):
    """SqueezeNet."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(8, 4, 1)
        self.ones = nn.Conv2d(4, 8, 1)
        self.threes = nn.Conv2d(4, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.squeeze(x))
        return torch.cat((functional.relu(self.ones(x)), functional.relu(self.threes(x))), 1)


class InvertedResidual(nn.Module):
    """MobileNetV3 with squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(8, 24, 1, bias=False), nn.BatchNorm2d(24), nn.Hardswish())
        self.depth = nn.Sequential(
            nn.Conv2d(24, 24, 5, padding=2, groups=24, bias=False), nn.BatchNorm2d(24), nn.Hardswish()
        )
        self.gate = nn.Sequential(nn.Linear(24, 8), nn.ReLU(), nn.Linear(8, 24), nn.Hardsigmoid())
        self.project = nn.Sequential(nn.Conv2d(24, 8, 1, bias=False), nn.BatchNorm2d(8))

    def forward(self, x: Tensor) -> Tensor:
        y = self.depth(self.expand(x))
        gate = self.gate(y.mean((2, 3)))
        found: Tensor = x + self.project(y * gate[:, :, None, None])
        return found


class ShuffleUnit(nn.Module):
    """ShuffleNetV2, stride 1."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(conv(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1, groups=4), conv(4, 4, 1))

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, dim=1)
        y = torch.cat((kept, self.branch(changed)), dim=1)
        batch, channels, height, width = y.shape
        return y.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, -1, height, width)


class DenseLayer(nn.Module):
    """DenseNet."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = torch.cat((x, self.body(x)), 1)
        return found


class ConvNeXt(nn.Module):
    """ConvNeXt: depthwise, LayerNorm over channels, layer scale."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm = nn.LayerNorm(8, eps=1e-6)
        self.body = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8))
        self.scale = nn.Parameter(torch.full((8,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        found: Tensor = x + (self.scale * self.body(y)).permute(0, 3, 1, 2)
        return found


class ChannelAndSpatialAttention(nn.Module):
    """CBAM."""

    def __init__(self) -> None:
        super().__init__()
        self.channels = nn.Sequential(nn.Conv2d(8, 2, 1, bias=False), nn.ReLU(), nn.Conv2d(2, 8, 1, bias=False))
        self.space = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pooled = functional.adaptive_avg_pool2d(x, 1), functional.adaptive_max_pool2d(x, 1)
        x = x * torch.sigmoid(sum(self.channels(each) for each in pooled))
        planes = torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), 1)
        return x * torch.sigmoid(self.space(planes))


class VisionTokens(nn.Module):
    """ViT: patches, class token, positions, one block, the head."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.positions = nn.Parameter(torch.randn(1, 17, 16))
        self.block = nn.TransformerEncoderLayer(16, 4, 32, 0.0, "gelu", batch_first=True, norm_first=True)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(x.shape[0], -1, -1), x), 1) + self.positions
        found: Tensor = self.head(self.block(x)[:, 0])
        return found


class WindowAttention(nn.Module):
    """Swin: shifted windows of 4x4 with a table of biases, and the mask of the shift."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.bias = nn.Parameter(torch.randn(2, 16, 16))
        region = torch.zeros(8, 8)
        for number, (rows, columns) in enumerate(
            (a, b) for a in (slice(0, 4), slice(4, 6), slice(6, 8)) for b in (slice(0, 4), slice(4, 6), slice(6, 8))
        ):
            region[rows, columns] = number
        parts = region.view(2, 4, 2, 4).transpose(1, 2).reshape(4, 16)
        self.mask = nn.Buffer((parts.unsqueeze(1) != parts.unsqueeze(2)).float() * -100.0)

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        x = torch.roll(x, (-2, -2), (1, 2))
        x = x.view(batch, height // 4, 4, width // 4, 4, channels).transpose(2, 3).reshape(-1, 16, channels)
        q, k, v = self.qkv(x).reshape(-1, 16, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        scores = q @ k.transpose(-2, -1) * 0.5 + self.bias
        scores = (scores.view(batch, 4, 2, 16, 16) + self.mask[None, :, None]).view(-1, 2, 16, 16)
        x = (scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, 4, 4, channels)
        x = x.view(batch, height // 4, width // 4, 4, 4, channels).transpose(2, 3).reshape(batch, height, width, -1)
        return torch.roll(x, (2, 2), (1, 2))


class AtrousPyramid(nn.Module):
    """DeepLab: dilated branches and the global one, resized back."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(8, 4, 3, padding=rate, dilation=rate) for rate in (1, 2, 3))
        self.pooled = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        whole = self.pooled(functional.adaptive_avg_pool2d(x, 1))
        whole = functional.interpolate(whole, size=x.shape[-2:], mode="bilinear", align_corners=False)
        return torch.cat([*(branch(x) for branch in self.branches), whole], 1)


class UpBlock(nn.Module):
    """U-Net: transposed convolution, pads to the skip's size, concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.body = conv(8, 4)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)
        high, wide = skip.size(2) - x.size(2), skip.size(3) - x.size(3)
        x = functional.pad(x, [wide // 2, wide - wide // 2, high // 2, high - high // 2])
        found: Tensor = self.body(torch.cat((skip, x), 1))
        return found


class SuperResolution(nn.Module):
    """ESPCN on top of a bicubic enlargement."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.Tanh(), nn.Conv2d(8, 12, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        large = functional.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)
        return (functional.pixel_shuffle(self.body(x), 2) + large).clamp(0, 1)


class FlowWarp(nn.Module):
    """Optical flow: an image sampled where the flow points."""

    def forward(self, image: Tensor, flow: Tensor) -> Tensor:
        _, _, height, width = image.shape
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        places = torch.stack((columns, rows)).float() + flow
        grid = torch.stack((places[:, 0] * 2 / (width - 1) - 1, places[:, 1] * 2 / (height - 1) - 1), -1)
        return functional.grid_sample(image, grid, align_corners=True)


# ---- detectors and what follows them -----------------------------------------------------------------------------


class SpatialPyramid(nn.Module):
    """YOLOv5: SPPF."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = conv(8, 4, 1), conv(16, 8, 1)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        y = self.pool(x)
        z = self.pool(y)
        found: Tensor = self.last(torch.cat((x, y, z, self.pool(z)), 1))
        return found


class CrossStage(nn.Module):
    """YOLOv8: C2f."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = conv(8, 8, 1), conv(16, 8, 1)
        self.body = nn.ModuleList(nn.Sequential(conv(4, 4), conv(4, 4)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        y = list(self.first(x).chunk(2, 1))
        for block in self.body:
            y.append(y[-1] + block(y[-1]))
        found: Tensor = self.last(torch.cat(y, 1))
        return found


class FocusStem(nn.Module):
    """YOLOX: pixels of a 2x2 block become channels by strided slices."""

    def __init__(self) -> None:
        super().__init__()
        self.body = conv(12, 8)

    def forward(self, x: Tensor) -> Tensor:
        corners = x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]
        found: Tensor = self.body(torch.cat(corners, 1))
        return found


class DistributionHead(nn.Module):
    """YOLOv8: boxes as expectations over 8 bins of two levels, decoded from anchor points, with class scores."""

    def __init__(self) -> None:
        super().__init__()
        self.box, self.score = nn.Conv2d(8, 32, 1), nn.Conv2d(8, 3, 1)
        self.bins = nn.Buffer(torch.arange(8.0).view(1, 8, 1, 1))

    def forward(self, small: Tensor, large: Tensor) -> Tensor:
        levels, points, strides = [], [], []
        for x, stride in ((large, 8.0), (small, 16.0)):
            height, width = x.shape[2:]
            levels.append(torch.cat((self.box(x), self.score(x)), 1).flatten(2))
            rows, columns = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
            points.append(torch.stack((columns, rows), 0).flatten(1))
            strides.append(torch.full((1, height * width), stride))
        boxes, scores = torch.split(torch.cat(levels, 2), [32, 3], 1)
        spread = boxes.view(boxes.shape[0], 4, 8, -1).transpose(1, 2).softmax(1)
        near, far = (spread * self.bins).sum(1).chunk(2, 1)
        start, end = torch.cat(points, 1) - near, torch.cat(points, 1) + far
        boxes = torch.cat(((start + end) / 2, end - start), 1) * torch.cat(strides, 1)
        return torch.cat((boxes, scores.sigmoid()), 1)


class FeaturePyramid(nn.Module):
    """FPN, top down."""

    def __init__(self) -> None:
        super().__init__()
        self.sides = nn.ModuleList(nn.Conv2d(8, 4, 1) for _ in range(2))
        self.outs = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(2))

    def forward(self, large: Tensor, small: Tensor) -> tuple[Tensor, Tensor]:
        top = self.sides[1](small)
        bottom = self.sides[0](large) + functional.interpolate(top, size=large.shape[-2:], mode="nearest")
        return self.outs[0](bottom), self.outs[1](top)


class BoxDecoding(nn.Module):
    """SSD: offsets from prior boxes to corners, and the softmax of the scores."""

    def __init__(self) -> None:
        super().__init__()
        self.priors = nn.Buffer(torch.rand(20, 4) + 0.1)

    def forward(self, offsets: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        centres = self.priors[:, :2] + offsets[..., :2] * 0.1 * self.priors[:, 2:]
        sizes = self.priors[:, 2:] * torch.exp(offsets[..., 2:] * 0.2)
        return torch.cat((centres - sizes / 2, centres + sizes / 2), -1), scores.softmax(-1)


class PeakDecoding(nn.Module):
    """CenterNet: local maxima of a heat map, the best ten, and the offsets found there."""

    def forward(self, heat: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, _, _, width = heat.shape
        heat = heat.sigmoid()
        heat = heat * (functional.max_pool2d(heat, 3, 1, 1) == heat).float()
        scores, places = heat.view(batch, -1).topk(10)
        pixels = places % (heat.shape[2] * width)
        found = offsets.flatten(2).gather(2, pixels.unsqueeze(1).expand(-1, 2, -1))
        columns, rows = pixels % width, torch.div(pixels, width, rounding_mode="floor")
        return scores, columns.float() + found[:, 0], rows.float() + found[:, 1]


class BestBoxes(nn.Module):
    """The boxes of the best scores, by index."""

    def forward(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values, labels = scores.max(-1)
        best, places = values.topk(5, dim=1)
        chosen = torch.gather(boxes, 1, places.unsqueeze(-1).repeat(1, 1, 4))
        return chosen, best, labels.gather(1, places)


class Overlaps(nn.Module):
    """Intersection over union of all pairs of boxes."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        a, b = torch.cat((first, first + 1), 1).abs().sort(1)[0], torch.cat((second, second + 1), 1).abs().sort(1)[0]
        start, end = torch.max(a[:, None, :2], b[None, :, :2]), torch.min(a[:, None, 2:], b[None, :, 2:])
        shared = (end - start).clamp(min=0).prod(-1)
        sizes = (a[:, 2:] - a[:, :2]).prod(-1)[:, None] + (b[:, 2:] - b[:, :2]).prod(-1)
        return shared / (sizes - shared)


class SoftArgmax(nn.Module):
    """Key points as the expected place of a heat map."""

    def forward(self, heat: Tensor) -> Tensor:
        height, width = heat.shape[2:]
        shares = heat.flatten(2).softmax(-1).view_as(heat)
        columns = (shares.sum(2) * torch.linspace(0, 1, width)).sum(-1)
        rows = (shares.sum(3) * torch.linspace(0, 1, height)).sum(-1)
        return torch.stack((columns, rows), -1)


class Margins(nn.Module):
    """Face recognition: cosines between normalised embeddings and class centres."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 10))

    def forward(self, x: Tensor) -> Tensor:
        return 30.0 * functional.linear(functional.normalize(x), functional.normalize(self.weight))


# ---- speech ------------------------------------------------------------------------------------------------------


class LogMel(nn.Module):
    """Spectrum by a convolution with cosines and sines, mel bands, logarithm, mean and deviation removed."""

    def __init__(self) -> None:
        super().__init__()
        angles = torch.arange(33).unsqueeze(1) * torch.arange(64) * (2 * math.pi / 64)
        window = torch.hann_window(64)
        self.basis = nn.Buffer(torch.cat((angles.cos() * window, angles.sin() * window)).unsqueeze(1))
        self.bands = nn.Buffer(torch.rand(33, 12))

    def forward(self, signal: Tensor) -> Tensor:
        signal = functional.pad(signal.unsqueeze(1), (32, 32), mode="reflect")
        real, imaginary = functional.conv1d(signal, self.basis, stride=16).chunk(2, 1)
        mel = torch.log((real**2 + imaginary**2).transpose(1, 2) @ self.bands + 1e-6)
        return (mel - mel.mean(1, keepdim=True)) / (mel.std(1, keepdim=True) + 1e-5)


class ConformerConvolution(nn.Module):
    """Conformer: pointwise with GLU, depthwise, normalisation, SiLU."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(16)
        self.first, self.last = nn.Conv1d(16, 32, 1), nn.Conv1d(16, 16, 1)
        self.depth = nn.Sequential(nn.Conv1d(16, 16, 5, padding=2, groups=16), nn.BatchNorm1d(16), nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        y = functional.glu(self.first(self.norm(x).transpose(1, 2)), dim=1)
        found: Tensor = x + self.last(self.depth(y)).transpose(1, 2)
        return found


class GatedWave(nn.Module):
    """WaveNet: causal dilated convolutions with tanh and sigmoid gates, residual and skip paths."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.ModuleList(nn.Conv1d(4, 8, 2, dilation=rate) for rate in (1, 2, 4))
        self.mixes = nn.ModuleList(nn.Conv1d(4, 4, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        skips = torch.zeros_like(x)
        for rate, layer, mix in zip((1, 2, 4), self.filters, self.mixes, strict=True):
            left, right = layer(functional.pad(x, (rate, 0))).chunk(2, 1)
            y = mix(torch.tanh(left) * torch.sigmoid(right))
            x, skips = x + y, skips + y
        return functional.relu(skips)


class KeywordSpotter(nn.Module):
    """Convolution over time and frequency, GRU, mean and deviation over time."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, (3, 3), stride=(2, 1), padding=1)
        self.gru = nn.GRU(48, 8, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.conv(x.unsqueeze(1))).permute(0, 2, 1, 3).flatten(2)
        states = self.gru(y)[0]
        found: Tensor = self.head(torch.cat((states.mean(1), states.std(1)), -1)).log_softmax(-1)
        return found


# ---- transformers ------------------------------------------------------------------------------------------------


class PaddedEncoder(nn.Module):
    """BERT: token and position embeddings, a mask of padding, the pooled first token."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(20, 16), nn.Embedding(12, 16)
        self.norm, self.out = nn.LayerNorm(16, eps=1e-12), nn.Linear(16, 16)
        self.qkv = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        batch, length = tokens.shape
        x = self.norm(self.words(tokens) + self.places(torch.arange(length).unsqueeze(0)))
        q, k, v = (layer(x).view(batch, length, 4, 4).permute(0, 2, 1, 3) for layer in self.qkv)
        hidden = (1.0 - mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        y = (q @ k.transpose(-1, -2) / 2.0 + hidden).softmax(-1) @ v
        found: Tensor = torch.tanh(self.out(y.permute(0, 2, 1, 3).contiguous().view(batch, length, 16)[:, 0]))
        return found


class DecoderLayer(nn.Module):
    """torch's own decoder layer with a causal mask."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerDecoderLayer(16, 4, 32, 0.0, batch_first=True)
        self.mask = nn.Buffer(torch.full((7, 7), float("-inf")).triu(1))

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        found: Tensor = self.layer(x, memory, tgt_mask=self.mask)
        return found


class GroupedAttention(nn.Module):
    """Llama: rotary embedding, grouped heads, keys and values of earlier tokens, RMS normalisation, SwiGLU."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(16) + 0.5)
        self.q, self.kv, self.out = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16)
        self.gate, self.up, self.down = nn.Linear(16, 24), nn.Linear(16, 24), nn.Linear(24, 16)
        angles = torch.arange(9).unsqueeze(1) * 10000 ** (-torch.arange(0, 4, 2) / 4)
        self.cosines, self.sines = nn.Buffer(angles.cos().repeat(1, 2)), nn.Buffer(angles.sin().repeat(1, 2))

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, length, _ = x.shape
        past = keys.shape[2]
        y = self.normalised(x)
        q = self.rotated(self.q(y).view(batch, length, 4, 4).transpose(1, 2), past)
        k, v = self.kv(y).view(batch, length, 2, 8).transpose(1, 2).chunk(2, -1)
        keys, values = torch.cat((keys, self.rotated(k, past)), 2), torch.cat((values, v), 2)
        k, v = (each[:, :, None].expand(-1, -1, 2, -1, -1).reshape(batch, 4, -1, 4) for each in (keys, values))
        ahead = torch.ones(length, past + length, dtype=torch.bool).triu(past + 1)
        scores = (q @ k.transpose(2, 3) * 0.5).masked_fill(ahead, float("-inf"))
        x = x + self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, 16))
        y = self.normalised(x)
        return x + self.down(functional.silu(self.gate(y)) * self.up(y)), keys, values

    def normalised(self, x: Tensor) -> Tensor:
        """RMS normalisation as Llama's code writes it."""
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))

    def rotated(self, x: Tensor, past: int) -> Tensor:
        """Rotary embedding by halves."""
        cosines, sines = self.cosines[past : past + x.shape[2]], self.sines[past : past + x.shape[2]]
        return x * cosines + torch.cat((-x[..., 2:], x[..., :2]), -1) * sines


class RelativeBias(nn.Module):
    """T5: attention with a bias by the bucket of the distance."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(8, 4)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        distance = torch.arange(k.shape[2])[None, :] - torch.arange(q.shape[2])[:, None]
        far = 2 + (torch.log(distance.abs().clamp(min=1).float() / 2) / math.log(8.0) * 2).long()
        bucket = (distance > 0).long() * 4 + torch.where(distance.abs() < 2, distance.abs(), far.clamp(max=3))
        bias = self.table(bucket).permute(2, 0, 1).unsqueeze(0)
        found: Tensor = (q @ k.transpose(-2, -1) + bias).softmax(-1) @ v
        return found


class Experts(nn.Module):
    """A mixture of experts: the two best of four, all computed, weighted by the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(16, 4, bias=False)
        self.weight = nn.Parameter(torch.randn(4, 16, 8) * 0.2)

    def forward(self, x: Tensor) -> Tensor:
        shares, chosen = self.gate(x).softmax(-1).topk(2, dim=-1)
        weights = torch.zeros(*x.shape[:-1], 4).scatter(-1, chosen, shares / shares.sum(-1, keepdim=True))
        return torch.einsum("ble,edk,bld->blk", weights, self.weight, x)


class KernelAttention(nn.Module):
    """Linear attention with elu + 1."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k = functional.elu(q) + 1, functional.elu(k) + 1
        state = torch.einsum("bhld,bhlm->bhmd", k, v)
        scale = 1 / (torch.einsum("bhld,bhd->bhl", q, k.sum(2)) + 1e-6)
        return torch.einsum("bhld,bhmd,bhl->bhlm", q, state, scale)


class GraphConvolution(nn.Module):
    """Neighbours averaged by a normalised adjacency matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 5)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        adjacency = (adjacency > 0).float() + torch.eye(x.shape[1])
        degree = adjacency.sum(-1).pow(-0.5)
        return functional.relu(degree.unsqueeze(-1) * adjacency * degree.unsqueeze(-2) @ self.linear(x))
