"""Many fits as one.

`fits`       `fit_many`
`arguments`  what it may be given
`planning`   which fits make a stack

May import `estimators`, and what lies below them.
"""
