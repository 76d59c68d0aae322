#pragma once
#include <MNN/expr/Expr.hpp>
namespace MNN {
namespace Express {
VARP _Input(INTS shape = {}, Dimensionformat format = NC4HW4, halide_type_t type = halide_type_of<float>());
VARP _Convert(VARP input, Dimensionformat format);
}  // namespace Express
}  // namespace MNN
