"""Devices: ways to run a converted file somewhere.

    device_named("arm64:a76")                    -> what it is, and how it is started
    with open_device(named, mnn="3.6.1") as it:  -> a process there that has imported MNN
        mnn.run(file, feeds, ..., performer=it.performer(precision="low"))

The reference, ONNX Runtime, stays on the host, and so does MNN's converter: a file is the same everywhere.
"""
