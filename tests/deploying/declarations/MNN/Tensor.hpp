#pragma once
#include <MNN/Halide.hpp>
#include <vector>
namespace MNN {
class Tensor {
public:
    enum DimensionType { TENSORFLOW, CAFFE, CAFFE_C4 };
    Tensor(const Tensor* tensor, DimensionType type = CAFFE, bool allocMemory = true);
    Tensor(const Tensor&) = delete;
    Tensor& operator=(const Tensor&) = delete;
    ~Tensor();
    bool copyFromHostTensor(const Tensor* hostTensor);
    bool copyToHostTensor(Tensor* hostTensor) const;
    DimensionType getDimensionType() const;
    std::vector<int> shape() const;
    int elementSize() const;
    template <typename T>
    T* host() const;
};
}  // namespace MNN
