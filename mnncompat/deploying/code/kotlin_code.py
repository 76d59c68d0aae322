"""Kotlin, for Android, and the C++ behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.deploying.code.cpp_code import cpp_code
from mnncompat.deploying.code.cpp_images import cpp_type
from mnncompat.deploying.code.interface import comment, shape_words

if TYPE_CHECKING:
    from mnncompat.deploying.code.images import CodeImage
    from mnncompat.deploying.code.interface import CodeTensor, Interface

PACKAGE = "com.example.mnn"
_ARRAYS = {
    "float32": ("FloatArray", "jfloat", "Float"),
    "float64": ("DoubleArray", "jdouble", "Double"),
    "int64": ("LongArray", "jlong", "Long"),
    "int32": ("IntArray", "jint", "Int"),
    "uint8": ("ByteArray", "jbyte", "Byte"),
    "int8": ("ByteArray", "jbyte", "Byte"),
}
"""numpy's name of a dtype -> Kotlin's array, JNI's element and the word in JNI's functions."""

_KOTLIN = """package {package}

// Runs {file} with MNN's {api} API: the native side is what `mnncompat snippet --language jni` writes, in libmodel.so.
class Model(path: String, threads: Int = {threads}) : AutoCloseable {{
{tried}    class Outputs(
{fields}    )

    private var handle = create(path, threads)

    // Values in their logical order, with the shape of each input.
    fun run(
{parameters}    ): Outputs {{
        val found = compute(handle, arrayOf({given}))
        return Outputs({outputs})
    }}

    override fun close() {{
        destroy(handle)
        handle = 0
    }}

{prepare}    private external fun create(path: String, threads: Int): Long

    private external fun compute(handle: Long, inputs: Array<Any>): Array<Any>

    private external fun destroy(handle: Long)

    companion object {{
        init {{
            System.loadLibrary("model")
        }}
    }}
}}
"""

_JNI = """
// What Kotlin's class {package}.Model calls.
#include <jni.h>

namespace {{

std::vector<int> shape_of(JNIEnv* env, jobjectArray inputs, int at) {{
    auto array = static_cast<jintArray>(env->GetObjectArrayElement(inputs, at));
    std::vector<int> shape(env->GetArrayLength(array));
    env->GetIntArrayRegion(array, 0, static_cast<jsize>(shape.size()), reinterpret_cast<jint*>(shape.data()));
    return shape;
}}

jintArray shape_to(JNIEnv* env, const std::vector<int>& shape) {{
    jintArray array = env->NewIntArray(static_cast<jsize>(shape.size()));
    env->SetIntArrayRegion(array, 0, static_cast<jsize>(shape.size()), reinterpret_cast<const jint*>(shape.data()));
    return array;
}}

}}  // namespace

extern "C" JNIEXPORT jlong JNICALL {symbol}_create(JNIEnv* env, jobject, jstring path, jint threads) {{
    const char* chars = env->GetStringUTFChars(path, nullptr);
    const std::string file(chars);
    env->ReleaseStringUTFChars(path, chars);
    try {{
        return reinterpret_cast<jlong>(new Model(file, threads));
    }} catch (const std::exception& error) {{
        env->ThrowNew(env->FindClass("java/lang/IllegalStateException"), error.what());
        return 0;
    }}
}}

extern "C" JNIEXPORT jobjectArray JNICALL {symbol}_compute(JNIEnv* env, jobject, jlong handle, jobjectArray given) {{
    try {{
        Inputs inputs;
{inputs}        const Outputs outputs = reinterpret_cast<Model*>(handle)->run(inputs);
        jobjectArray found = env->NewObjectArray({count}, env->FindClass("java/lang/Object"), nullptr);
{outputs}        return found;
    }} catch (const std::exception& error) {{
        env->ThrowNew(env->FindClass("java/lang/IllegalStateException"), error.what());
        return nullptr;
    }}
}}

{prepare}extern "C" JNIEXPORT void JNICALL {symbol}_destroy(JNIEnv*, jobject, jlong handle) {{
    delete reinterpret_cast<Model*>(handle);
}}
"""


def kotlin_code(interface: Interface) -> str:
    """A class `Model` that calls native code."""
    outputs = enumerate(interface.outputs)
    return _KOTLIN.format(
        package=PACKAGE,
        file=comment(interface.file),
        api=interface.api.value.capitalize(),
        threads=interface.threads,
        tried=f"    // Shapes {interface.tried}.\n" if interface.tried else "",
        fields="".join(_pair(each, "        val ") for each in interface.outputs),
        parameters="".join(_pair(each, "        ") for each in interface.inputs),
        given=", ".join(f"{each.identifier}, {each.identifier}Shape" for each in interface.inputs),
        prepare="".join(map(_prepared_kotlin, interface.images)),
        outputs=", ".join(
            f"found[{2 * at}] as {_ARRAYS[each.dtype][0]}, found[{2 * at + 1}] as IntArray" for at, each in outputs
        ),
    )


def jni_code(interface: Interface) -> str:
    """The C++ class with the functions that Kotlin's class calls."""
    return cpp_code(interface) + _JNI.format(
        package=PACKAGE,
        symbol=f"Java_{PACKAGE.replace('.', '_')}_Model",
        inputs="".join(_taken(each, at) for at, each in enumerate(interface.inputs)),
        outputs="".join(_handed(each, at) for at, each in enumerate(interface.outputs)),
        count=2 * len(interface.outputs),
        prepare="".join(map(_prepared_native, interface.images)),
    )


def _pair(tensor: CodeTensor, lead: str) -> str:
    array = _ARRAYS[tensor.dtype][0]
    told = f"  // {shape_words(tensor.shape)}"
    return f"{lead}{tensor.identifier}: {array},{told}\n{lead}{tensor.identifier}Shape: IntArray,\n"


def _taken(tensor: CodeTensor, at: int) -> str:
    element, word = _ARRAYS[tensor.dtype][1:]
    name, array = f"inputs.{tensor.identifier}", f"array_{at}"
    return f"""        auto {array} = static_cast<{element}Array>(env->GetObjectArrayElement(given, {2 * at}));
        {name}.values.resize(env->GetArrayLength({array}));
        env->Get{word}ArrayRegion(
            {array}, 0, env->GetArrayLength({array}), reinterpret_cast<{element}*>({name}.values.data()));
        {name}.shape = shape_of(env, given, {2 * at + 1});
"""


def _handed(tensor: CodeTensor, at: int) -> str:
    element, word = _ARRAYS[tensor.dtype][1:]
    name, array = f"outputs.{tensor.identifier}", f"result_{at}"
    return f"""        auto {array} = env->New{word}Array(static_cast<jsize>({name}.values.size()));
        env->Set{word}ArrayRegion(
            {array}, 0, env->GetArrayLength({array}), reinterpret_cast<const {element}*>({name}.values.data()));
        env->SetObjectArrayElement(found, {2 * at}, {array});
        env->SetObjectArrayElement(found, {2 * at + 1}, shape_to(env, {name}.shape));
"""


_PREPARE_KOTLIN = """    // Pixels of a bitmap as the input `{name}` takes them: {steps}.
    // ARGB_8888, as `bitmap.copyPixelsToBuffer` writes them: red, green, blue, alpha. The result and its shape.
    fun prepare{title}(pixels: ByteArray, width: Int, height: Int): Pair<{array}, IntArray> {{
        val found = pixels{title}(pixels, width, height)
        return Pair(found[0] as {array}, found[1] as IntArray)
    }}

    private external fun pixels{title}(pixels: ByteArray, width: Int, height: Int): Array<Any>

"""
_PREPARE_NATIVE = """extern "C" JNIEXPORT jobjectArray JNICALL {symbol}_pixels{title}(
    JNIEnv* env, jobject, jbyteArray given, jint width, jint height) {{
    try {{
        std::vector<uint8_t> pixels(env->GetArrayLength(given));
        if (pixels.size() != static_cast<size_t>(width) * height * 4) {{
            throw std::runtime_error("a pixel is not 4 bytes");
        }}
        env->GetByteArrayRegion(given, 0, static_cast<jsize>(pixels.size()), reinterpret_cast<jbyte*>(pixels.data()));
        const Array<{type}> prepared = prepare_{identifier}(pixels.data(), width, height, MNN::CV::RGBA);
        jobjectArray found = env->NewObjectArray(2, env->FindClass("java/lang/Object"), nullptr);
        auto values = env->New{word}Array(static_cast<jsize>(prepared.values.size()));
        env->Set{word}ArrayRegion(values, 0, static_cast<jsize>(prepared.values.size()),
            reinterpret_cast<const {element}*>(prepared.values.data()));
        env->SetObjectArrayElement(found, 0, values);
        env->SetObjectArrayElement(found, 1, shape_to(env, prepared.shape));
        return found;
    }} catch (const std::exception& error) {{
        env->ThrowNew(env->FindClass("java/lang/IllegalStateException"), error.what());
        return nullptr;
    }}
}}

"""


def _prepared_kotlin(image: CodeImage) -> str:
    return _PREPARE_KOTLIN.format(
        name=comment(image.tensor.name),
        steps=comment(image.steps),
        title=_title(image.tensor.identifier),
        array=_ARRAYS[image.tensor.dtype][0],
    )


def _prepared_native(image: CodeImage) -> str:
    element, word = _ARRAYS[image.tensor.dtype][1:]
    return _PREPARE_NATIVE.format(
        symbol=f"Java_{PACKAGE.replace('.', '_')}_Model",
        title=_title(image.tensor.identifier),
        type=cpp_type(image),
        identifier=image.tensor.identifier,
        element=element,
        word=word,
    )


def _title(identifier: str) -> str:
    """A name without underscores, which JNI would escape."""
    return "".join(part[:1].upper() + part[1:] for part in identifier.split("_"))
