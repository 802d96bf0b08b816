"""Two wrong answers to each exercise of lesson 01, and a part of what its check says."""

BEFORE = ["cell-03", "cell-23", "cell-27d", "cell-41"]

WRONG = {
    "01.1": [
        (
            "signature_of_four = (\n"
            "    [\n"
            "        tf.TensorSpec((None, 64, 64, 3)),\n"
            "        tf.TensorSpec((None, 32, 32, 3)),\n"
            "        tf.TensorSpec((None, 10)),\n"
            "        tf.TensorSpec((None, 5)),\n"
            "    ],\n"
            "    tf.TensorSpec((None, 8)),\n"
            ")",
            "found a list",
        ),
        (
            "signature_of_four = (\n"
            "    (\n"
            "        tf.TensorSpec((None, 64, 64, 3)),\n"
            "        tf.TensorSpec((None, 32, 32, 3)),\n"
            "        tf.TensorSpec((None, 10)),\n"
            "        tf.TensorSpec((32, 5)),\n"
            "    ),\n"
            "    tf.TensorSpec((None, 8)),\n"
            ")",
            "inputs[3]: expected shape (None, 5) float32, found (32, 5)",
        ),
    ],
    "01.2": [
        ("full_batches = validation.take(3)", "expected shape (32, 64, 64, 3)"),
        ("full_batches = validation.unbatch().batch(32)", "found batches of [32, 32, 32, 24]"),
    ],
    "01.3": [
        (
            "def relief_first(inputs, land_cover):\n"
            "    imagery, relief, spectral = inputs\n"
            "    return relief, imagery, spectral, land_cover",
            "expected a leaf inputs[0]",
        ),
        (
            "def relief_first(inputs, land_cover):\n    return inputs, land_cover",
            "inputs[0]: expected shape (2, 32, 32, 3)",
        ),
    ],
}
