package com.example.mnn

// Runs mnist.mnn with MNN's Session API: the native side is what `mnncompat snippet --language jni` writes, in libmodel.so.
class Model(path: String, threads: Int = 4) : AutoCloseable {
    // Shapes with image [1, 1, 28, 28].
    class Outputs(
        val logits: FloatArray,  // [1, 10]
        val logitsShape: IntArray,
    )

    private var handle = create(path, threads)

    // Values in their logical order, with the shape of each input.
    fun run(
        image: FloatArray,  // [?, 1, 28, 28]
        imageShape: IntArray,
    ): Outputs {
        val found = compute(handle, arrayOf(image, imageShape))
        return Outputs(found[0] as FloatArray, found[1] as IntArray)
    }

    override fun close() {
        destroy(handle)
        handle = 0
    }

    // Pixels of a bitmap as the input `image` takes them: resize:28x28,color:gray,scale:255.
    // ARGB_8888, as `bitmap.copyPixelsToBuffer` writes them: red, green, blue, alpha. The result and its shape.
    fun prepareImage(pixels: ByteArray, width: Int, height: Int): Pair<FloatArray, IntArray> {
        val found = pixelsImage(pixels, width, height)
        return Pair(found[0] as FloatArray, found[1] as IntArray)
    }

    private external fun pixelsImage(pixels: ByteArray, width: Int, height: Int): Array<Any>

    private external fun create(path: String, threads: Int): Long

    private external fun compute(handle: Long, inputs: Array<Any>): Array<Any>

    private external fun destroy(handle: Long)

    companion object {
        init {
            System.loadLibrary("model")
        }
    }
}
