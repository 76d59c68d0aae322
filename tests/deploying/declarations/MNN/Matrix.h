#pragma once
namespace MNN {
namespace CV {
class Matrix {
public:
    Matrix();
    void setScale(float sx, float sy);
    void postTranslate(float dx, float dy);
};
}  // namespace CV
}  // namespace MNN
