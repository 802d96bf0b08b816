"""What Keras' ``fit`` makes of a loader that is not TensorFlow's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["as_fit_takes_it"]


def as_fit_takes_it(loader: Any) -> tf.data.Dataset:
    """Return the dataset that ``model.fit(loader)`` iterates over, with TensorFlow as backend.

    Parameters
    ----------
    loader : torch.utils.data.DataLoader or grain.IterDataset
        Whatever ``fit`` takes.
    """
    from keras.src.trainers import data_adapters  # imports TensorFlow: not every contender needs it

    return data_adapters.get_data_adapter(loader).get_tf_dataset()
