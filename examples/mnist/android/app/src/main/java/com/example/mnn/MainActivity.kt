package com.example.mnn

import android.app.Activity
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.os.Bundle
import android.widget.TextView
import java.io.File
import java.nio.ByteBuffer

// Shows which digit assets/digit.png is.
class MainActivity : Activity() {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        val bitmap = assets.open("digit.png").use { BitmapFactory.decodeStream(it) }
        val digit = Model(copied("mnist.mnn").path).use { classify(it, bitmap) }
        setContentView(TextView(this).apply { text = "It is a $digit" })
    }

    private fun classify(model: Model, bitmap: Bitmap): Int {
        val plain = bitmap.copy(Bitmap.Config.ARGB_8888, false)
        val pixels = ByteBuffer.allocate(plain.byteCount)
        plain.copyPixelsToBuffer(pixels)
        val (image, shape) = model.prepareImage(pixels.array(), plain.width, plain.height)
        val logits = model.run(image, shape).logits
        return logits.indices.maxByOrNull { logits[it] } ?: -1
    }

    // MNN reads a file, and assets are none.
    private fun copied(name: String): File {
        val file = File(filesDir, name)
        assets.open(name).use { from -> file.outputStream().use { to -> from.copyTo(to) } }
        return file
    }
}
