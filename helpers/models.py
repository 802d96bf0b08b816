"""The few small Keras models that lessons train.

A model has one encoder per input and one head per output. `encode_image` and `encode_vector` are
the encoders; `build_model` puts a whole model together by the names of streams.

The lesson that builds it: 01 Tuple inputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras

__all__ = ["INPUT_SHAPES", "OUTPUT_SIZES", "build_model", "encode_image", "encode_vector"]

#: Shape of one sample of each input stream, float32.
INPUT_SHAPES: dict[str, tuple[int, ...]] = {
    "imagery": (64, 64, 3),
    "relief": (32, 32, 3),
    "spectral": (10,),
    "site": (5,),
}

#: Units and activation of each output: class probabilities, and two fractions from 0 to 1.
OUTPUT_SIZES: dict[str, tuple[int, str]] = {
    "land_cover": (8, "softmax"),
    "composition": (2, "sigmoid"),
}


def encode_image(image: keras.KerasTensor) -> keras.KerasTensor:
    """Make one feature vector of each image: convolve, halve, repeat, average.

    Parameters
    ----------
    image : keras.KerasTensor
        Shape (batch, height, width, channels), float32 from 0 to 1.

    Returns
    -------
    keras.KerasTensor
        Shape (batch, 32), float32.

    Examples
    --------
    >>> encode_image(keras.Input((64, 64, 3))).shape
    (None, 32)
    """
    features = image
    for filters in (16, 32):
        features = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(features)
        features = keras.layers.MaxPooling2D()(features)
    return keras.layers.GlobalAveragePooling2D()(features)


def encode_vector(vector: keras.KerasTensor) -> keras.KerasTensor:
    """Make one feature vector of each vector.

    Parameters
    ----------
    vector : keras.KerasTensor
        Shape (batch, length), float32.

    Returns
    -------
    keras.KerasTensor
        Shape (batch, 32), float32.

    Examples
    --------
    >>> encode_vector(keras.Input((5,))).shape
    (None, 32)
    """
    return keras.layers.Dense(32, activation="relu")(vector)


def build_model(
    inputs: Sequence[str], outputs: Sequence[str], *, named: bool = False
) -> keras.Model:
    """Put a model together: one encoder per input, one shared layer, one head per output.

    Parameters
    ----------
    inputs : sequence of str
        Names from `INPUT_SHAPES`, in the order in which a tuple dataset gives them.
    outputs : sequence of str
        Names from `OUTPUT_SIZES`, likewise.
    named : bool
        False: inputs and outputs are tuples, matched by position.
        True: they are dicts, matched by name.

    Returns
    -------
    keras.Model
        Not compiled. Each input and each head has its stream's name.

    Raises
    ------
    ValueError
        If a name is not known, or none is given.

    Examples
    --------
    >>> model = build_model(["imagery", "site"], ["land_cover"], named=True)
    >>> {name: tensor.shape for name, tensor in model.output.items()}
    {'land_cover': (None, 8)}
    """
    for what, names, known in (
        ("inputs", inputs, INPUT_SHAPES),
        ("outputs", outputs, OUTPUT_SIZES),
    ):
        if not names or isinstance(names, str) or not set(names) <= set(known):
            raise ValueError(f"{what}: expected some of {list(known)}, found {names!r}")
    tensors = {name: keras.Input(INPUT_SHAPES[name], name=name) for name in inputs}
    features = [
        encode_image(tensor) if len(INPUT_SHAPES[name]) == 3 else encode_vector(tensor)
        for name, tensor in tensors.items()
    ]
    joined = keras.layers.Concatenate()(features) if len(features) > 1 else features[0]
    shared = keras.layers.Dense(32, activation="relu")(joined)
    heads = {}
    for name in outputs:
        units, activation = OUTPUT_SIZES[name]
        heads[name] = keras.layers.Dense(units, activation=activation, name=name)(shared)
    if named:
        return keras.Model(tensors, heads)
    # one stream alone comes without a tuple
    sides = [tuple(side.values()) for side in (tensors, heads)]
    return keras.Model(*(side if len(side) > 1 else side[0] for side in sides))
