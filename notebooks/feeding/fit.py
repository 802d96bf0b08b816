"""Feed one model in every way that this environment has, on the backend of KERAS_BACKEND.

``KERAS_BACKEND=jax python -m feeding.fit start.weights.h5`` prints a line of JSON for each way:
the losses of two epochs, and how many batches and rows are right.
"""

import importlib
import itertools
import json
import sys

import keras
import numpy as np

from feeding import samples

WAYS = {
    "tf.data": ("tf_data", {}),
    "generator": ("generator", {}),
    "PyDataset": ("py_dataset", {}),
    "PyDataset, 2 threads": ("py_dataset", {"workers": 2}),
    "Grain": ("grain_feed", {}),
    "DataLoader": ("torch_feed", {}),
}


def equal_batches(found, rows):
    """Count the batches that are those of the rows, to the bit."""
    wanted = (
        samples.make_batch(rows[start : start + samples.BATCH])
        for start in range(0, len(rows), samples.BATCH)
    )
    pairs = itertools.zip_longest(map(keras.tree.flatten, found), map(keras.tree.flatten, wanted))
    return sum(all(map(np.array_equal, *pair)) for pair in pairs if None not in pair)


def measured(module, options, start):
    """Train from the stored weights; then look at what was fed."""
    model, rows = samples.build_model(), samples.ORDER
    model.load_weights(start)
    history = model.fit(module.feed(rows, **options), epochs=2, shuffle=False, verbose=0).history
    shares = [module.share(rows, machine, 2) for machine in range(2)]
    return {
        "loss": history["loss"],
        "land_cover_loss": history["land_cover_loss"],
        "composition_loss": history["composition_loss"],
        "equal_batches": equal_batches(module.feed(rows), rows),
        "equal_after_7": equal_batches(module.rest(rows, 7), rows[7 * samples.BATCH :]),
        "equal_in_shares": sum(
            equal_batches(share, rows[machine::2]) for machine, share in enumerate(shares)
        ),
    }


def main(start):
    for way, (name, options) in WAYS.items():
        try:
            module = importlib.import_module(f"feeding.{name}")
        except ModuleNotFoundError:
            continue
        found = measured(module, options, start)
        print(json.dumps({"way": way, "backend": keras.backend.backend(), **found}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
