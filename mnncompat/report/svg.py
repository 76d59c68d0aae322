"""The error along the graph as a picture: a bar for each layer on a logarithmic scale, the culprit marked."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from mnncompat.report.location import node_name
from mnncompat.report.printable import printable
from mnncompat.results.diagnosis import Diagnosis, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnncompat.results.diagnosis import Deviation, Layer

_LOW, _HIGH = -7.0, 2.0
"""Powers of ten of the noise, as a share of the signal, that the scale shows."""
_STEP, _BAR, _LEFT, _TOP, _HEIGHT, _BELOW = 9, 7, 56, 44, 260, 150
_SPACE = "http://www.w3.org/2000/svg"
_COLORS = {
    "convolution": "#3b6fb6",
    "product": "#7a4fb0",
    "elementwise": "#4c9a6a",
    "normalization": "#b58a2e",
    "shape": "#8a8f98",
    "control flow": "#a8557a",
    "other": "#5f6b7a",
}
_KINDS = {
    "convolution": ("Conv", "Pool"),
    "product": ("MatMul", "Gemm", "Einsum", "LSTM", "GRU", "RNN", "Attention"),
    "normalization": ("Norm", "Softmax", "LRN"),
    "shape": (
        "Reshape",
        "Transpose",
        "Concat",
        "Slice",
        "Gather",
        "Squeeze",
        "Flatten",
        "Split",
        "Pad",
        "Expand",
        "Shape",
    ),
    "control flow": ("If", "Loop", "Scan"),
    "elementwise": (
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Relu",
        "Sigmoid",
        "Tanh",
        "Clip",
        "Erf",
        "Exp",
        "Pow",
        "Sqrt",
        "Swish",
    ),
}


def svg(result: Diagnosis) -> str:
    """Draw a diagnosis.

    Args:
        result: With its layers; without any, the picture says so.

    Returns:
        An SVG document: dark bars are what each layer adds by itself, light ones what has accumulated.
    """
    width = max(520, _LEFT + 20 + _STEP * len(result.layers))
    height = _TOP + _HEIGHT + _BELOW
    parts = [
        f'<svg xmlns="{_SPACE}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="18" font-size="13">{_text(_title(result))}</text>',
        *_scale(width),
        *_legend(height),
        *(line for place, layer in enumerate(result.layers) for line in _layer(place, layer)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _title(result: Diagnosis) -> str:
    if result.culprits:
        return f"culprit: {', '.join(node_name(each) for each in result.culprits[0].nodes[-3:])}"
    return f"{result.verdict.value}: {len(result.layers)} layers, draw {result.draw or 'none'}"


def _scale(width: int) -> Iterator[str]:
    for power in range(int(_LOW), int(_HIGH) + 1):
        y = _y(power)
        yield f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{width - 8}" y2="{y:.1f}" stroke="#e3e6ea"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#5f6b7a">1e{power}</text>'
    told = "noise as a share of the signal: dark by itself, light accumulated"
    yield f'<text x="{_LEFT}" y="34" fill="#5f6b7a">{told}</text>'


def _legend(height: int) -> Iterator[str]:
    x = _LEFT
    for kind, color in _COLORS.items():
        yield f'<rect x="{x}" y="{height - 16}" width="9" height="9" fill="{color}"/>'
        yield f'<text x="{x + 13}" y="{height - 8}" fill="#333333">{kind}</text>'
        x += 24 + 7 * len(kind)


def _layer(place: int, layer: Layer) -> Iterator[str]:
    x, base = _LEFT + 6 + place * _STEP, _TOP + _HEIGHT
    color = _COLORS[_kind(layer)]
    name = node_name(layer.nodes[-1]) if layer.nodes else layer.values[0]
    yield f"<g><title>{_text(f'{layer.number} {name}: {_told(layer)}')}</title>"
    for found, opacity in ((layer.accumulated, 0.35), (layer.own, 1.0)):
        y = _y(_power(found))
        if y < base:
            yield (
                f'<rect x="{x}" y="{y:.1f}" width="{_BAR}" height="{base - y:.1f}" fill="{color}" '
                f'fill-opacity="{opacity}"/>'
            )
    if layer.role is Role.CULPRIT:
        yield (
            f'<rect x="{x - 1}" y="{_TOP - 2}" width="{_BAR + 2}" height="{_HEIGHT + 2}" fill="none" '
            'stroke="#c0262d" stroke-width="1.5"/>'
        )
        yield (
            f'<text transform="translate({x + 7},{base + 8}) rotate(60)" fill="#c0262d" '
            f'font-size="11">{_text(name[:40])}</text>'
        )
    yield "</g>"


def _told(layer: Layer) -> str:
    parts = [
        f"{word} {each.snr_db:.1f} dB"
        for word, each in (("accumulated", layer.accumulated), ("own", layer.own))
        if each
    ]
    return ", ".join([*parts, layer.role.value] if layer.role else parts)


def _kind(layer: Layer) -> str:
    ops = [each.op_type for each in layer.nodes]
    for kind, words in _KINDS.items():
        if any(word in op for op in ops for word in words):
            return kind
    return "other"


def _power(found: Deviation | None) -> float:
    """Power of ten of the noise's share; what cannot be compared is as wrong as the scale shows."""
    if found is None:
        return _LOW
    if math.isnan(found.snr_db):
        return _HIGH
    return min(max(-found.snr_db / 20, _LOW), _HIGH)


def _y(power: float) -> float:
    return _TOP + _HEIGHT * (_HIGH - power) / (_HIGH - _LOW)


def _text(text: str) -> str:
    return escape(printable(text))
