"""Two wrong answers to each exercise of lesson 07, and a part of what its check says."""

BEFORE: list[str] = []

WRONG = {
    "07.1": [
        (
            'stopping = keras.callbacks.EarlyStopping("val_accuracy", patience=3)',
            "monitor: expected 'val_land_cover_accuracy', found 'val_accuracy'",
        ),
        (
            "stopping = keras.callbacks.EarlyStopping(\n"
            '    "val_land_cover_accuracy", mode="max", patience=3\n)',
            "restore_best_weights: expected True, found False",
        ),
    ],
    "07.2": [
        (
            "def predict_one(model, sample):\n"
            "    predicted = model.predict(sample, verbose=0)\n"
            '    return tiles.CLASS_NAMES[predicted["land_cover"].argmax()], '
            'predicted["composition"]',
            "the check could not use your answer",
        ),
        (
            "def predict_one(model, sample):\n"
            "    batch = {name: value[None] for name, value in sample.items()}\n"
            "    predicted = model.predict(batch, verbose=0)\n"
            '    return tiles.CLASS_NAMES[predicted["land_cover"].argmax()], '
            'predicted["composition"]',
            "composition: expected shape (2,), found (1, 2)",
        ),
    ],
    "07.3": [
        (
            "def without_gaps(inputs, targets):\n"
            '    known = tf.cast(~tf.math.is_nan(targets["composition"][:, 0]), tf.float32)\n'
            '    return inputs, targets, {"land_cover": tf.ones_like(known), "composition": known}',
            "targets['composition']: expected [[0.25, 0.5], [0, 0], [0, 0]]",
        ),
        (
            "def without_gaps(inputs, targets):\n"
            '    composition = targets["composition"]\n'
            "    missing = tf.reduce_any(tf.math.is_nan(composition), axis=1)\n"
            "    filled = tf.where(missing[:, None], tf.zeros_like(composition), composition)\n"
            "    known = tf.cast(~missing, tf.float32)\n"
            '    weights = {"land_cover": known, "composition": known}\n'
            '    return inputs, {**targets, "composition": filled}, weights',
            "weights['land_cover']: expected [1, 1, 1], found [1.0, 0.0, 0.0]",
        ),
    ],
}
