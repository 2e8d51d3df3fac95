"""Epochs, stopping, records: the native backend.

`native`              the backend: `train(fits)`
`loop`                epochs and steps, of one network or of k; the epoch's loss
`stack`               k networks of one form as one
`lbfgs`               SciPy's L-BFGS-B, instead of epochs
`graphs`              an epoch's steps as one CUDA graph
`compiled_epochs`     an epoch's steps in compiled code
`compiled_validator`  loss and score on a validation set, in compiled code
`rank_run`            one network trained by several processes
`rank_batches`        the part of each batch that is one process's
`own_batches`         the same where each process has rows of its own
`rank_steps`          gradients added up over processes
`monitor`             the end of an epoch: stopping, best weights
`recorder`            how an epoch, or an iteration of lbfgs, comes into the history
`validator`           loss and score on a validation set
`stacked_validator`   the same of k networks
`schedules`           learning rates
`randomness`          the random numbers of a network in training
`sparse_order`        the first weight's order in memory under sparse samples
`carried_memory`      its memory, where other parameters are trained than before
`checkpoint`          the way back for a fit that fails
`divergence`          weights and losses that are no finite numbers

May import `solvers`, `steps`, `compiled`, and what lies below them.
"""
