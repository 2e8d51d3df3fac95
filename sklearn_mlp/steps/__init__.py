"""The gradient of one batch, of one network or of k, and predictions.

`base`            the interface of every step
`closed_form`     forward, loss gradient, backward, written out
`general`         the same with dropout, skipped layers, any activation
`autograd`        any module, by autograd
`layers`          the affine maps of one network, dense or sparse
`mixed_layers`    the same in bfloat16
`stacked_layers`  the affine maps of k networks
`precision`       products in bfloat16 around autograd
`prediction`      a fitted network over samples, chunk by chunk
`input_gradients`  how its outputs change with the samples
`choice`          how gradients are computed, decided once per fit

May import `contract`, and what lies below it.
"""
