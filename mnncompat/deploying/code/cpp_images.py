"""C++ that prepares images with MNN's ImageProcess, and calls of it from Java and Objective-C."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mnncompat.deploying.code.interface import comment

if TYPE_CHECKING:
    from mnncompat.deploying.code.images import CodeImage

_RESIZED = """
// Pixels of another size, to the bit as Pillow 13 resizes them: antialiased, with weights of 22 bits.
inline std::vector<uint8_t> resized(
    const uint8_t* pixels, int width, int height, int channels, int columns, int rows, bool cubic) {
    const auto kernel = [cubic](double x) {
        x = x < 0 ? -x : x;
        if (!cubic) {
            return x < 1 ? 1 - x : 0.0;
        }
        return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0.0;
    };
    const double one = 1 << 22;
    // From (outer, count, inner) to (outer, wanted, inner).
    const auto along = [&](const std::vector<uint8_t>& from, int outer, int count, int inner, int wanted) {
        std::vector<uint8_t> to(static_cast<size_t>(outer) * wanted * inner);
        const double scale = static_cast<double>(count) / wanted;
        const double stretch = scale < 1 ? 1 : scale;
        const double reach = (cubic ? 2 : 1) * stretch;
        std::vector<double> shares(count);
        std::vector<int32_t> weights(count);
        for (int at = 0; at < wanted; ++at) {
            const double middle = (at + 0.5) * scale;
            int first = static_cast<int>(middle - reach + 0.5);
            int last = static_cast<int>(middle + reach + 0.5);
            first = first < 0 ? 0 : first;
            last = last > count ? count : last;
            double total = 0;
            for (int place = first; place < last; ++place) {
                shares[place] = kernel((place - middle + 0.5) / stretch);
                total += shares[place];
            }
            for (int place = first; place < last; ++place) {
                const double share = shares[place] / total * one;
                weights[place] = static_cast<int32_t>(share < 0 ? share - 0.5 : share + 0.5);
            }
            for (int line = 0; line < outer; ++line) {
                for (int part = 0; part < inner; ++part) {
                    int32_t sum = 1 << 21;
                    for (int place = first; place < last; ++place) {
                        sum += weights[place] * from[(static_cast<size_t>(line) * count + place) * inner + part];
                    }
                    const int32_t level = sum < 0 ? 0 : sum >> 22;
                    to[(static_cast<size_t>(line) * wanted + at) * inner + part] =
                        static_cast<uint8_t>(level > 255 ? 255 : level);
                }
            }
        }
        return to;
    };
    std::vector<uint8_t> found(pixels, pixels + static_cast<size_t>(width) * height * channels);
    const bool rows_first = rows < height && height - rows > 2 * (width - columns);  // before Pillow 13: never
    if (rows_first) {
        found = along(found, 1, height, width * channels, rows);
        height = rows;
    }
    if (columns != width) {
        found = along(found, height, width, channels, columns);
    }
    return rows == height ? found : along(found, 1, height, columns * channels, rows);
}
"""
_NEAREST = """
// Pixels of another size: each is the one in which its middle lies, to the bit as Pillow takes them.
inline std::vector<uint8_t> nearest(
    const uint8_t* pixels, int width, int height, int channels, int columns, int rows) {
    const auto places = [](int count, int wanted) {
        std::vector<int> found(wanted);
        const double scale = static_cast<double>(count) / wanted;
        double place = scale / 2;
        for (int at = 0; at < wanted; ++at, place += scale) {
            found[at] = place < count ? static_cast<int>(place) : count - 1;
        }
        return found;
    };
    const std::vector<int> from_rows = places(height, rows);
    const std::vector<int> from_columns = places(width, columns);
    std::vector<uint8_t> found(static_cast<size_t>(columns) * rows * channels);
    for (int row = 0; row < rows; ++row) {
        for (int column = 0; column < columns; ++column) {
            const size_t from = static_cast<size_t>(from_rows[row]) * width + from_columns[column];
            std::memcpy(
                &found[(static_cast<size_t>(row) * columns + column) * channels], pixels + from * channels, channels);
        }
    }
    return found;
}
"""
_PREPARE = """
// Pixels as the input `{name}` takes them: {steps}.
// A row follows another without a gap; `format` is RGB, BGR, RGBA or BGRA.
inline Array<{type}> prepare_{identifier}(
    const uint8_t* pixels, int width, int height, MNN::CV::ImageFormat format = MNN::CV::RGB) {{
    const int rows = {rows};
    const int columns = {columns};
{resize}    const int high = {high};
    const int wide = {wide};
    if (high > rows || wide > columns) {{
        throw std::runtime_error("the image is smaller than its crop");
    }}
    const int top = (rows - high) / 2 + ((rows - high) % 4 == 3);  // halves to the even one, as torchvision
    const int left = (columns - wide) / 2 + ((columns - wide) % 4 == 3);
    MNN::CV::ImageProcess::Config config;
    config.sourceFormat = format;
    config.destFormat = MNN::CV::{dest};
    config.filterType = MNN::CV::BILINEAR;
    const float mean[4] = {{{mean}}};
    const float normal[4] = {{{normal}}};
    std::memcpy(config.mean, mean, sizeof(mean));
    std::memcpy(config.normal, normal, sizeof(normal));
    const float down = {down};
    const float right = {right};
    MNN::CV::Matrix matrix;
    matrix.setScale(right, down);
    matrix.postTranslate({shift_right}, {shift_down});
    std::shared_ptr<MNN::CV::ImageProcess> process;
    process.reset(MNN::CV::ImageProcess::create(config), MNN::CV::ImageProcess::destroy);
    process->setMatrix(matrix);
    std::vector<float> found(static_cast<size_t>(high) * wide * {channels});
    if (process->convert(pixels, width, height, 0, found.data(), wide, high, {channels}, 0, halide_type_of<float>()) !=
        MNN::NO_ERROR) {{
        throw std::runtime_error("MNN does not process the image");
    }}
    Array<{type}> array;
    array.shape = {{{shape}}};
    array.values.resize(found.size());
    for (size_t at = 0; at < found.size(); ++at) {{
        array.values[{place}] = static_cast<{type}>(found[at]);
    }}
    return array;
}}
"""
_RESIZE = """    std::vector<uint8_t> other;
    if (rows != height || columns != width) {{
        const bool four = format == MNN::CV::RGBA || format == MNN::CV::BGRA;
        other = {resized}(pixels, width, height, four ? 4 : 3, columns, rows{cubic});
        pixels = other.data();
        width = columns;
        height = rows;
    }}
"""
_TYPES = {"float32": "float", "uint8": "uint8_t"}


def cpp_images(images: Sequence[CodeImage]) -> str:
    """Functions that prepare images; empty if none is."""
    filters = {each.preprocess.filter for each in images if each.own}
    functions = [_NEAREST] * ("nearest" in filters) + [_RESIZED] * bool(filters - {"nearest"})
    return "".join([*functions, *map(_prepare, images)])


def cpp_image_headers(images: Sequence[CodeImage]) -> tuple[str, ...]:
    """Headers of MNN that they need."""
    return ("ImageProcess.hpp", "Matrix.h") if images else ()


def cpp_type(image: CodeImage) -> str:
    """Type of an element."""
    return _TYPES[image.tensor.dtype]


def _prepare(image: CodeImage) -> str:
    steps = image.preprocess
    mean, normal = image.numbers
    corners = steps.filter == "corners"
    rows, columns = _sizes(steps.resize)
    shape = ["{channels}", "high", "wide"] if image.first else ["high", "wide", "{channels}"]
    return _PREPARE.format(
        name=comment(image.tensor.name),
        steps=comment(image.steps),
        type=cpp_type(image),
        identifier=image.tensor.identifier,
        rows=rows,
        columns=columns,
        resize=_own(steps.filter) if image.own else "",
        high=steps.crop[0] if steps.crop else "rows",
        wide=steps.crop[1] if steps.crop else "columns",
        dest=image.dest,
        mean=", ".join(map(_float, mean)),
        normal=", ".join(map(_float, normal)),
        down=_scale("height", "rows", corners=corners),
        right=_scale("width", "columns", corners=corners),
        shift_down="top * down" if corners else "(top + 0.5f) * down - 0.5f",
        shift_right="left * right" if corners else "(left + 0.5f) * right - 0.5f",
        channels=steps.channels,
        shape=", ".join(["1", *shape] if image.batch else shape).format(channels=steps.channels),
        place=f"at % {steps.channels} * high * wide + at / {steps.channels}" if image.first else "at",
    )


def _own(kind: str) -> str:
    if kind == "nearest":
        return _RESIZE.format(resized="nearest", cubic="")
    return _RESIZE.format(resized="resized", cubic=f", {'true' if kind == 'bicubic' else 'false'}")


def _sizes(resize: int | tuple[int, int] | None) -> tuple[str, str]:
    if resize is None:
        return "height", "width"
    if isinstance(resize, int):
        return (
            f"height <= width ? {resize} : static_cast<int>({resize}LL * height / width)",
            f"height <= width ? static_cast<int>({resize}LL * width / height) : {resize}",
        )
    return str(resize[0]), str(resize[1])


def _scale(given: str, wanted: str, *, corners: bool) -> str:
    if corners:
        return f"({given} - 1) / static_cast<float>({wanted} > 1 ? {wanted} - 1 : 1)"
    return f"{given} / static_cast<float>({wanted})"


def _float(number: float) -> str:
    text = f"{number:.9g}"
    return f"{text}f" if any(each in text for each in ".e") else f"{text}.0f"
