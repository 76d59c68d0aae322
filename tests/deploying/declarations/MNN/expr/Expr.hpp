#pragma once
#include <MNN/Halide.hpp>
#include <cstddef>
#include <vector>
namespace MNN {
namespace Express {
using INTS = std::vector<int>;
enum Dimensionformat { NHWC, NC4HW4, NCHW };
class Variable {
public:
    struct Info {
        Dimensionformat order = NHWC;
        INTS dim;
        halide_type_t type;
        size_t size;
    };
    const Info* getInfo();
    template <typename T>
    const T* readMap();
    template <typename T>
    T* writeMap();
};
class VARP {
public:
    Variable* operator->() const;
};
}  // namespace Express
}  // namespace MNN
