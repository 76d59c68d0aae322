#pragma once
struct halide_type_t {
    int code;
    int bits;
};
template <typename T>
halide_type_t halide_type_of();
