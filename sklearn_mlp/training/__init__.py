"""Epochs, stopping, records: the native backend.

`native`              the backend: `train(fits)`
`loop`                epochs and steps, of one network or of k; the epoch's loss
`stack`               k networks of one form as one
`lbfgs`               SciPy's L-BFGS-B, instead of epochs
`graphs`              an epoch's steps as one CUDA graph
`compiled_epochs`     an epoch's steps in compiled code
`compiled_validator`  what a validation set says, in compiled code
`monitor`             the end of an epoch: stopping, best weights
`recorder`            how an epoch, or an iteration of lbfgs, comes into the history
`validator`           what a validation set says
`stacked_validator`   the same of k networks
`schedules`           learning rates
`randomness`          what a network draws while it trains
`sparse_order`        the first weight's order in memory under sparse samples
`carried_memory`      what is remembered where other parameters are trained
`checkpoint`          what a fit that fails puts back
`divergence`          what training may not leave

May import `solvers`, `steps`, `compiled`, and what lies below them.
"""
