"""Many fits as one.

`fits`       `fit_many`
`arguments`  its arguments, checked
`planning`   which fits make a stack

May import `estimators`, and what lies below them.
"""
