"""C++: a class `Model`, on which the code for Java's native interface and for Objective-C builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.deploying.code.cpp_images import cpp_image_headers, cpp_images
from mnncompat.deploying.code.interface import Api, comment, literal, shape_words

if TYPE_CHECKING:
    from mnncompat.deploying.code.interface import CodeTensor, Interface

TYPES = {
    "float32": "float",
    "float64": "double",
    "int64": "int64_t",
    "int32": "int32_t",
    "uint8": "uint8_t",
    "int8": "int8_t",
}
"""numpy's name of a dtype -> C++'s type of an element."""
_PRECISIONS = {"high": "Precision_High", "normal": "Precision_Normal", "low": "Precision_Low"}
_MODULE_HEADERS = ("MNNForwardType.h", "expr/Executor.hpp", "expr/ExprCreator.hpp", "expr/Module.hpp")
_SESSION_HEADERS = ("Interpreter.hpp", "MNNForwardType.h", "Tensor.hpp")

_HEAD = """// Runs {file} with MNN's {api} API{version}. Needs MNN's headers and libMNN.
{external}#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

{includes}
// Values in their logical order; of images that is {order}.
template <typename T>
struct Array {{
    std::vector<int> shape;
    std::vector<T> values;
}};

struct Inputs {{
{inputs}}};

{tried}struct Outputs {{
{outputs}}};

"""

_MODULE = """class Model {{
public:
    explicit Model(const std::string& path, int threads = {threads}) {{
        MNN::ScheduleConfig config;
        config.type = MNN_FORWARD_CPU;
        config.numThread = threads;
        MNN::BackendConfig backend;
        backend.precision = MNN::BackendConfig::{precision};
        config.backendConfig = &backend;
        runtime_.reset(Executor::RuntimeManager::createRuntimeManager(config), Executor::RuntimeManager::destroy);
        const std::vector<std::string> inputs = {{{input_names}}};
        const std::vector<std::string> outputs = {{{output_names}}};
        module_.reset(Module::load(inputs, outputs, path.c_str(), runtime_), Module::destroy);
        if (module_ == nullptr) {{
            throw std::runtime_error("MNN does not load " + path);
        }}
    }}

    Outputs run(const Inputs& inputs) {{
        std::vector<VARP> given;
{given}        const std::vector<VARP> found = module_->onForward(given);
        if (found.size() != {count}) {{
            throw std::runtime_error("MNN does not run the model");
        }}
        Outputs outputs;
{read}        return outputs;
    }}

private:
    using Executor = MNN::Express::Executor;
    using Module = MNN::Express::Module;
    using VARP = MNN::Express::VARP;

    template <typename T>
    static VARP given(const Array<T>& array, MNN::Express::Dimensionformat layout) {{
        const auto plain = layout == MNN::Express::NHWC ? MNN::Express::NHWC : MNN::Express::NCHW;
        VARP variable = MNN::Express::_Input(array.shape, plain, halide_type_of<T>());
        std::memcpy(variable->template writeMap<T>(), array.values.data(), array.values.size() * sizeof(T));
        return layout == MNN::Express::NC4HW4 ? MNN::Express::_Convert(variable, layout) : variable;
    }}

    template <typename T>
    static Array<T> read(VARP variable) {{
        if (variable->getInfo() != nullptr && variable->getInfo()->order == MNN::Express::NC4HW4) {{
            variable = MNN::Express::_Convert(variable, MNN::Express::NCHW);
        }}
        const auto* info = variable->getInfo();
        const T* values = info == nullptr ? nullptr : variable->template readMap<T>();
        if (info == nullptr || (values == nullptr && info->size > 0)) {{
            throw std::runtime_error("an output cannot be read");
        }}
        return {{info->dim, std::vector<T>(values, values + info->size)}};
    }}

    std::shared_ptr<Executor::RuntimeManager> runtime_;
    std::shared_ptr<Module> module_;
}};
"""

_SESSION = """class Model {{
public:
    explicit Model(const std::string& path, int threads = {threads}) {{
        net_.reset(MNN::Interpreter::createFromFile(path.c_str()), MNN::Interpreter::destroy);
        if (net_ == nullptr) {{
            throw std::runtime_error("MNN does not load " + path);
        }}
        MNN::ScheduleConfig config;
        config.type = MNN_FORWARD_CPU;
        config.numThread = threads;
        MNN::BackendConfig backend;
        backend.precision = MNN::BackendConfig::{precision};
        config.backendConfig = &backend;
        session_ = net_->createSession(config);
    }}

    Outputs run(const Inputs& inputs) {{
        bool resized = false;
{resize}        if (resized) {{
            net_->resizeSession(session_);
        }}
{write}        if (net_->runSession(session_) != MNN::NO_ERROR) {{
            throw std::runtime_error("MNN does not run the model");
        }}
        Outputs outputs;
{read}        return outputs;
    }}

private:
    static MNN::Tensor::DimensionType order(const MNN::Tensor* tensor) {{
        const bool last = tensor->getDimensionType() == MNN::Tensor::TENSORFLOW;  // channels
        return last ? MNN::Tensor::TENSORFLOW : MNN::Tensor::CAFFE;
    }}

    bool resize(const char* name, const std::vector<int>& shape) {{
        MNN::Tensor* tensor = net_->getSessionInput(session_, name);
        if (tensor->shape() == shape) {{
            return false;
        }}
        net_->resizeTensor(tensor, shape);
        return true;
    }}

    template <typename T>
    void write(const char* name, const Array<T>& array) {{
        MNN::Tensor* tensor = net_->getSessionInput(session_, name);
        MNN::Tensor host(tensor, order(tensor));
        std::memcpy(host.host<T>(), array.values.data(), array.values.size() * sizeof(T));
        tensor->copyFromHostTensor(&host);
    }}

    template <typename T>
    Array<T> read(const char* name) {{
        const MNN::Tensor* tensor = net_->getSessionOutput(session_, name);
        MNN::Tensor host(tensor, order(tensor));
        tensor->copyToHostTensor(&host);
        const T* values = host.host<T>();
        return {{host.shape(), std::vector<T>(values, values + host.elementSize())}};
    }}

    std::shared_ptr<MNN::Interpreter> net_;
    MNN::Session* session_ = nullptr;
}};
"""


def cpp_code(interface: Interface) -> str:
    """A header with a class `Model`."""
    is_module = interface.api is Api.MODULE
    headers = sorted({*(_MODULE_HEADERS if is_module else _SESSION_HEADERS), *cpp_image_headers(interface.images)})
    orders = sorted({"NHWC" if each.layout == "NHWC" else "NCHW" for each in interface.inputs})
    head = _HEAD.format(
        file=comment(interface.file),
        api=interface.api.value.capitalize(),
        version=f" (the file is of MNN {interface.version})" if interface.version else "",
        external=f"// Its weights are in {comment(interface.file)}.weight, beside it.\n" if interface.external else "",
        includes="".join(f"#include <MNN/{each}>\n" for each in headers),
        order=" or ".join(orders) or "NCHW",
        tried=f"// Shapes {interface.tried}.\n" if interface.tried else "",
        inputs="".join(map(_field, interface.inputs)),
        outputs="".join(map(_field, interface.outputs)),
    )
    prepare = cpp_images(interface.images)
    return head + (_module(interface) if is_module else _session(interface)) + prepare


def _module(interface: Interface) -> str:
    return _MODULE.format(
        threads=interface.threads,
        precision=_PRECISIONS[interface.precision],
        input_names=_names(interface.inputs),
        output_names=_names(interface.outputs),
        count=len(interface.outputs),
        given="".join(
            f"        given.push_back(Model::given(inputs.{each.identifier}, MNN::Express::{each.layout}));\n"
            for each in interface.inputs
        ),
        read="".join(
            f"        outputs.{each.identifier} = read<{TYPES[each.dtype]}>(found[{at}]);\n"
            for at, each in enumerate(interface.outputs)
        ),
    )


def _session(interface: Interface) -> str:
    return _SESSION.format(
        threads=interface.threads,
        precision=_PRECISIONS[interface.precision],
        resize="".join(
            f"        resized |= resize({literal(each.name)}, inputs.{each.identifier}.shape);\n"
            for each in interface.inputs
        ),
        write="".join(f"        write({literal(each.name)}, inputs.{each.identifier});\n" for each in interface.inputs),
        read="".join(
            f"        outputs.{each.identifier} = read<{TYPES[each.dtype]}>({literal(each.name)});\n"
            for each in interface.outputs
        ),
    )


def _field(tensor: CodeTensor) -> str:
    return f"    Array<{TYPES[tensor.dtype]}> {tensor.identifier};  // {shape_words(tensor.shape)}\n"


def _names(tensors: tuple[CodeTensor, ...]) -> str:
    return ", ".join(literal(each.name) for each in tensors)
