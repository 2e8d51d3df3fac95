"""The ground: what there is of devices, threads, random numbers and kernels.

`placement`          a fit's device, the type of its numbers, how many samples a batch has
`devices`            which devices there are, what each lacks, and their memory
`threads`            how many of torch's threads a fit takes; forked processes
`isolation`          fits apart from what the caller has switched in torch
`interrupts`         the reach of Ctrl-C: one fit, or many at once
`random_numbers`     seeds, and torch's global generators left as they were
`kernels`            torch's functions that are not public, each with a fallback
`products`           which routine multiplies matrices, torch's own or oneDNN's
`subnormals`         numbers below the smallest normal one become 0 while training
`shared_memory`      arrays as tensors without a copy, to be read only
`plain_numbers`      numbers of any kind as Python's own
`user_errors`        errors in code of the user's, told by whose they are
`sklearn_internals`  scikit-learn's that are not public, and what if they change
`optional_packages`  packages that only some users have

May import no room of this package.
"""
