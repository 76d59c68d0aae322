// Runs mnist.mnn with MNN's Session API (the file is of MNN 3.6.1). Needs MNN's headers and libMNN.
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <MNN/ImageProcess.hpp>
#include <MNN/Interpreter.hpp>
#include <MNN/MNNForwardType.h>
#include <MNN/Matrix.h>
#include <MNN/Tensor.hpp>

// Values in their logical order; of images that is NCHW.
template <typename T>
struct Array {
    std::vector<int> shape;
    std::vector<T> values;
};

struct Inputs {
    Array<float> image;  // [?, 1, 28, 28]
};

// Shapes with image [1, 1, 28, 28].
struct Outputs {
    Array<float> logits;  // [1, 10]
};

class Model {
public:
    explicit Model(const std::string& path, int threads = 4) {
        net_.reset(MNN::Interpreter::createFromFile(path.c_str()), MNN::Interpreter::destroy);
        if (net_ == nullptr) {
            throw std::runtime_error("MNN does not load " + path);
        }
        MNN::ScheduleConfig config;
        config.type = MNN_FORWARD_CPU;
        config.numThread = threads;
        MNN::BackendConfig backend;
        backend.precision = MNN::BackendConfig::Precision_Low;
        config.backendConfig = &backend;
        session_ = net_->createSession(config);
    }

    Outputs run(const Inputs& inputs) {
        bool resized = false;
        resized |= resize("image", inputs.image.shape);
        if (resized) {
            net_->resizeSession(session_);
        }
        write("image", inputs.image);
        if (net_->runSession(session_) != MNN::NO_ERROR) {
            throw std::runtime_error("MNN does not run the model");
        }
        Outputs outputs;
        outputs.logits = read<float>("logits");
        return outputs;
    }

private:
    static MNN::Tensor::DimensionType order(const MNN::Tensor* tensor) {
        const bool last = tensor->getDimensionType() == MNN::Tensor::TENSORFLOW;  // channels
        return last ? MNN::Tensor::TENSORFLOW : MNN::Tensor::CAFFE;
    }

    bool resize(const char* name, const std::vector<int>& shape) {
        MNN::Tensor* tensor = net_->getSessionInput(session_, name);
        if (tensor->shape() == shape) {
            return false;
        }
        net_->resizeTensor(tensor, shape);
        return true;
    }

    template <typename T>
    void write(const char* name, const Array<T>& array) {
        MNN::Tensor* tensor = net_->getSessionInput(session_, name);
        MNN::Tensor host(tensor, order(tensor));
        std::memcpy(host.host<T>(), array.values.data(), array.values.size() * sizeof(T));
        tensor->copyFromHostTensor(&host);
    }

    template <typename T>
    Array<T> read(const char* name) {
        const MNN::Tensor* tensor = net_->getSessionOutput(session_, name);
        MNN::Tensor host(tensor, order(tensor));
        tensor->copyToHostTensor(&host);
        const T* values = host.host<T>();
        return {host.shape(), std::vector<T>(values, values + host.elementSize())};
    }

    std::shared_ptr<MNN::Interpreter> net_;
    MNN::Session* session_ = nullptr;
};

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

// Pixels as the input `image` takes them: resize:28x28,color:gray,scale:255.
// A row follows another without a gap; `format` is RGB, BGR, RGBA or BGRA.
inline Array<float> prepare_image(
    const uint8_t* pixels, int width, int height, MNN::CV::ImageFormat format = MNN::CV::RGB) {
    const int rows = 28;
    const int columns = 28;
    std::vector<uint8_t> other;
    if (rows != height || columns != width) {
        const bool four = format == MNN::CV::RGBA || format == MNN::CV::BGRA;
        other = resized(pixels, width, height, four ? 4 : 3, columns, rows, false);
        pixels = other.data();
        width = columns;
        height = rows;
    }
    const int high = rows;
    const int wide = columns;
    if (high > rows || wide > columns) {
        throw std::runtime_error("the image is smaller than its crop");
    }
    const int top = (rows - high) / 2 + ((rows - high) % 4 == 3);  // halves to the even one, as torchvision
    const int left = (columns - wide) / 2 + ((columns - wide) % 4 == 3);
    MNN::CV::ImageProcess::Config config;
    config.sourceFormat = format;
    config.destFormat = MNN::CV::GRAY;
    config.filterType = MNN::CV::BILINEAR;
    const float mean[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    const float normal[4] = {0.00392156863f, 1.0f, 1.0f, 1.0f};
    std::memcpy(config.mean, mean, sizeof(mean));
    std::memcpy(config.normal, normal, sizeof(normal));
    const float down = height / static_cast<float>(rows);
    const float right = width / static_cast<float>(columns);
    MNN::CV::Matrix matrix;
    matrix.setScale(right, down);
    matrix.postTranslate((left + 0.5f) * right - 0.5f, (top + 0.5f) * down - 0.5f);
    std::shared_ptr<MNN::CV::ImageProcess> process;
    process.reset(MNN::CV::ImageProcess::create(config), MNN::CV::ImageProcess::destroy);
    process->setMatrix(matrix);
    std::vector<float> found(static_cast<size_t>(high) * wide * 1);
    if (process->convert(pixels, width, height, 0, found.data(), wide, high, 1, 0, halide_type_of<float>()) !=
        MNN::NO_ERROR) {
        throw std::runtime_error("MNN does not process the image");
    }
    Array<float> array;
    array.shape = {1, 1, high, wide};
    array.values.resize(found.size());
    for (size_t at = 0; at < found.size(); ++at) {
        array.values[at % 1 * high * wide + at / 1] = static_cast<float>(found[at]);
    }
    return array;
}

// What Kotlin's class com.example.mnn.Model calls.
#include <jni.h>

namespace {

std::vector<int> shape_of(JNIEnv* env, jobjectArray inputs, int at) {
    auto array = static_cast<jintArray>(env->GetObjectArrayElement(inputs, at));
    std::vector<int> shape(env->GetArrayLength(array));
    env->GetIntArrayRegion(array, 0, static_cast<jsize>(shape.size()), reinterpret_cast<jint*>(shape.data()));
    return shape;
}

jintArray shape_to(JNIEnv* env, const std::vector<int>& shape) {
    jintArray array = env->NewIntArray(static_cast<jsize>(shape.size()));
    env->SetIntArrayRegion(array, 0, static_cast<jsize>(shape.size()), reinterpret_cast<const jint*>(shape.data()));
    return array;
}

}  // namespace

extern "C" JNIEXPORT jlong JNICALL Java_com_example_mnn_Model_create(JNIEnv* env, jobject, jstring path, jint threads) {
    const char* chars = env->GetStringUTFChars(path, nullptr);
    const std::string file(chars);
    env->ReleaseStringUTFChars(path, chars);
    try {
        return reinterpret_cast<jlong>(new Model(file, threads));
    } catch (const std::exception& error) {
        env->ThrowNew(env->FindClass("java/lang/IllegalStateException"), error.what());
        return 0;
    }
}

extern "C" JNIEXPORT jobjectArray JNICALL Java_com_example_mnn_Model_compute(JNIEnv* env, jobject, jlong handle, jobjectArray given) {
    try {
        Inputs inputs;
        auto array_0 = static_cast<jfloatArray>(env->GetObjectArrayElement(given, 0));
        inputs.image.values.resize(env->GetArrayLength(array_0));
        env->GetFloatArrayRegion(
            array_0, 0, env->GetArrayLength(array_0), reinterpret_cast<jfloat*>(inputs.image.values.data()));
        inputs.image.shape = shape_of(env, given, 1);
        const Outputs outputs = reinterpret_cast<Model*>(handle)->run(inputs);
        jobjectArray found = env->NewObjectArray(2, env->FindClass("java/lang/Object"), nullptr);
        auto result_0 = env->NewFloatArray(static_cast<jsize>(outputs.logits.values.size()));
        env->SetFloatArrayRegion(
            result_0, 0, env->GetArrayLength(result_0), reinterpret_cast<const jfloat*>(outputs.logits.values.data()));
        env->SetObjectArrayElement(found, 0, result_0);
        env->SetObjectArrayElement(found, 1, shape_to(env, outputs.logits.shape));
        return found;
    } catch (const std::exception& error) {
        env->ThrowNew(env->FindClass("java/lang/IllegalStateException"), error.what());
        return nullptr;
    }
}

extern "C" JNIEXPORT jobjectArray JNICALL Java_com_example_mnn_Model_pixelsImage(
    JNIEnv* env, jobject, jbyteArray given, jint width, jint height) {
    try {
        std::vector<uint8_t> pixels(env->GetArrayLength(given));
        if (pixels.size() != static_cast<size_t>(width) * height * 4) {
            throw std::runtime_error("a pixel is not 4 bytes");
        }
        env->GetByteArrayRegion(given, 0, static_cast<jsize>(pixels.size()), reinterpret_cast<jbyte*>(pixels.data()));
        const Array<float> prepared = prepare_image(pixels.data(), width, height, MNN::CV::RGBA);
        jobjectArray found = env->NewObjectArray(2, env->FindClass("java/lang/Object"), nullptr);
        auto values = env->NewFloatArray(static_cast<jsize>(prepared.values.size()));
        env->SetFloatArrayRegion(values, 0, static_cast<jsize>(prepared.values.size()),
            reinterpret_cast<const jfloat*>(prepared.values.data()));
        env->SetObjectArrayElement(found, 0, values);
        env->SetObjectArrayElement(found, 1, shape_to(env, prepared.shape));
        return found;
    } catch (const std::exception& error) {
        env->ThrowNew(env->FindClass("java/lang/IllegalStateException"), error.what());
        return nullptr;
    }
}

extern "C" JNIEXPORT void JNICALL Java_com_example_mnn_Model_destroy(JNIEnv*, jobject, jlong handle) {
    delete reinterpret_cast<Model*>(handle);
}
