"""Networks for text and categories: encoders, decoders with caches, recommenders."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

WORDS, POSITIONS, WIDTH, HEADS = 120, 64, 32, 4
LOWEST = -10000.0


def ids(high: int, *shape: int) -> Tensor:
    """Random ids below a number."""
    return torch.randint(0, high, shape)


class Attention(nn.Module):
    """Attention with an additive bias, and keys and values of earlier steps."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def heads(self, x: Tensor) -> Tensor:
        """Split [batch, steps, width] into heads."""
        return x.reshape(x.shape[0], x.shape[1], HEADS, WIDTH // HEADS).transpose(1, 2)

    def forward(self, x: Tensor, memory: Tensor, bias: Tensor | None, past: tuple[Tensor, Tensor] | None = None) -> Any:
        query, key, value = self.heads(self.query(x)), self.heads(self.key(memory)), self.heads(self.value(memory))
        if past is not None:
            key, value = torch.cat((past[0], key), 2), torch.cat((past[1], value), 2)
        scores = query @ key.transpose(-1, -2) / math.sqrt(WIDTH // HEADS)
        scores = scores if bias is None else scores + bias
        mixed = (torch.softmax(scores, -1) @ value).transpose(1, 2)
        return self.out(mixed.reshape(x.shape[0], x.shape[1], WIDTH)), key, value


class Layer(nn.Module):
    """Attention and a perceptron, each with a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.dense = nn.Sequential(nn.Linear(WIDTH, 64), nn.ReLU(), nn.Linear(64, WIDTH))

    def forward(self, x: Tensor, bias: Tensor | None = None, past: tuple[Tensor, Tensor] | None = None) -> Any:
        y = self.first(x)
        mixed, key, value = self.attention(y, y, bias, past)
        x = x + mixed
        return x + self.dense(self.second(x)), key, value


class Encoder(nn.Module):
    """BERT: words, token types and positions, a mask of 0 and 1."""

    def __init__(self, *, pooled: bool) -> None:
        super().__init__()
        self.words, self.types, self.positions = (nn.Embedding(rows, WIDTH) for rows in (WORDS, 2, POSITIONS))
        self.layers, self.pooled = nn.ModuleList([Layer(), Layer()]), pooled

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        steps = torch.arange(input_ids.shape[1])
        x = self.words(input_ids) + self.types(token_type_ids) + self.positions(steps)
        bias = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * LOWEST
        for layer in self.layers:
            x = layer(x, bias)[0]
        if not self.pooled:
            return cast("Tensor", x)
        weight = attention_mask[:, :, None].to(x.dtype)
        mean = (x * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
        return functional.normalize(mean, dim=1)


class Decoder(nn.Module):
    """GPT with keys and values of earlier steps, a mask over past and new ones, and positions."""

    def __init__(self, *, has_positions: bool) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(WORDS, WIDTH), nn.Embedding(POSITIONS, WIDTH)
        self.layer, self.head, self.has_positions = Layer(), nn.Linear(WIDTH, WORDS), has_positions

    def forward(self, input_ids: Tensor, attention_mask: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        positions, (key, value) = (rest[0], rest[1:]) if self.has_positions else (None, rest)
        steps, past = input_ids.shape[1], key.shape[2]
        if positions is None:
            positions = torch.arange(past, past + steps)[None]
        x = self.words(input_ids) + self.positions(positions)
        causal = torch.arange(past + steps)[None, :] > torch.arange(past, past + steps)[:, None]
        bias = causal.to(x.dtype) * LOWEST + (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * LOWEST
        x, key, value = self.layer(x, bias, (key, value))
        return self.head(x), key, value


class CrossDecoder(nn.Module):
    """The decoder of a translator: ids, states of the encoder, and which of these count."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.layer, self.cross = nn.Embedding(WORDS, WIDTH), Layer(), Attention()
        self.head = nn.Linear(WIDTH, WORDS)

    def forward(self, ids: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        x = self.words(ids)
        causal = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
        x = self.layer(x, torch.where(causal, 0.0, LOWEST))[0]
        bias = torch.where(mask[:, None, None, :].bool(), 0.0, torch.finfo(torch.float32).min)
        found: Tensor = self.head(x + self.cross(x, states, bias)[0])
        return found


class PaddedEncoder(nn.Module):
    """A torch encoder with a mask of what is padding."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 64, batch_first=True, dropout=0.0)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    def forward(self, tokens: Tensor, padding: Tensor) -> Tensor:
        found: Tensor = self.encoder(self.words(tokens), src_key_padding_mask=padding)
        return found


class LengthClassifier(nn.Module):
    """An LSTM whose mean counts the steps below a length."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.lstm = nn.Embedding(WORDS, 16), nn.LSTM(16, 16, batch_first=True)
        self.head = nn.Linear(16, 5)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        x = self.lstm(self.words(tokens))[0]
        counts = (torch.arange(tokens.shape[1])[None, :] < lengths[:, None]).to(x.dtype)[:, :, None]
        found: Tensor = self.head((x * counts).sum(1) / lengths[:, None].to(x.dtype))
        return torch.softmax(found, -1)


class Recommender(nn.Module):
    """Two towers of ids."""

    def __init__(self) -> None:
        super().__init__()
        self.users, self.items, self.bias = nn.Embedding(300, 8), nn.Embedding(7, 8), nn.Embedding(7, 1)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        return torch.sigmoid((self.users(user) * self.items(item)).sum(-1) + self.bias(item).squeeze(-1))


class WideAndDeep(nn.Module):
    """Floats of which the first two columns are categories."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Embedding(12, 4), nn.Embedding(50, 4)
        self.dense = nn.Sequential(nn.Linear(14, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        parts = (self.first(x[:, 0].long()), self.second(x[:, 1].long()), x[:, 2:])
        found: Tensor = torch.sigmoid(self.dense(torch.cat(parts, 1)))
        return found


class Rotary(nn.Module):
    """Attention with rotated queries; the angles are rows of a table."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.attention = nn.Embedding(WORDS, WIDTH), Attention()
        self.sine: Tensor
        self.cosine: Tensor
        angles = torch.arange(POSITIONS)[:, None] * 0.5 ** torch.arange(WIDTH // 2)[None, :]
        self.register_buffer("sine", torch.sin(angles))
        self.register_buffer("cosine", torch.cos(angles))

    def forward(self, ids: Tensor, position_ids: Tensor) -> Tensor:
        x = self.words(ids)
        sine, cosine = self.sine[position_ids], self.cosine[position_ids]
        left, right = x[..., : WIDTH // 2], x[..., WIDTH // 2 :]
        x = torch.cat((left * cosine - right * sine, right * cosine + left * sine), -1)
        found: Tensor = self.attention(x, x, None)[0]
        return found


_TOKENS = {0: "batch", 1: "steps"}
_TOTAL = {0: "batch", 1: "total"}
_CACHE = {0: "batch", 2: "past"}


def _cache() -> dict[str, Tensor]:
    return {name: torch.randn(1, HEADS, 5, WIDTH // HEADS) for name in ("past_key", "past_value")}


def _bert() -> dict[str, Tensor]:
    return {
        "input_ids": ids(WORDS, 2, 9),
        "attention_mask": torch.ones(2, 9, dtype=torch.int64),
        "token_type_ids": ids(2, 2, 9),
    }


_BERT_AXES = dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), _TOKENS)
_CACHE_AXES = {"input_ids": _TOKENS, "attention_mask": _TOTAL, "past_key": _CACHE, "past_value": _CACHE}

LANGUAGE: dict[str, tuple[Any, ...]] = {
    "bert": (lambda: Encoder(pooled=False), _bert, _BERT_AXES),
    "sentence-encoder": (lambda: Encoder(pooled=True), _bert, _BERT_AXES),
    "decoder-cache": (
        lambda: Decoder(has_positions=False),
        lambda: {"input_ids": ids(WORDS, 1, 3), "attention_mask": torch.ones(1, 8, dtype=torch.int64)} | _cache(),
        _CACHE_AXES,
    ),
    "decoder-cache-positions": (
        lambda: Decoder(has_positions=True),
        lambda: (
            {"input_ids": ids(WORDS, 1, 3), "attention_mask": torch.ones(1, 8, dtype=torch.int64)}
            | {"position_ids": torch.arange(5, 8)[None]}
            | _cache()
        ),
        _CACHE_AXES | {"position_ids": _TOKENS},
    ),
    "translator-decoder": (
        CrossDecoder,
        lambda: {"ids": ids(WORDS, 2, 6), "states": torch.randn(2, 9, WIDTH), "mask": ids(2, 2, 9) | 1},
        {"ids": _TOKENS, "states": {0: "batch", 1: "source"}, "mask": {0: "batch", 1: "source"}},
    ),
    "padded-encoder": (
        PaddedEncoder,
        lambda: {"tokens": ids(WORDS, 2, 7), "padding": torch.arange(7)[None].repeat(2, 1) > 4},
        {},
    ),
    "length-classifier": (
        LengthClassifier,
        lambda: {"tokens": ids(WORDS, 2, 10), "lengths": torch.tensor([10, 4])},
        {},
    ),
    "recommender": (
        Recommender,
        lambda: {"user": ids(300, 4), "item": ids(7, 4)},
        {"user": {0: "batch"}, "item": {0: "batch"}},
    ),
    "wide-and-deep": (
        WideAndDeep,
        lambda: {"x": torch.cat((ids(12, 4, 1).float(), ids(50, 4, 1).float(), torch.randn(4, 6)), 1)},
        {"x": {0: "batch"}},
    ),
    "rotary-attention": (
        Rotary,
        lambda: {"ids": ids(WORDS, 1, 6), "position_ids": torch.arange(6)[None]},
        {"ids": _TOKENS, "position_ids": _TOKENS},
    ),
}
"""Builder, inputs and dynamic axes by name."""
