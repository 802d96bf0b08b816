"""How fast each way of reading and augmenting pictures is, beside the textbook pipeline.

`make bench` runs `benchmark.run`. Each contender, a class in `benchmark.contenders`, lives in a
process of its own; the parent asks them in turn for one timed round, so that whatever else the
machine does hits all of them alike, and compares rounds, not seconds.

============ ==================================================================
module       role
============ ==================================================================
`cases`      what is measured: size, number of pictures, source; the files for it
`contenders` who is measured, one module each
`affine`     random transforms for contenders that warp with OpenCV themselves
`pictures`   such contenders' reading and warping
`fitting`    what Keras' ``fit`` makes of a loader that is not TensorFlow's
`worker`     a contender's own process: proves, warms up, answers with timed rounds
`processes`  starts such processes, asks them, and leaves none behind
`proof`      an epoch held what it should have held
`measure`    ratios of the same round, their medians, and the report's rows
`report`     the tables, the Markdown file and the chart
`stages`     where the time of one picture goes
`run`        the command
============ ==================================================================
"""
