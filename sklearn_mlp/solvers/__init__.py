"""How a gradient changes the weights.

`base`               scikit-learn's SGD and Adam, by numbers of the host
`elementwise`        torch's that change every number by itself
`torch_optim`        optimizers of torch's, or of anyone's
`wrappers`           what is done before or after a step: clipping, averaging
`rules`              the same formulas in tensors that broadcast
`stacked`            the steps of k networks at once, by these
`averaging`          averages of a network's weights
`stacked_averaging`  those of k networks
`choice`             which solver a fit gets

May import `contract`, and what lies below it.
"""
