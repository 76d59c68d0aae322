"""Networks for signals, tables and control: recurrent ones with their states, spectra, graphs, policies."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Streaming(nn.Module):
    """An LSTM that hands its states on."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(12, 16, batch_first=True), nn.Linear(16, 1)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y, (h, c) = self.lstm(x, (h, c))
        return torch.sigmoid(self.head(y)), h, c


class StreamingGru(nn.Module):
    """A GRU that hands its state on."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.head = nn.GRU(12, 16), nn.Linear(16, 3)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        y, state = self.gru(x, state)
        return self.head(y), state


class StreamingConvolution(nn.Module):
    """A convolution that keeps the last samples."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv1d(4, 8, 5)

    def forward(self, x: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        whole = torch.cat((cache, x), 2)
        return torch.tanh(self.layer(whole)), whole[:, :, -4:]


class Recogniser(nn.Module):
    """Columns of a line of text to characters."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, 1, 1), nn.ReLU()
        )
        self.lstm, self.head = nn.LSTM(16 * 8, 16, bidirectional=True), nn.Linear(32, 20)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x).permute(3, 0, 1, 2).flatten(2)
        found: Tensor = torch.softmax(self.head(self.lstm(y)[0]), -1)
        return found


class Spectrum(nn.Module):
    """Samples to the logarithm of bands."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = nn.Conv1d(1, 32, 64, 32, bias=False)
        self.bands = nn.Parameter(torch.rand(8, 32))

    def forward(self, wave: Tensor) -> Tensor:
        power = self.frames(wave[:, None, :]) ** 2
        return torch.log(torch.clamp(self.bands @ power, min=1e-5))


class Temporal(nn.Module):
    """Dilated convolutions over steps."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv1d(6, 6, 3, padding=2**k, dilation=2**k) for k in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + torch.relu(layer(x))
        return x


class GraphConvolution(nn.Module):
    """Features of nodes and an adjacency matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 16), nn.Linear(16, 3)

    def forward(self, features: Tensor, adjacency: Tensor) -> Tensor:
        found: Tensor = self.second(adjacency @ torch.relu(self.first(adjacency @ features)))
        return functional.log_softmax(found, -1)


class GraphEdges(nn.Module):
    """Features of nodes, and edges as pairs of nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(10, 4)

    def forward(self, features: Tensor, source: Tensor, target: Tensor) -> Tensor:
        found: Tensor = torch.tanh(self.dense(torch.cat((features[source], features[target]), 1)))
        return found


class Policy(nn.Module):
    """Observations to an action; the spread is bounded."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.mean, self.spread = nn.Linear(8, 32), nn.Linear(32, 2), nn.Linear(32, 2)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.relu(self.body(torch.clamp(observation, -10.0, 10.0)))
        return torch.tanh(self.mean(x)), torch.exp(torch.clamp(self.spread(x), -5.0, 2.0))


class PointNet(nn.Module):
    """Points without an order."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(3, 16, 1), nn.ReLU(), nn.Conv1d(16, 32, 1))
        self.head = nn.Linear(32, 5)

    def forward(self, points: Tensor) -> Tensor:
        found: Tensor = self.head(self.layers(points).amax(2))
        return found


class Entropy(nn.Module):
    """The cross entropy of given probabilities with those of a model."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(6, 3)

    def forward(self, x: Tensor, p: Tensor) -> Tensor:
        q = torch.sigmoid(self.dense(x))
        return -(p * torch.log(q + 1e-7) + (1 - p) * torch.log(1 - q + 1e-7)) + p * torch.log(p + 1e-7)


class Tabular(nn.Module):
    """Rows of a table, centred and scaled by stored statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(9)
        self.layers = nn.Sequential(nn.Linear(9, 16), nn.SiLU(), nn.Linear(16, 2))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layers(self.norm(x))
        return found


def _drawn(**shapes: tuple[int, ...]) -> Any:
    return lambda: {name: torch.randn(shape) for name, shape in shapes.items()}


SIGNALS: dict[str, tuple[Any, ...]] = {
    "streaming-lstm": (Streaming, _drawn(x=(1, 4, 12), h=(1, 1, 16), c=(1, 1, 16)), {}),
    "streaming-gru": (StreamingGru, _drawn(x=(4, 1, 12), state=(1, 1, 16)), {}),
    "streaming-convolution": (StreamingConvolution, _drawn(x=(1, 4, 20), cache=(1, 4, 4)), {"x": {2: "steps"}}),
    "recogniser": (Recogniser, _drawn(x=(1, 1, 16, 48)), {}),
    "spectrum": (Spectrum, _drawn(wave=(1, 640)), {"wave": {0: "batch", 1: "samples"}}),
    "temporal": (Temporal, _drawn(x=(1, 6, 30)), {"x": {0: "batch", 2: "steps"}}),
    "graph-convolution": (
        GraphConvolution,
        lambda: {"features": torch.randn(7, 5), "adjacency": torch.rand(7, 7)},
        {"features": {0: "nodes"}, "adjacency": {0: "nodes", 1: "nodes"}},
    ),
    "graph-edges": (
        GraphEdges,
        lambda: {
            "features": torch.randn(7, 5),
            "source": torch.randint(0, 7, (9,)),
            "target": torch.randint(0, 7, (9,)),
        },
        {"features": {0: "nodes"}, "source": {0: "edges"}, "target": {0: "edges"}},
    ),
    "policy": (Policy, _drawn(observation=(1, 8)), {"observation": {0: "batch"}}),
    "point-net": (PointNet, _drawn(points=(1, 3, 40)), {"points": {0: "batch", 2: "points"}}),
    "entropy": (Entropy, lambda: {"x": torch.randn(2, 6), "p": torch.rand(2, 3)}, {"x": {0: "n"}, "p": {0: "n"}}),
    "tabular": (Tabular, _drawn(x=(4, 9)), {"x": {0: "batch"}}),
}
"""Builder, inputs and dynamic axes by name."""
