"""The skorch backend, the only room that imports skorch.

`train`          the backend
`run`            one call of it, while it lasts
`nets`           skorch's nets, which belong to an estimator
`making`         a net made anew, or from what was saved of one
`data`           data sets and iterators for skorch
`adapters`       our losses and solvers as a criterion and an optimizer
`trained_parts`  the parts that are trained, where callbacks freeze some
`parameters`     skorch's names for what the estimators have; no skorch

May import `training`, and what lies below it.
"""
