"""What goes wrong in silence, or with a message that needs explaining, one function each.

``KERAS_BACKEND=jax python -m feeding.traps`` prints a line of JSON for each that this environment
has the packages for.
"""

import importlib.util
import json

import keras
import numpy as np

from feeding import samples


class Numbered(keras.utils.PyDataset):
    """Fifteen batches; each holds its own number."""

    def __len__(self):
        return 15

    def __getitem__(self, number):
        return np.zeros((1, 1), "float32"), np.full((1, 1), number, "float32")


class Seen(keras.callbacks.Callback):
    """Notes which batches `fit` trains on: the loss of batch n is n."""

    def on_epoch_begin(self, epoch, logs=None):
        self.numbers, self.total = [], 0

    def on_train_batch_end(self, batch, logs=None):
        total = (batch + 1) * float(logs["loss"])  # the loss is the mean since the epoch began
        self.numbers.append(round(total - self.total))
        self.total = total


def batches_seen(dataset, **options):
    """Return the numbers of the batches that the first epoch of `fit` trains on."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mae")
    seen = Seen()
    model.fit(dataset, callbacks=[seen], verbose=0, **options)
    return seen.numbers


def pydataset_one_worker():
    return batches_seen(Numbered(), shuffle=False)


def pydataset_two_threads():
    return batches_seen(Numbered(workers=2), shuffle=False)


def message(function):
    """Return the first line of what a function raises, with the error's type."""
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}".partition("\n")[0]
    return "no error"


def grain_processes_without_flags():
    import grain

    from feeding import grain_feed

    processes = grain.MultiprocessingOptions(num_workers=2)
    dataset = grain_feed.feed(samples.ORDER).to_iter_dataset().mp_prefetch(processes)
    return message(lambda: next(iter(dataset)))


def grain_with_steps():
    from feeding import grain_feed

    model = samples.build_model()
    dataset = grain_feed.feed(samples.ORDER).repeat()
    history = model.fit(dataset, steps_per_epoch=15, epochs=2, shuffle=False, verbose=0).history
    parts = history["land_cover_loss"][0] + history["composition_loss"][0]
    return round(parts / history["loss"][0], 4)


def dataloader_with_default_collate():
    from torch.utils.data import DataLoader

    from feeding import torch_feed

    loader = DataLoader(torch_feed.feed(samples.ORDER).dataset, batch_size=None, sampler=[[0, 1]])
    return message(lambda: samples.build_model().fit(loader, verbose=0))


TRAPS = {
    "PyDataset, one worker": (pydataset_one_worker, "keras"),
    "PyDataset, two threads": (pydataset_two_threads, "keras"),
    "Grain, two processes": (grain_processes_without_flags, "grain"),
    "Grain, repeat and steps_per_epoch": (grain_with_steps, "grain"),
    "DataLoader, default collate": (dataloader_with_default_collate, "torch"),
}


def main():
    for trap, (function, package) in TRAPS.items():
        if importlib.util.find_spec(package):
            line = {"trap": trap, "backend": keras.backend.backend(), "found": function()}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
