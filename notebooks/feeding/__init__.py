"""Other ways to feed a model than a generator: a module for each, all with the same functions.

``feed(rows)`` is what ``fit`` takes, ``rest(rows, done)`` is the epoch without its first batches,
and ``share(rows, machine, machines)`` is the part of one machine of several. A lesson imports those
that it has the packages for. `feeding.run` tries all of them, in an environment that has more:
`make feeding`.
"""
