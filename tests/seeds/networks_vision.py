"""Networks for images and what surrounds them: UNets, detectors, classifiers with their normalisation, generators."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_OPEN = {0: "batch", 2: "height", 3: "width"}


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class UNet(nn.Module):
    """Two levels; with an embedding of time if it denoises."""

    def __init__(self, *, has_time: bool) -> None:
        super().__init__()
        self.first, self.second, self.third = _block(3, 8), _block(8, 16), _block(24, 8)
        self.out = nn.Conv2d(8, 3, 1)
        self.time = nn.Linear(16, 16) if has_time else None

    def forward(self, x: Tensor, timestep: Tensor | None = None) -> Tensor:
        wide = self.first(x)
        deep = self.second(functional.max_pool2d(wide, 2))
        if self.time is not None and timestep is not None:
            angles = timestep.float()[:, None] * torch.exp(-torch.arange(8) * 0.5)[None]
            deep = deep + self.time(torch.cat((torch.sin(angles), torch.cos(angles)), 1))[:, :, None, None]
        up = functional.interpolate(deep, scale_factor=2.0, mode="nearest")
        found: Tensor = self.out(self.third(torch.cat((up, wide), 1)))
        return found


class PixelClassifier(nn.Module):
    """The normalisation of pixels is a part of it."""

    def __init__(self, *, by_mean: bool) -> None:
        super().__init__()
        self.by_mean = by_mean
        self.body = nn.Sequential(_block(3, 8, 2), _block(8, 16, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(16, 10)

    def forward(self, image: Tensor) -> Tensor:
        if self.by_mean:
            mean = torch.tensor([123.675, 116.28, 103.53]).reshape(1, 3, 1, 1)
            x = (image - mean) / torch.tensor([58.395, 57.12, 57.375]).reshape(1, 3, 1, 1)
        else:
            x = image / 255.0
        return torch.softmax(self.head(self.body(x)), -1)


class Detector(nn.Module):
    """Boxes and scores of one scale, decoded on a grid."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Sequential(_block(3, 8, 2), _block(8, 16, 2)), nn.Conv2d(16, 9, 1)
        rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
        self.grid: Tensor
        self.register_buffer("grid", torch.stack((columns, rows)).float().reshape(1, 2, 256))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = self.head(self.body(x)).flatten(2)
        centre = (torch.sigmoid(found[:, :2]) + self.grid) * 4
        size = torch.exp(found[:, 2:4].clamp(max=4.0)) * 8
        boxes = torch.cat((centre - size / 2, centre + size / 2), 1)
        return boxes.transpose(1, 2), torch.sigmoid(found[:, 4:]).transpose(1, 2)


class MobileBlock(nn.Module):
    """MobileNetV2."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1),
            nn.ReLU6(),
            nn.Conv2d(16, 16, 3, 1, 1, groups=16),
            nn.BatchNorm2d(16),
            nn.ReLU6(),
            nn.Conv2d(16, 8, 1),
        )
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.layers(x).mean((2, 3)))
        return found


class Vit(nn.Module):
    """Patches and a stored table of positions."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.positions = nn.Conv2d(3, 32, 8, 8), nn.Parameter(torch.randn(1, 16, 32) * 0.02)
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, dropout=0.0)
        self.head = nn.Linear(32, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        found: Tensor = self.head(self.layer(x).mean(1))
        return found


class Residual(nn.Module):
    """ResNet in small."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one, self.two = _block(3, 16, 2), _block(16, 16), _block(16, 16)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.two(self.one(x))
        found: Tensor = self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))
        return found


class SuperResolution(nn.Module):
    """Open sizes, twice as many pixels a side."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 16, 5, padding=2), nn.Conv2d(16, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.clamp(functional.pixel_shuffle(self.second(torch.tanh(self.first(x))), 2), 0.0, 1.0)


class Generator(nn.Module):
    """Latent numbers to an image."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(16, 8 * 4 * 4)
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Sigmoid()
        )

    def forward(self, z: Tensor) -> Tensor:
        found: Tensor = self.layers(self.dense(z).reshape(-1, 8, 4, 4))
        return found


class Prompted(nn.Module):
    """Segmentation of what points and labels tell."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.labels, self.points = nn.Conv2d(3, 16, 4, 4), nn.Embedding(3, 16), nn.Linear(2, 16)

    def forward(self, image: Tensor, points: Tensor, labels: Tensor) -> Tensor:
        pixels = self.body(image).flatten(2)
        tokens = self.points(points / 32.0) + self.labels(labels)
        return torch.sigmoid(tokens @ pixels).reshape(image.shape[0], -1, 8, 8)


def _image(*shape: int) -> Any:
    return lambda: {"x": torch.randn(shape)}


VISION: dict[str, tuple[Any, ...]] = {
    "unet": (lambda: UNet(has_time=False), _image(1, 3, 32, 32), {"x": _OPEN}),
    "unet-timestep": (
        lambda: UNet(has_time=True),
        lambda: {"x": torch.randn(1, 3, 32, 32), "timestep": torch.tensor([7])},
        {"x": _OPEN, "timestep": {0: "batch"}},
    ),
    "pixels-by-255": (
        lambda: PixelClassifier(by_mean=False),
        lambda: {"image": torch.rand(1, 3, 32, 32) * 255},
        {"image": _OPEN},
    ),
    "pixels-by-mean": (
        lambda: PixelClassifier(by_mean=True),
        lambda: {"image": torch.rand(1, 3, 32, 32) * 255},
        {"image": {0: "batch"}},
    ),
    "detector": (Detector, _image(1, 3, 64, 64), {"x": {0: "batch"}}),
    "mobile-block": (MobileBlock, _image(1, 3, 32, 32), {"x": {0: "batch"}}),
    "vit": (Vit, _image(1, 3, 32, 32), {}),
    "residual": (Residual, _image(1, 3, 32, 32), {"x": _OPEN}),
    "super-resolution": (SuperResolution, _image(1, 1, 16, 20), {"x": _OPEN}),
    "generator": (Generator, lambda: {"z": torch.randn(1, 16)}, {"z": {0: "batch"}}),
    "prompted-segmentation": (
        Prompted,
        lambda: {
            "image": torch.randn(1, 3, 32, 32),
            "points": torch.rand(1, 2, 2) * 32,
            "labels": torch.tensor([[0, 2]]),
        },
        {"points": {1: "points"}, "labels": {1: "points"}},
    ),
}
"""Builder, inputs and dynamic axes by name."""
