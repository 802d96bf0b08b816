"""How fast each way of reading and augmenting images is, beside the textbook pipeline.

`make bench` runs `benchmark.run`. Each contender, a class in `benchmark.contenders`, lives in a
process of its own; the parent asks them in turn for one timed round, so that whatever else the
machine does hits all of them alike, and compares rounds, not seconds.

============ ==================================================================
module       role
============ ==================================================================
`cases`      what is measured: size, images a sample, source; the files for it
`contenders` who is measured, one module each
`opencv`     random transforms, reading and warping, for those who use OpenCV
`worker`     a contender's own process: proves, warms up, answers with timed rounds
`processes`  starts such processes, asks them, and leaves none behind
`proof`      an epoch held what it should have held
`stages`     where the time of one image goes
`report`     `results.md` and the chart, from `results.csv` and `machine.csv`
`run`        the command
============ ==================================================================
"""
