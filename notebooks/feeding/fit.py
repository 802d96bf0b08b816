"""Feed one model in each way that this environment has the packages for, and note what comes of it.

``KERAS_BACKEND=jax python -m feeding.fit start.weights.h5`` prints a line of JSON for each way, or
trap (or for those whose names follow): the losses of two epochs, and what else was found.
"""

import importlib
import importlib.util
import json
import sys
from functools import partial

import keras
import numpy as np

from feeding import samples
from feeding.batches_seen import Numbered, batches_seen

BACKEND = keras.backend.backend()
WAYS = {  # name: module, options of its `feed`
    "tf.data": ("tf_data", {}),
    "generator": ("generator", {}),
    "PyDataset": ("py_dataset", {}),
    "PyDataset, 2 threads": ("py_dataset", {"workers": 2}),
    "Grain": ("grain_feed", {}),
    "DataLoader": ("torch_feed", {}),
}


def train(dataset, start, **options):
    """Return the losses of two epochs from the stored weights, and the steps that were counted."""
    model = samples.build_model()
    model.load_weights(start)
    model.test_on_batch(*samples.make_batch(samples.ORDER[:1]))  # see `order_of_two_threads`
    history = model.fit(dataset, epochs=2, shuffle=False, verbose=0, **options).history
    return history | {"steps": int(model.optimizer.iterations)}


def equal_batches(found, rows):
    """Count the batches that are those of the rows, to the bit."""
    starts = range(0, len(rows), samples.BATCH)
    wanted = (samples.make_batch(rows[start : start + samples.BATCH]) for start in starts)
    pairs = zip(map(keras.tree.flatten, found), map(keras.tree.flatten, wanted), strict=True)
    return sum(all(map(np.array_equal, *pair)) for pair in pairs)


def run(way, start):
    """Train in one way; with TensorFlow, look at each batch as well."""
    name, options = WAYS[way]
    module, rows = importlib.import_module(f"feeding.{name}"), samples.ORDER
    dataset, steps = module.feed(rows, **options), getattr(module, "STEPS", None)
    found = train(dataset.repeat() if steps else dataset, start, steps_per_epoch=steps)
    if BACKEND == "tensorflow":
        shares = [equal_batches(module.share(rows, one, 2), rows[one::2]) for one in range(2)]
        found["equal"] = equal_batches(dataset, rows)
        found["equal_after_7"] = equal_batches(module.rest(rows, 7), rows[7 * samples.BATCH :])
        found["equal_in_shares"] = sum(shares)
    return found


def message(function):
    """Return the first line of what a function raises, with the error's type."""
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}".partition("\n")[0]
    return "no error"


def order_of_two_threads(start):
    """Where the loss or the metrics are not built, `fit` takes a batch to build them with."""
    return {
        "one worker": batches_seen(Numbered(), shuffle=False),
        "two threads": batches_seen(Numbered(workers=2), shuffle=False),
        "two threads, built first": batches_seen(
            Numbered(workers=2), build_first=True, shuffle=False
        ),
    }


def grain_alone(start):
    """Keras does not ask a Grain dataset for its length."""
    from feeding import grain_feed

    return train(grain_feed.feed(samples.ORDER), start)


def grain_processes(start):
    """Grain's worker processes ask for the flags of a command line, which nobody has parsed."""
    import grain

    from feeding import grain_feed

    processes = grain.MultiprocessingOptions(num_workers=2)
    dataset = grain_feed.feed(samples.ORDER).to_iter_dataset().mp_prefetch(processes)
    return {"message": message(lambda: next(iter(dataset)))}


TRAPS = {  # name: function, the package that it needs
    "order of batches": (order_of_two_threads, "keras"),
    "Grain without steps": (grain_alone, "grain"),
    "Grain's processes": (grain_processes, "grain"),
}


def main(start, *names):
    packages = {"grain_feed": "grain", "torch_feed": "torch"}
    ways = {way: (partial(run, way), packages.get(WAYS[way][0], "keras")) for way in WAYS}
    for name, (function, package) in (ways | TRAPS).items():
        if (name in names or not names) and importlib.util.find_spec(package):
            line = {"name": name, "backend": BACKEND, **function(start)}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
