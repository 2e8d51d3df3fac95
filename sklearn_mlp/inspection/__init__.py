"""A fitted network looked at, as in `sklearn.inspection`.

`displays`   curves and weights as pictures
`arguments`  the pictures' arguments, checked
`html`       the network's table in an estimator's HTML

May import what lies below `contract`, and that; never what trains.
"""
