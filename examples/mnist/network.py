"""The digit classifier of a 2019 tutorial, with its head in two forms that compute the same function.

Features, shared by both (``image``: float32 ``[N, 1, 28, 28]``):

    conv 5x5, 1 -> 20   [N, 20, 24, 24]    BatchNorm2d, ReLU, MaxPool 2   [N, 20, 12, 12]
    conv 5x5, 20 -> 50  [N, 50, 8, 8]      BatchNorm2d, ReLU, MaxPool 2   [N, 50, 4, 4]

The fully connected head flattens the 50 x 4 x 4 features to 800 and applies two `Linear` layers. The convolution head
never flattens them: a 4 x 4 convolution over a 4 x 4 map *is* the first `Linear`, and a 1 x 1 convolution over the
1 x 1 map that it leaves is the second one. See `ConvolutionHead.from_fully_connected` for the algebra.
"""

import copy
from collections import OrderedDict
from typing import Self

import torch
from torch import Tensor, nn

IMAGE_SHAPE = (1, 28, 28)
"""Channels, height and width of one input image."""

FEATURE_SHAPE = (50, 4, 4)
"""Channels, height and width of what the feature extractor hands to a head."""

HIDDEN = 500
CLASSES = 10
DROPOUT = 0.5


def feature_extractor() -> nn.Sequential:
    """Build the convolutional part: float32 ``[N, 1, 28, 28]`` -> float32 ``[N, 50, 4, 4]``."""
    channels = FEATURE_SHAPE[0]
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv1=nn.Conv2d(IMAGE_SHAPE[0], 20, kernel_size=5),
            norm1=nn.BatchNorm2d(20),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(20, channels, kernel_size=5),
            norm2=nn.BatchNorm2d(channels),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
        )
    )


class FullyConnectedHead(nn.Module):
    """Flatten, ``Linear`` 800 -> 500 without bias, BatchNorm1d, ReLU, Dropout, ``Linear`` 500 -> 10.

    Everyone writes a classifier's head like this, and in ONNX it becomes a `MatMul` and a `Gemm` behind a `Reshape`.
    """

    def __init__(self) -> None:
        super().__init__()
        channels, height, width = FEATURE_SHAPE
        self.hidden = nn.Linear(channels * height * width, HIDDEN, bias=False)
        self.norm = nn.BatchNorm1d(HIDDEN)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(DROPOUT)
        self.output = nn.Linear(HIDDEN, CLASSES)

    def forward(self, features: Tensor) -> Tensor:
        """Classify ``features`` (float32 ``[N, 50, 4, 4]``); returns logits, float32 ``[N, 10]``."""
        x = features.view(features.size(0), -1)
        x = self.dropout(self.relu(self.norm(self.hidden(x))))
        logits: Tensor = self.output(x)
        return logits


class ConvolutionHead(nn.Module):
    """The same head as a 4 x 4 and a 1 x 1 convolution: what one wrote by hand for MNN in 2019."""

    def __init__(self) -> None:
        super().__init__()
        channels, height, width = FEATURE_SHAPE
        self.hidden = nn.Conv2d(channels, HIDDEN, kernel_size=(height, width), bias=False)
        self.norm = nn.BatchNorm2d(HIDDEN)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(DROPOUT)
        self.output = nn.Conv2d(HIDDEN, CLASSES, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """Classify ``features`` (float32 ``[N, 50, 4, 4]``); returns logits, float32 ``[N, 10]``."""
        x = self.dropout(self.relu(self.norm(self.hidden(features))))  # [N, 500, 1, 1]
        return torch.flatten(self.output(x), 1)  # [N, 10, 1, 1] -> [N, 10]

    @classmethod
    def from_fully_connected(cls, head: FullyConnectedHead) -> Self:
        """Build the convolution head that computes the same function as ``head``.

        Flattening puts ``features[n, c, h, w]`` at ``x[n, (c * H + h) * W + w]``, and row-major reshaping puts
        ``weight[o, (c * H + h) * W + w]`` at ``kernel[o, c, h, w]``. Both sums therefore pair the same factors:

            sum_k weight[o, k] * x[n, k]  ==  sum_chw kernel[o, c, h, w] * features[n, c, h, w]

        and the right-hand side is a convolution without padding whose kernel covers the map: one output position.
        Weights: (500, 800) -> (500, 50, 4, 4) and (10, 500) -> (10, 500, 1, 1); the bias and the normalisation are
        per output channel in both forms and are taken over as they are.
        """
        state = dict(head.state_dict())
        state["hidden.weight"] = state["hidden.weight"].reshape(HIDDEN, *FEATURE_SHAPE)
        state["output.weight"] = state["output.weight"].reshape(CLASSES, HIDDEN, 1, 1)
        twin = cls()
        twin.load_state_dict(state)
        twin.train(head.training)
        return twin


class DigitNetwork(nn.Module):
    """A freshly initialised feature extractor with ``head`` behind it."""

    def __init__(self, head: FullyConnectedHead | ConvolutionHead) -> None:
        super().__init__()
        self.features = feature_extractor()
        self.head = head

    def forward(self, image: Tensor) -> Tensor:
        """Classify ``image`` (float32 ``[N, 1, 28, 28]`` in 0..1); returns logits, float32 ``[N, 10]``."""
        logits: Tensor = self.head(self.features(image))
        return logits


def with_convolution_head(network: DigitNetwork) -> DigitNetwork:
    """Return a copy of a fully connected ``network`` that has the equal convolution head; the original stays as it is.

    Raises:
        TypeError: If ``network`` has a convolution head already.
    """
    if not isinstance(network.head, FullyConnectedHead):
        raise TypeError(f"expected a network with a FullyConnectedHead, this one has a {type(network.head).__name__}")
    twin = DigitNetwork(ConvolutionHead.from_fully_connected(network.head))
    twin.features = copy.deepcopy(network.features)
    return twin
