"""What the lessons share: one module for each link of the chain generator, dataset, model.

Nothing happens on import: each module is imported by its name, as in
``from helpers import datasets``. README.md says what each needs beside it.

============ =====================================================================
module       role
============ =====================================================================
`generators` batches from `ImageDataGenerator`: whole epochs, every stream by row
`images`     image files by row: read, oriented, resized, in memory
`transforms` one random transform per sample, the same for all its images
`warp`       a batch of images moved by matrices, in one compiled kernel
`fast`       a drop-in `ImageDataGenerator` on top of that kernel
`parallel`   a plan says what to make, parallel workers make it, in order
`datasets`   a generator of batches made into a `tf.data.Dataset`
`shards`     any dataset in files that other processes read: whole, or refused
`service`    the tf.data service's processes, started, killed and gone at the end
`contract`   does this dataset conform to this model? all mismatches at once
`models`     the small Keras models that the lessons train
`plots`      figures of batches, structures and chains
`explorer`   sliders for the options of `ImageDataGenerator`, live in JupyterLab
`messages`   the lines of an error or a warning that matter
`tiles`      where the sample data is, its table, its classes, its images
============ =====================================================================
"""
