"""What the lessons share: one module for each link of the chain generator, dataset, model.

============ ==================================================================
module       role
============ ==================================================================
`tiles`      where the sample data is, its table, its classes
`generators` batches from `ImageDataGenerator` and from arrays, aligned by row
`transforms` one random transform a sample, the same for all its pictures
`datasets`   a generator of batches made into a `tf.data.Dataset`
`models`     the small Keras models that the lessons train
`contract`   does this dataset fit this model? all mismatches at once
`plots`      batches, structures and chains, drawn
`explorer`   sliders for the options of `ImageDataGenerator`, live in JupyterLab
`messages`   the lines of an error or a warning that matter
`figures`    a text fingerprint for every figure, so that tests can compare it
============ ==================================================================

Write ``import helpers`` first and ``import tensorflow as tf`` after it: the import of TensorFlow
is then free of its start-up notices (and of nothing else, see `helpers._startup`), and every
figure carries its fingerprint. ``import helpers`` itself loads neither TensorFlow nor matplotlib.
"""

from helpers._startup import fingerprint_figures, quieten_tensorflow

quieten_tensorflow()
fingerprint_figures()
