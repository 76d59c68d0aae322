#pragma once
#include <MNN/Halide.hpp>
#include <MNN/Interpreter.hpp>
#include <MNN/Matrix.h>
#include <MNN/Tensor.hpp>
#include <cstdint>
namespace MNN {
namespace CV {
enum ImageFormat { RGBA = 0, RGB = 1, BGR = 2, GRAY = 3, BGRA = 4 };
enum Filter { NEAREST = 0, BILINEAR = 1, BICUBIC = 2 };
class ImageProcess {
public:
    struct Config {
        Filter filterType;
        ImageFormat sourceFormat;
        ImageFormat destFormat;
        float mean[4];
        float normal[4];
    };
    static ImageProcess* create(const Config& config, const Tensor* tensor = nullptr);
    static void destroy(ImageProcess* process);
    void setMatrix(const Matrix& matrix);
    ErrorCode convert(const uint8_t* source, int iw, int ih, int stride, void* dest, int ow, int oh, int outputBpp = 0,
                      int outputStride = 0, halide_type_t type = halide_type_of<float>());
};
}  // namespace CV
}  // namespace MNN
